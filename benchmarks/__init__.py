"""The numbers of this machine. Printed, never asserted: machines differ and are noisy."""
