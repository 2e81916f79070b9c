"""The choices of the config group `split`: one YAML file each."""
