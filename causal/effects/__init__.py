"""What recommending changes: logs of recommendations, estimators of uplift, curves, tests of heterogeneity."""
