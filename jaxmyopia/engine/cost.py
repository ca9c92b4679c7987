# SPDX-License-Identifier: Apache-2.0
"""About what a step and a record of a study cost, before anything is compiled: enough to share out the time left.

Operations are counted in what JAX traces: M N K of a product of matrices, ten an entry of a transcendental function,
else one an entry; the body of a loop once, unless it says how often. On the twelve of the twenty cells of `plateaus`
that were timed (two CPU cores, 2026-11-26) one took 0.07 to 0.33 ns, where cells differ in cost by a factor of 300.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np

from jaxmyopia import contract
from jaxmyopia.study import Cell, Study

_TRANSCENDENTAL = {"exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "pow", "erf", "erf_inv", "logistic", "rsqrt"}
_TRANSCENDENTAL |= {"sqrt", "cbrt", "div"}
_OF_ONE = 10.0  # operations, about
# Moves without arithmetic, which are compiled into what uses them.
_FREE = {"broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "slice", "copy"}


@dataclasses.dataclass(frozen=True)
class Work:
    """Operations a seed: of a `step`, and of a `record`."""

    step: float
    record: float


def work_of(cell: Cell) -> Work:
    """Counts the operations of a cell's study.

    Args:
      cell: the cell.

    Returns:
      The `Work`.
    """
    shapes = contract.shapes(cell.study, cell.columns(np.zeros(1, int)))
    leaves, tree = jax.tree.flatten((shapes.state, shapes.params))
    return _work(cell.study, tree, tuple(leaves))


@functools.lru_cache(maxsize=256)  # cells that differ in values of settings alone cost the same
def _work(study: Study, tree: Any, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Work:
    batched, seeds, of_block = study.batched, study.block, jax.tree.unflatten(tree, leaves)
    step, record = (jax.make_jaxpr(function)(*of_block).jaxpr for function in (batched.step, batched.observe))
    return Work(step=max(_operations(step) / seeds, 1.0), record=max(_operations(record) / seeds, 1.0))


def _operations(jaxpr: Any) -> float:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: Any) -> float:
    name = equation.primitive.name
    inner = [each for value in equation.params.values() for each in inner_jaxprs(value)]
    if inner:
        times = equation.params.get("length", 1) if name == "scan" else 1
        return times * sum(map(_operations, inner))
    entries = sum(math.prod(out.aval.shape) for out in equation.outvars)
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return float(entries) * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    if name.startswith("reduce_") or name in ("argmax", "argmin", "sort"):
        return float(math.prod(equation.invars[0].aval.shape))
    return 0.0 if name in _FREE else entries * (_OF_ONE if name in _TRANSCENDENTAL else 1.0)


def inner_jaxprs(value: Any) -> list[Any]:
    """The jaxprs among an equation's parameters."""
    if hasattr(value, "eqns"):
        return [value]
    if hasattr(value, "jaxpr"):
        return inner_jaxprs(value.jaxpr)
    return [each for one in value for each in inner_jaxprs(one)] if isinstance(value, tuple | list) else []
