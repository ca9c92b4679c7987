# SPDX-License-Identifier: Apache-2.0
"""What tells one value or function from another: JSON values, and digits where there is no name, or one name twice."""

import dataclasses
import functools
import hashlib
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.extend import core

_PACKAGE = __name__.partition(".")[0]
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+|0x[0-9a-f]+")


def fingerprint(function: Callable[..., Any], *args: Any) -> str:
    """Eight digits that tell the arithmetic of a function from that of another.

    Args:
      function: one that JAX can trace.
      *args: shapes or arrays.

    Returns:
      Hexadecimal digits.
    """
    traced = jax.make_jaxpr(function)(*args)
    text = _ADDRESS.sub("", str(traced.jaxpr))
    return hashlib.sha256(text.encode() + b"".join(map(_bytes, _constants(traced)))).hexdigest()[:8]


def _constants(traced: core.ClosedJaxpr | core.Jaxpr) -> Iterator[Any]:
    """The arrays that a function closes over, and those of the functions within it, which its text does not show."""
    if isinstance(traced, core.ClosedJaxpr):
        yield from traced.consts
        traced = traced.jaxpr
    for eqn in traced.eqns:
        for value in eqn.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                if isinstance(inner, core.ClosedJaxpr | core.Jaxpr):
                    yield from _constants(inner)


def _bytes(x: Any) -> bytes:
    x = x if hasattr(x, "dtype") else np.asarray(x)
    is_key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.device_get(jax.random.key_data(x) if is_key else x).tobytes()


def describe(value: Any) -> Any:
    """A value as JSON that tells it from others, in this process and in the next; functions and objects by their names.

    >>> describe((1, "a", np.float32(0.5))), describe(np.zeros((2, 3), np.float32))
    ([1, 'a', 0.5], 'float32[2,3]-9d908ecf')
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or np.isfinite(value) else repr(value)
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, bytes):
        return f"bytes-{hashlib.sha256(value).hexdigest()[:8]}"
    if isinstance(value, list | tuple):
        return [describe(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): describe(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | jax.Array):
        shape = f"{value.dtype}[{','.join(map(str, value.shape))}]"
        pointers = value.dtype == object
        return [shape, *map(describe, np.ravel(value))] if pointers else f"{shape}-{_digest(_bytes(value))}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, functools.partial):
        return [describe(value.func), describe(value.args), describe(value.keywords)]
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else type(value).__qualname__


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def is_told(value: Any) -> bool:
    """Whether `describe` says all there is of a value: plain ones, and what is this package's own."""
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        return True
    if isinstance(value, list | tuple):
        return all(map(is_told, value))
    if isinstance(value, np.ndarray | jax.Array):
        return value.dtype != object
    if isinstance(value, types.FunctionType):
        return _is_ours(value) and not value.__closure__
    if isinstance(value, type):
        return _is_ours(value)
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else None
    return fields is not None and _is_ours(type(value)) and all(is_told(getattr(value, each.name)) for each in fields)


def _is_ours(thing: Any) -> bool:
    return (getattr(thing, "__module__", None) or "").partition(".")[0] == _PACKAGE
