"""The queries of the second log, and its migrations."""
