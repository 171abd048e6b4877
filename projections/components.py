"""What ``ledger migrate`` sets up for the read side."""

from ledger.migrations import Component

COMPONENTS = (Component("unit_totals", "projections.sql", "projector"),)
