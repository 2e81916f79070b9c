"""The package that Hydra scans for plugins; the code lives in ``upliftlens.benchmarks``."""
