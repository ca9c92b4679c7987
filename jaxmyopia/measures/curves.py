# SPDX-License-Identifier: Apache-2.0
"""The measures that every system's curves allow: of the loss, and of any observable that may have bumps.

Counts are NaN for a trial whose loss is not finite throughout.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.measures.concrete import require_between
from jaxmyopia.measures.descents import FLOOR, TIMES, count_upticks
from jaxmyopia.measures.descents import descents as find_descents
from jaxmyopia.measures.measure import Measure
from jaxmyopia.measures.noise import in_noise, noise_level
from jaxmyopia.measures.progress import walk
from jaxmyopia.measures.turning_points import count_maxima

Thresholds = float | tuple[float, ...]  # main first
Times = str | tuple[str, ...]
NOISES = ("none", "estimated")


def counted(curves: Any, count: jax.Array) -> jax.Array:
    """Counts `(S,)` as floats, NaN where the loss `(T, S)` is not finite throughout."""
    dtype = curves.loss.dtype
    return jnp.where(jnp.isfinite(curves.loss).all(axis=0), count.astype(dtype), jnp.asarray(jnp.nan, dtype))


def _finite(curves: Any) -> jax.Array:
    """The loss, zero for trials whose loss is not finite throughout: their counts are NaN afterwards."""
    return jnp.where(jnp.isfinite(curves.loss).all(axis=0), curves.loss, 0)


def _stages(curves: Any, ratio: Any, fall: Any, time: str = "linear", noise: str = "none") -> dict[str, jax.Array]:
    loss, step = _finite(curves), curves.step
    if noise == "none":
        found = find_descents(step, loss, ratio=ratio, fall=fall, time=time)
        counts = {"descents": found.count, "plateaus": found.plateaus}
        return {name: counted(curves, count) for name, count in counts.items()}
    descents, plateaus, rough = in_noise(step, loss, noise_level(step, loss), ratio=ratio, fall=fall, time=time)
    counts = {"descents": descents, "plateaus": plateaus}
    return {name: jnp.where(rough, jnp.nan, counted(curves, count)) for name, count in counts.items()}


def _oscillation(curves: Any, rise: Any) -> jax.Array:
    loss = _finite(curves)
    _, _, low = walk(loss)
    return counted(curves, (loss > rise * jnp.maximum(low, FLOOR * loss[:1])).mean(axis=0))


def _upticks(curves: Any, rise: Any) -> jax.Array:
    return counted(curves, count_upticks(curves.loss, rise=rise))


def _bumps(curves: Any, names: tuple[str, ...], delta: Any) -> jax.Array:
    """The mean over the observables named, and over what each holds a trial, of the counts of maxima."""
    shown = [getattr(curves, name) for name in names]
    widths = [math.prod(each.shape[2:]) for each in shown]
    side_by_side = jnp.concatenate([each.reshape(*each.shape[:2], -1) for each in shown], axis=2)
    counts = jnp.split(count_maxima(side_by_side, delta), np.cumsum(widths)[:-1].tolist(), axis=1)
    means = [count.astype(curves.loss.dtype).mean(axis=1) for count in counts]
    return counted(curves, sum(means[1:], means[0]) / len(means))


def _final_ratio(curves: Any, parts: float) -> jax.Array:
    last = (curves.step <= curves.step[-1] // int(parts)).sum() - 1
    return curves.loss[last] / curves.loss[0]


def _time_to(curves: Any, share: Any) -> jax.Array:
    below = curves.loss <= share * curves.loss[:1]
    step = curves.step[below.argmax(axis=0)].astype(curves.loss.dtype)
    return jnp.where(below.any(axis=0), step, jnp.inf)


def _between(name: str, values: Thresholds, low: float, high: float) -> None:
    for value in values if isinstance(values, tuple | list) else (values,):
        require_between(name, value, low, high)


def _of_stages(part: str, ratio: Thresholds, fall: Thresholds, time: Times, noise: str) -> Measure:
    _between("ratio", ratio, 0, 1)
    _between("fall", fall, 0, 1)
    times = (time,) if isinstance(time, str) else tuple(time)
    for each in times:
        require_one_of("time", each, TIMES)
    require_one_of("noise", noise, NOISES)
    definitions: dict[str, Any] = {} if times == ("linear",) else {"time": times}
    definitions |= {} if noise == "none" else {"noise": noise}
    several = ("time",) if len(times) > 1 else ()
    return Measure(part, _stages, part=part, conditions=several, ratio=ratio, fall=fall, **definitions)


def plateaus(
    *, ratio: Thresholds = (0.5, 0.25, 0.75), fall: Thresholds = (0.02, 0.01, 0.05), time: Times = "linear",
    noise: str = "none",
) -> Measure:  # fmt: skip
    """How many plateaus the loss has: slow stretches before or between descents.

    Args:
      ratio: the loss falls at most this many times as fast as beside it; in (0, 1), main first.
      fall: a descent falls by at least this share of the first loss; in (0, 1), main first.
      time: "linear" for speeds by step, "log" by the logarithm of the step, as an eye sees a logarithmic axis; or both,
        main first: two definitions, at each of which a claim is judged.
      noise: "none" for training without noise, as in this package's studies; "estimated" for curves from elsewhere,
        whose noise is estimated from each.

    Returns:
      The `Measure`; NaN for a trial whose curve is too rough to be counted.

    Raises:
      ArgumentError: if a threshold or a definition is not allowed.
    """
    return _of_stages("plateaus", ratio, fall, time, noise)


def descents(
    *, ratio: Thresholds = (0.5, 0.25, 0.75), fall: Thresholds = (0.02, 0.01, 0.05), time: Times = "linear",
    noise: str = "none",
) -> Measure:  # fmt: skip
    """How many descents the loss has; arguments as of `plateaus`."""
    return _of_stages("descents", ratio, fall, time, noise)


def upticks(*, rise: Thresholds = 1.05) -> Measure:
    """How many times the loss rises by at least the factor `rise`, above 1, main first."""
    _between("rise", rise, 1, float("inf"))
    return Measure("upticks", _upticks, rise=rise)


def oscillation(*, rise: Thresholds = 1.05) -> Measure:
    """The share of records at which the loss is above `rise` times its least since it was last at its highest."""
    _between("rise", rise, 1, float("inf"))
    return Measure("oscillation", _oscillation, range=(0, 1), rise=rise)


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


def final_ratio(*, parts: int = 1, name: str = "loss_ratio") -> Measure:
    """The last loss over the first; or the loss at the end of the first of so many `parts` of the budget."""
    whole = isinstance(parts, int) and not isinstance(parts, bool)
    require(whole and parts >= 1, "parts", parts, "must be a whole number, at least 1")
    return Measure(name, _final_ratio, parts=parts)


def time_to(*, share: Thresholds = 0.5, name: str = "time_to") -> Measure:
    """The first recorded step at which the loss is at most `share` of the first, infinite if it never is."""
    _between("share", share, 0, 1)
    return Measure(name, _time_to, share=share)
