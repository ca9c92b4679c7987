# SPDX-License-Identifier: Apache-2.0
"""Descents, plateaus and upticks of loss curves.

With `v = -dL/dt` between records, floored at a tiny share of its greatest value, a descent is a peak of `log v`
that stands out by `log(1/ratio)` (1/2: log 2) and over which the loss falls by at least the share `fall` of the
first loss. Stretches of less fall merge: their falls add up until they make a descent, whose peak is that of the
stretch that fell most; what is left at the end belongs to the descent before it. A plateau is the slow stretch
before or between descents in which `v` is at most `ratio` times both neighbours' peaks (before the first descent:
times its peak). The counts do not change when the loss or the time is measured in other units.

An exponential decay is one descent and no plateau; an S-curve is one of each.
"""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.measures.turning_points import count_rises, turning_points

_SPEED_FLOOR = 1e-10  # of the greatest speed: far below any plateau, far above float32's smallest number


@struct.dataclass
class Descents:
    """The descents of loss curves, listed at the moment at which each is closed.

    `closed`: `(T', ...)` bool, whether a descent is closed at this moment of the walk.
    `start`, `peak`, `end`: `(T', ...)` int32, the record at which it starts, is fastest and ends.
    `plateau`: `(T', ...)` bool, whether a plateau lies before it.
    """

    closed: jax.Array
    start: jax.Array
    peak: jax.Array
    end: jax.Array
    plateau: jax.Array

    @property
    def count(self) -> jax.Array:
        """`(...)` int32, the number of descents."""
        return self.closed.sum(axis=0, dtype=jnp.int32)

    @property
    def plateaus(self) -> jax.Array:
        """`(...)` int32, the number of plateaus."""
        return (self.closed & self.plateau).sum(axis=0, dtype=jnp.int32)


@struct.dataclass
class _Walk:
    """What the walk over turning points of the speed remembers; every field `(...)`.

    `start`, `start_loss`: where the descent in the making starts. `valley_loss`: the loss at the last valley.
    `last_peak`, `last_slow`: the last peak passed, and whether the curve was ever slow before it. `most`, `peak`,
    `slow`: of the stretch that fell most since `start`, its fall and the same two. `later`: one is closed already.
    """

    start: jax.Array
    start_loss: jax.Array
    valley_loss: jax.Array
    last_peak: jax.Array
    last_slow: jax.Array
    most: jax.Array
    peak: jax.Array
    slow: jax.Array
    later: jax.Array


def _log_speed(steps: jax.Array, loss: jax.Array) -> jax.Array:
    """`log(-dL/dt)` between records, floored: `(T - 1, ...)`, up to a constant a curve."""
    duration = jnp.diff(steps).astype(loss.dtype).reshape((-1,) + (1,) * (loss.ndim - 1))
    speed = -jnp.diff(loss, axis=0) / duration
    fastest = speed.max(axis=0, keepdims=True)
    relative = jnp.where(fastest > 0, speed / jnp.where(fastest > 0, fastest, 1), 0)
    return jnp.log(jnp.maximum(relative, _SPEED_FLOOR))


def _start(loss: jax.Array) -> _Walk:
    index, no = jnp.zeros(loss.shape[1:], jnp.int32), jnp.zeros(loss.shape[1:], bool)
    return _Walk(
        start=index,
        start_loss=loss[0],
        valley_loss=loss[0],
        last_peak=index,
        last_slow=no,
        most=jnp.full_like(loss[0], -jnp.inf),
        peak=index,
        slow=no,
        later=no,
    )


def _choose(where: jax.Array, new: _Walk, old: _Walk) -> _Walk:
    return jax.tree.map(lambda a, b: jnp.where(where, a, b), new, old)


def _merge(
    walk: _Walk, kind: jax.Array, index: jax.Array, loss: jax.Array, slow: jax.Array, needed: jax.Array
) -> tuple[_Walk, Descents]:
    """Passes one turning point: a peak is remembered, a valley ends a stretch and perhaps the descent."""
    walk = _choose(kind == 1, dataclasses.replace(walk, last_peak=index, last_slow=slow), walk)

    fall = walk.valley_loss - loss
    leads = dataclasses.replace(walk, most=fall, peak=walk.last_peak, slow=walk.last_slow)
    grown = dataclasses.replace(_choose(fall > walk.most, leads, walk), valley_loss=loss)
    closed = (kind == -1) & (walk.start_loss - loss >= needed)
    # Between two descents lie two valleys, each a plateau to the peak beside it, and the lower one to both.
    found = Descents(closed=closed, start=grown.start, peak=grown.peak, end=index, plateau=grown.later | grown.slow)
    renewed = dataclasses.replace(
        grown, start=index, start_loss=loss, most=jnp.full_like(loss, -jnp.inf), later=jnp.ones_like(grown.later)
    )
    return _choose(closed, renewed, _choose(kind == -1, grown, walk)), found


def descents(
    steps: jax.Array, loss: jax.Array, *, ratio: float | jax.Array = 0.5, fall: float | jax.Array = 0.02
) -> Descents:
    """Finds the descents of loss curves and the plateaus before them.

    Args:
      steps: `(T,)` the step of each record, increasing.
      loss: `(T, ...)` the losses at the records.
      ratio: scalar, the speed of a plateau over that of the neighbouring descents, at most; in (0, 1).
      fall: scalar, the least fall of a descent, as a share of the first loss; in (0, 1).

    Returns:
      The `Descents`; none for a curve that is not finite throughout or does not start above zero.
    """
    chex.assert_axis_dimension(steps, 0, loss.shape[0])
    ratio, fall, last = jnp.asarray(ratio, loss.dtype), jnp.asarray(fall, loss.dtype), loss.shape[0] - 1
    speed = _log_speed(steps, loss)
    # Walls: the ends count as valleys, so that a descent may begin or end the curve; the last wall confirms the end.
    low, high = jnp.full_like(speed[:1], 2 * math.log(_SPEED_FLOOR)), jnp.zeros_like(speed[:1])
    points = turning_points(jnp.concatenate([low, speed, low, high]), -jnp.log(ratio))
    index = jnp.clip(points.index - 1, 0, last)
    at_record = jnp.take_along_axis(loss, index, axis=0)
    in_speed = jnp.minimum(index, last - 1)
    at_speed = jnp.take_along_axis(speed, in_speed, axis=0)
    slow = jnp.take_along_axis(jax.lax.cummin(speed, axis=0), in_speed, axis=0) <= jnp.log(ratio) + at_speed
    # The speed of a loss that holds a NaN is all floor, hence finite, and a loss of zero has nothing to fall.
    needed = jnp.where(jnp.isfinite(loss).all(axis=0) & (loss[0] > 0), fall * loss[0], jnp.inf)

    def pass_point(walk, point):
        kind, record, at, slowed = point
        return _merge(walk, kind, record, at, slowed, needed)

    _, found = jax.lax.scan(pass_point, _start(loss), (points.kind, index, at_record, slow))
    return found


def count_upticks(loss: jax.Array, *, rise: float | jax.Array = 1.05, floor: float = 1e-6) -> jax.Array:
    """Counts the rises of the loss by at least the factor `rise`.

    Args:
      loss: `(T, ...)` the losses at the records.
      rise: the factor, above 1.
      floor: losses below this share of the first count as equal to it: rounding noise makes no upticks.

    Returns:
      `(...)` int32 counts, 0 for a curve that is not finite throughout.
    """
    least = math.log(rise) if isinstance(rise, int | float) else jnp.log(rise)
    return count_rises(jnp.log(jnp.maximum(loss, floor * loss[:1])), least)
