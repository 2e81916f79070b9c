"""What every room stands on: files, locks, keys, the environment, what a user sees while something runs."""
