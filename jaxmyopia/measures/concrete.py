# SPDX-License-Identifier: Apache-2.0
"""Checks of what a measure is given, wherever its value is known: of numbers and arrays, not of what jit traces."""

import jax
import numpy as np

from jaxmyopia.checks import require


def known(x: object) -> np.ndarray | None:
    """The values of an array or a number, None of what is traced."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def require_between(name: str, value: object, low: float, high: float) -> None:
    """Refuses a threshold that is not strictly between two numbers, NaN included.

    Args:
      name: the argument that the user set.
      value: a number or an array of them.
      low, high: the excluded ends.

    Raises:
      ArgumentError: if its value is known and not allowed.
    """
    values = known(value)
    if values is not None:
        number = values.dtype.kind in "iuf"
        fine = number and bool(((values > low) & (values < high)).all())
        require(fine, name, value, f"must be between {low:g} and {high:g}, both excluded")


def require_steps(steps: object, *, least: float = -np.inf) -> None:
    """Refuses steps that do not increase from record to record.

    Args:
      steps: `(T,)`.
      least: the least first step.

    Raises:
      ArgumentError: if they are known and a step is repeated, decreases, is not finite or is below `least`.
    """
    values = known(steps)
    if values is None:
        return
    require(values.ndim == 1 and values.size >= 2, "steps", values.shape, "must be one step a record, of 2 or more")
    require(bool(np.isfinite(values).all()), "steps", "NaN or infinite", "must be finite")
    if not (np.diff(values) > 0).all():
        at = int(np.argmin(np.diff(values) > 0))
        shown = f"{values[at]:g}, {values[at + 1]:g}"
        require(False, "steps", shown, f"must increase from record to record, but do not at record {at + 1}")
    require(bool(values[0] >= least), "steps", values[0], f"must be at least {least:g}")


def require_finite(name: str, x: object) -> None:
    """Refuses an array that holds a NaN or an infinity.

    Raises:
      ArgumentError: if it is known and does.
    """
    values = known(x)
    if values is not None and not np.isfinite(values).all():
        at = int(np.argwhere(~np.isfinite(values))[0][0])
        require(False, name, "NaN or infinite", f"must be finite throughout, but is not at record {at}")
