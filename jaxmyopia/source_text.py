# SPDX-License-Identifier: Apache-2.0
"""The text of a function, a class, or a name of a module's top level, as its file has it."""

import ast
import functools
import inspect
import linecache
import textwrap
import tokenize
import types
from collections.abc import Callable
from typing import Any


@functools.lru_cache(maxsize=4096)  # a class costs its whole file a parse
def source_of(thing: types.CodeType | type) -> str | None:
    """The source text of code or of a class, without its indentation; None where there is none."""
    get: Callable[[Any], str | None] = _lambda if getattr(thing, "co_name", "") == "<lambda>" else inspect.getsource
    try:
        text = get(thing)
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        return None
    return text and textwrap.dedent(text).strip()


def _lambda(code: types.CodeType) -> str | None:
    """The text of a lambda alone: `inspect` gives the lines around it, of which a part may be missing."""
    text = "".join(inspect.findsource(code)[0])
    used = [(line, column) for line, _, column, end in code.co_positions() if line and column is not None and end]
    for node in _lambdas(text):
        body = node.body
        start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
        if node.lineno == code.co_firstlineno and all(start <= place < end for place in used):
            return ast.get_source_segment(text, node)
    return None


@functools.lru_cache(maxsize=64)
def _lambdas(text: str) -> tuple[ast.Lambda, ...]:
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda))


@functools.lru_cache(maxsize=256)
def statements(file: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The names that statements of a file's top level make or alter, each with these statements and the names in them.

    Definitions and imports are none of them, nor is what a program does where it is not imported.
    """
    try:
        text = "".join(linecache.getlines(file))
        body = ast.parse(text).body
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        names = _identifiers(node)
        if isinstance(node, ast.If) and "__name__" in _identifiers(node.test):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        for name in sorted(set().union(*map(_identifiers, targets))):
            before, others = found.get(name, ("", ()))
            segment = f"{before}{ast.get_source_segment(text, node)}\n"
            found[name] = segment, tuple(sorted({*others, *names} - {name}))
    return found


def _identifiers(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
