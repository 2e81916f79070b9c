"""What all other rooms use: safe files, locks, keys, the environment, output for the user during a run."""
