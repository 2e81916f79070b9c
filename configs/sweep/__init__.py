"""The choices of the config group `sweep`: one YAML file each."""
