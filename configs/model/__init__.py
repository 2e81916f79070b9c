"""The choices of the config group `model`: one YAML file each."""
