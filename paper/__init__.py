"""The published numbers that we compare with, and the paper."""
