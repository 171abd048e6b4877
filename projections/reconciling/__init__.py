"""The log, counted a second time by code of its own, beside what the projections hold and what the totals answer."""
