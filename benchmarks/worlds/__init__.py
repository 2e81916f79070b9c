"""Data sets that are computed: worlds whose truth is known."""
