"""Metrics: the contract (`metric`), one file per kind of evidence, and the registry by name."""
