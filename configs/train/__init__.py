"""The choices of the config group `train`: one YAML file each."""
