"""Flax modules that score pairs; every loss and objective can train them."""
