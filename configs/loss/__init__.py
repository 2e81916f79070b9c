"""The choices of the config group `loss`: one YAML file each."""
