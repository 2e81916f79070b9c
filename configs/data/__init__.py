"""The choices of the config group `data`: one YAML file each."""
