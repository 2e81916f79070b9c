"""The command line: its start, its flags, and a folder of verbs."""
