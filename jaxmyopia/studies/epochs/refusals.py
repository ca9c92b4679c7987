# SPDX-License-Identifier: Apache-2.0
"""What the environment refuses outside compiled functions: actions, places and parameters that there are not.

Within one a value is not known, and cannot be refused; what it means there is said by `EpochEnv.step`.
"""

import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.studies.epochs.shape import Shape
from jaxmyopia.values import brief

if TYPE_CHECKING:
    from jaxmyopia.studies.epochs.env_params import EnvParams, EnvState

LARGEST = float(np.finfo(np.float32).max)


def check_action(action: Any, count: int) -> jax.Array:
    """An action as an array of shape `()`.

    Args:
      action: as the caller gave it, or traced.
      count: how many actions there are.

    Returns:
      The array.

    Raises:
      ArgumentError: if it is no whole number of shape `()`, or known and not below `count`.
    """
    allowed = f"must be a whole number of shape () from 0 to {count - 1}"
    if isinstance(action, jax.core.Tracer):
        fine = action.shape == () and jnp.issubdtype(action.dtype, jnp.integer)
        require(fine, "action", f"{action.dtype}{list(action.shape)}", allowed)
        return action
    known = _number("action", action, allowed, whole=True)
    require(known is not None and 0 <= known < count, "action", brief(action), allowed)
    return jnp.asarray(known)


def check_place(state: "EnvState", shape: Shape) -> None:
    """Refuses a state in which no run can be; what is traced passes.

    Args:
      state: as the caller gave it.
      shape: the environment's; a state after the last epoch is allowed, the run is over there.

    Raises:
      ArgumentError: naming the field.
    """
    bounds = {"epoch": shape.epochs, "step": shape.epoch_steps - 1, "pending": shape.pending_places - 1}
    for name, most in {**bounds, "cutoff": shape.epochs}.items():
        value, allowed = getattr(state, name), f"must be a whole number from 0 to {most}"
        known = _number(f"state.{name}", value, allowed, whole=True)
        require(known is None or 0 <= known <= most, f"state.{name}", brief(value), allowed)


def check_params(params: "EnvParams", shape: Shape) -> None:
    """Refuses parameters that say nothing about a run; what is traced passes.

    Args:
      params: as the caller gave them.
      shape: the environment's.

    Raises:
      ArgumentError: naming the field.
    """
    most, room = np.iinfo(np.int32).max, shape.indices - shape.epochs
    _check("cutoff", params.cutoff, f"must be a whole number from 0 to {most}", 0, most, whole=True)
    _check("length", params.length, f"must be a whole number from 1 to {most}", 1, most, whole=True)
    allowed = f"must be a whole number from 0 to indices - epochs = {room}"
    _check("first_index", params.first_index, allowed, 0, room, whole=True)
    for name in ("lure_now", "lure_later", "work", "debt"):
        _check(name, getattr(params, name), f"must be a number, at most {LARGEST:.3g} in size", -LARGEST, LARGEST)
    _check("penalty", params.penalty, f"must be a number from 0 to {LARGEST:.3g}", 0, LARGEST)
    _check("cap", params.cap, f"must be a number, at most {LARGEST:.3g} in size, or inf", -LARGEST, math.inf)
    if params.hazard is not None:
        _check("hazard", params.hazard, "must be between 0 and 1", 0, 1)
    _check("index_shown", params.index_shown, "must be between 0 and 1", 0, 1)


def _check(name: str, value: Any, allowed: str, least: float, most: float, whole: bool = False) -> None:
    known = _number(name, value, allowed, whole)
    require(known is None or least <= known <= most, name, brief(value), allowed)
    fine = not isinstance(value, int) or abs(value) <= np.iinfo(np.int32).max  # programs take it as what it is
    require(fine, name, value, "must be a float where it is as large as that")


def _number(name: str, value: Any, allowed: str, whole: bool = False) -> Any:
    """A number of shape `()` as numpy's, None if it is traced."""
    if isinstance(value, jax.core.Tracer):
        return None
    try:
        known = np.asarray(value)
        fine = known.shape == () and jnp.issubdtype(known.dtype, jnp.integer if whole else jnp.number)
        fine = fine and (whole or not jnp.issubdtype(known.dtype, jnp.complexfloating))
    except (TypeError, ValueError, RuntimeError):  # lists in lists, keys, arrays that are gone
        fine = False
    if not fine:
        raise ArgumentError(name, brief(value), allowed)
    return known[()]
