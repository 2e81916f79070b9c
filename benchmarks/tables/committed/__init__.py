"""A table as it is committed: its files, the trace of a cell, and the check."""
