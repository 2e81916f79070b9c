"""Training objectives, one file per family, each with its formulas at the top."""
