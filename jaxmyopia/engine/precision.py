# SPDX-License-Identifier: Apache-2.0
"""The precision of products of matrices, which no program takes from its backend's default.

Recent GPUs by default round the operands of a float32 product to TF32 (10 bits of mantissa), TPUs to bfloat16 (7
bits); `highest` is float32 on all of them. What rounding does to a result is seen on any machine by simulating it: the
operands of every product are rounded and the product itself is float32, as those units do it.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxmyopia.checks import require, require_one_of

HIGHEST = "highest"
_MANTISSA = {"simulated_tf32": 10, "simulated_bfloat16": 7}  # bits that are kept
NAMES = (HIGHEST, "high", "default", *_MANTISSA)
_PRODUCTS = ("dot_general", "ragged_dot_general", "conv_general_dilated")


def check(name: str) -> None:
    """Refuses a precision that there is not, or that would round nothing: simulated ones round float32 alone.

    Raises:
      ArgumentError: naming it.
    """
    require_one_of("matmul_precision", name, NAMES)
    rounds = name not in _MANTISSA or jnp.zeros(()).dtype == "float32"
    require(rounds, "matmul_precision", name, "must be another where x64 is on: only products of float32 are rounded")


def of_products(name: str) -> AbstractContextManager:
    """A context in which what is traced multiplies matrices at a precision, by its name in `NAMES`."""
    return jax.default_matmul_precision(HIGHEST if name in _MANTISSA else name)


def simulated(function: Callable, name: str) -> Callable:
    """A function whose products have rounded operands, if the precision asks for that; else the function itself.

    What LAPACK does for linear algebra (qr, svd, eigh, triangular solves) is one operation, and stays as it is.

    Args:
      function: of pytrees of arrays, to be traced.
      name: of the precision.

    Returns:
      A function of the same arguments.
    """
    if name not in _MANTISSA:
        return function

    @functools.wraps(function)
    def rounded(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        out = _evaluate(closed, _MANTISSA[name], *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return rounded


def _round(x: jax.Array, mantissa: int) -> jax.Array:
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=mantissa) if x.dtype == "float32" else x


def _evaluate(closed: core.ClosedJaxpr, mantissa: int, *args: Any) -> list[Any]:
    """Evaluates what was traced, products with rounded operands, also within loops and branches."""
    jaxpr = closed.jaxpr
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))
    read = lambda atom: atom.val if isinstance(atom, core.Literal) else known[atom]
    for eqn in jaxpr.eqns:
        values = [read(atom) for atom in eqn.invars]
        if eqn.primitive.name in _PRODUCTS:
            values = [_round(value, mantissa) for value in values]
        called = eqn.params.get("call_jaxpr")
        if called is not None:  # a function with a derivative of its own, of which there is no need any more
            found = _evaluate(_closed(called), mantissa, *values)
        else:
            found = eqn.primitive.bind(*values, **_within(eqn.params, mantissa))
        several = eqn.primitive.multiple_results or called is not None
        known |= dict(zip(eqn.outvars, found if several else [found], strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _closed(jaxpr: Any) -> core.ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def _within(params: dict[str, Any], mantissa: int) -> dict[str, Any]:
    """The parameters of a loop, a branch or a call, with the functions in them rounded too."""

    def one(value: Any) -> Any:
        if isinstance(value, core.ClosedJaxpr):
            return jax.make_jaxpr(functools.partial(_evaluate, value, mantissa))(*value.in_avals)
        if isinstance(value, core.Jaxpr):
            inner = functools.partial(_evaluate, core.ClosedJaxpr(value, ()), mantissa)
            return jax.make_jaxpr(inner)(*(var.aval for var in value.invars)).jaxpr
        if isinstance(value, tuple):  # branches, and named ones of functions, of numbers, and of a key's arithmetic
            items = [one(each) for each in value]
            changed = any(new is not old for new, old in zip(items, value, strict=True))
            return (type(value)(*items) if hasattr(value, "_fields") else tuple(items)) if changed else value
        return value

    return {name: one(value) for name, value in params.items()}
