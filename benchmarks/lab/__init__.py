"""The Python door: a ``Lab`` does what the verbs of the command line do, with the same keys and records."""
