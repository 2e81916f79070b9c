"""The choices of the config group `metrics`: one YAML file each."""
