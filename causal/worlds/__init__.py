"""Worlds whose truth is a formula, on arrays."""
