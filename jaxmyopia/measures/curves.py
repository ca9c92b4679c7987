# SPDX-License-Identifier: Apache-2.0
"""The measures that every system's curves allow: of the loss, and of any observable that may have bumps.

Counts are NaN for a trial whose loss is not finite throughout.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.measures.descents import count_upticks
from jaxmyopia.measures.descents import descents as find_descents
from jaxmyopia.measures.measure import Measure
from jaxmyopia.measures.turning_points import count_maxima

Thresholds = float | tuple[float, ...]  # main first


def counted(curves: Any, count: jax.Array) -> jax.Array:
    """Counts `(S,)` as floats, NaN where the loss `(T, S)` is not finite throughout."""
    dtype = curves.loss.dtype
    return jnp.where(jnp.isfinite(curves.loss).all(axis=0), count.astype(dtype), jnp.asarray(jnp.nan, dtype))


def _stages(curves: Any, ratio: Any, fall: Any) -> dict[str, jax.Array]:
    found = find_descents(curves.step, curves.loss, ratio=ratio, fall=fall)
    return {"descents": counted(curves, found.count), "plateaus": counted(curves, found.plateaus)}


def _upticks(curves: Any, rise: Any, floor: float) -> jax.Array:
    return counted(curves, count_upticks(curves.loss, rise=rise, floor=floor))


def _bumps(curves: Any, names: tuple[str, ...], delta: Any) -> jax.Array:
    """The mean over the observables named, and over what each holds a trial, of the counts of maxima."""
    shown = [getattr(curves, name) for name in names]
    widths = [math.prod(each.shape[2:]) for each in shown]
    side_by_side = jnp.concatenate([each.reshape(*each.shape[:2], -1) for each in shown], axis=2)
    counts = jnp.split(count_maxima(side_by_side, delta), np.cumsum(widths)[:-1].tolist(), axis=1)
    means = [count.astype(curves.loss.dtype).mean(axis=1) for count in counts]
    return counted(curves, sum(means[1:], means[0]) / len(means))


def _final_ratio(curves: Any) -> jax.Array:
    return curves.loss[-1] / curves.loss[0]


def _time_to(curves: Any, share: Any) -> jax.Array:
    below = curves.loss <= share * curves.loss[:1]
    step = curves.step[below.argmax(axis=0)].astype(curves.loss.dtype)
    return jnp.where(below.any(axis=0), step, jnp.inf)


def _between(name: str, values: Thresholds, low: float, high: float) -> None:
    for value in values if isinstance(values, tuple | list) else (values,):
        fine = isinstance(value, int | float) and low < value < high
        require(fine, name, value, f"must be between {low:g} and {high:g}, both excluded")


def plateaus(*, ratio: Thresholds = (0.5, 0.25, 0.75), fall: Thresholds = (0.02, 0.01, 0.05)) -> Measure:
    """How many plateaus the loss has: slow stretches before or between descents.

    Args:
      ratio: the loss falls at most this many times as fast as beside it; in (0, 1), main first.
      fall: a descent falls by at least this share of the first loss; in (0, 1), main first.

    Returns:
      The `Measure`.

    Raises:
      ArgumentError: if a threshold is not allowed.
    """
    _between("ratio", ratio, 0, 1)
    _between("fall", fall, 0, 1)
    return Measure("plateaus", _stages, part="plateaus", ratio=ratio, fall=fall)


def descents(*, ratio: Thresholds = (0.5, 0.25, 0.75), fall: Thresholds = (0.02, 0.01, 0.05)) -> Measure:
    """How many descents the loss has; arguments as of `plateaus`."""
    _between("ratio", ratio, 0, 1)
    _between("fall", fall, 0, 1)
    return Measure("descents", _stages, part="descents", ratio=ratio, fall=fall)


def upticks(*, rise: Thresholds = 1.05, floor: float = 1e-6) -> Measure:
    """How many times the loss rises by at least the factor `rise`, above 1, main first; losses below the share `floor`
    of the first count as equal to it."""
    _between("rise", rise, 1, float("inf"))
    _between("floor", floor, 0, 1)
    return Measure("upticks", _upticks, rise=rise, floor=floor)


def bumps(*names: str, delta: Thresholds = (0.1, 0.05, 0.2)) -> Measure:
    """How many bumps an observable has: interior maxima after which it falls by at least `delta`.

    Args:
      *names: observables of the study's record, `(S, ...)` each; the count is the mean over all curves they hold.
      delta: in the observable's units, positive, main first.

    Returns:
      The `Measure`.

    Raises:
      ArgumentError: if a threshold or a name is not allowed.
    """
    require(bool(names), "names", names, "must name at least one observable")
    _between("delta", delta, 0, float("inf"))
    return Measure("bumps", _bumps, names=(names,), delta=delta)


def final_ratio(*, name: str = "loss_ratio") -> Measure:
    """The last loss over the first; see `Measure.at_budgets` for that after a share of the steps."""
    return Measure(name, _final_ratio)


def time_to(*, share: Thresholds = 0.5, name: str = "time_to") -> Measure:
    """The first recorded step at which the loss is at most `share` of the first, infinite if it never is."""
    _between("share", share, 0, 1)
    return Measure(name, _time_to, share=share)
