"""The choices of the config group `experiment`: one YAML file each."""
