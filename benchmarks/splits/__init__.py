"""Splits: the rows that train, validate and test, how each part was sampled, and what leaks between them."""
