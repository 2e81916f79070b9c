"""The choices of the config group `objective`: one YAML file each."""
