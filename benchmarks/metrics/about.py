"""A sentence about every metric, from the docstring below its definition or from its module's table."""

import ast
import inspect
import re
from fnmatch import fnmatch
from itertools import pairwise
from types import ModuleType

from upliftlens.benchmarks.config.choices import first_sentence
from upliftlens.benchmarks.config.plugins import names, opened
from upliftlens.benchmarks.metrics.metric import Metric


def abouts() -> dict[str, str]:
    """A sentence about every metric, by its name without cut-off.

    It is the docstring below a definition ``x = Metric(…)``; for metrics that a function defines, the line
    ``    NAME, NAME/*  text`` in their module's docstring; where both lack, the first sentence of that docstring.
    """
    texts: dict[str, str] = {}
    for family in names("metrics"):
        module, entries = opened("metrics", family)
        docstrings = _docstrings(module)
        table = re.findall(r"^ {4}(\S.*?) {2,}(\S.*)$", module.__doc__ or "", re.MULTILINE)
        lines = [(pattern.replace("@k", ""), text) for head, text in table for pattern in head.split(", ")]
        for metric, *_ in entries:
            line = next((text for pattern, text in lines if fnmatch(metric.name, pattern)), "")
            texts[metric.name] = first_sentence(docstrings.get(metric.name) or line or module.__doc__ or "")
    return texts


def _docstrings(module: ModuleType) -> dict[str, str]:
    """The docstrings below a module's definitions of metrics, by the metrics' names."""
    texts, body = {}, ast.parse(inspect.getsource(module)).body
    for definition, after in pairwise(body):
        if isinstance(definition, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            metric = getattr(module, ast.unparse(definition.targets[0]), None)
            if isinstance(metric, Metric):
                texts[metric.name] = str(after.value.value)
    return texts
