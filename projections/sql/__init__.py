"""The projections' queries and migrations."""
