"""Propensities: how likely each pair was to be observed."""
