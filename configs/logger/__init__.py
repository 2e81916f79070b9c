"""The choices of the config group `logger`: one YAML file each."""
