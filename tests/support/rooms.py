"""The order of the rooms, which docs/architecture.md draws."""

TOPS = ("causal", "models", "benchmarks")
ROOMS = {
    "causal": "errors options interactions crossed intervals over_runs inequality calibration risk losses sample "
    "effects worlds propensities objectives",
    "models": "record_checks query contract checks descent gradient backbones solvers",
    "benchmarks": "system hydra_plugin config data training worlds splits propensities metrics evaluation runs sweeps "
    "reports tables decisions conformance lab cli speed",
}
"""The rooms (and files beside them) of each package, bottom up: imports go down only.

docs/architecture.md draws those that are there; conformance and decisions have their places, nothing lies in them yet.
"""
