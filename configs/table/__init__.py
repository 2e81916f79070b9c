"""Tables of papers: one YAML file each, read by ``upliftlens table NAME``."""
