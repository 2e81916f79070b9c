"""Every default of Upliftlens, one YAML file per choice."""
