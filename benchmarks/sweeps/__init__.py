"""Many runs: the launcher, the jobs of a command, the search over trials."""
