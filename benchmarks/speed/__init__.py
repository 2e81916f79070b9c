"""Scripts that time the harness; each prints ratios measured in one interleaved run."""
