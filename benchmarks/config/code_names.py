"""The names that code reads: of a compiled function, and of a source outside of its functions' bodies."""

import ast
import dis
from collections.abc import Iterator
from types import CodeType


def names_of_code(code: CodeType) -> set[str]:
    """The global names that a function, or one inside it, reads; an attribute or argument of the same name is none."""
    inner = (names_of_code(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    reads = (step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return set(reads).union(*inner)


def outside_bodies(tree: ast.AST) -> Iterator[str]:
    """The names that a source reads outside of its functions' bodies: bases, defaults, annotations, decorators."""
    for name, part in ast.iter_fields(tree):
        if name == "body" and isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in part if isinstance(part, list) else [part]:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.AST):
                yield from outside_bodies(node)
