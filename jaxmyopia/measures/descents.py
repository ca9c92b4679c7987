# SPDX-License-Identifier: Apache-2.0
"""Descents, plateaus and upticks of loss curves.

Loss curves are counted on their progress (`jaxmyopia.measures.progress`): the running minimum, which starts anew where
the loss is back at the height from which it fell. With `v` the speed of progress, `-dL/dt` or `-dL/d log t`, floored at
a tiny share of its greatest value, a descent is a peak of `log v` that stands out by `log(1/ratio)` (1/2: log 2) and
over which the loss falls by at least the share `fall` of the first loss. Stretches of less fall merge: their falls add
up until they make a descent, whose peak is that of the stretch that fell most; what is left at the end, or before the
loss is back at its height, belongs to the descent before it. A plateau is the slow stretch before or between descents
in which `v` is at most `ratio` times both neighbours' peaks; before a first descent, or the first since the loss came
back, the loss moves there, up or down, at most `ratio` times as fast as in the descent. In log time a slow start comes
by itself, so that only what lies between descents is a plateau. The counts do not change when the loss or the time is
measured in other units.

An exponential decay is one descent and no plateau; an S-curve is one of each (in log time: one and none). From 1 to
0.1, up to 5 and down to 0.1 are two descents; a rise from 1 to 10 and a fall to 3 is one.
"""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.checks import require_one_of
from jaxmyopia.measures.concrete import known, require_between, require_finite, require_steps
from jaxmyopia.measures.progress import RISING, Progress, progress
from jaxmyopia.measures.smoothing import smoothed
from jaxmyopia.measures.turning_points import count_rises, turning_points

TIMES = ("linear", "log")
# With noise a change of the loss counts from so many standard deviations over log(1/ratio) on, and from so large a
# share of the least descent: chosen on labelled curves (docs/measures.md).
SURE, LEAST = 9.5, 0.5
FLOOR = 1e-6  # of the first loss: what lies below is rounding noise


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
    `slow`: of the stretch that fell most since `start`, its fall and the same two. `later`: one is closed since the
    loss was last back at its height. `slowest`: the least log-speed of what such a rise parts from no descent.
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
    slowest: jax.Array


@struct.dataclass
class _Point:
    """A turning point of the speed; every field `(T', ...)`, or `(...)` of one.

    `kind`: as of `TurningPoints`. `peak`: its record. `end`, `end_loss` and `start`, `start_loss`: if it is a valley,
    the record at which the stretch before it ends and the one after it starts, and the losses there; these are two
    where a rise undoes progress. `speed`: its log-speed. `slowest`: the least since the last such rise; of such a rise,
    the least before it.
    """

    kind: jax.Array
    peak: jax.Array
    end: jax.Array
    end_loss: jax.Array
    start: jax.Array
    start_loss: jax.Array
    speed: jax.Array
    slowest: jax.Array


def _points(made: Progress, ratio: jax.Array) -> _Point:
    """The turning points of the speed, `(T + 2, ...)`."""
    # Walls: the ends count as valleys, so that a descent may begin or end the curve; the last wall confirms the end.
    low, high = jnp.full_like(made.speed[:1], RISING), jnp.zeros_like(made.speed[:1])
    found = turning_points(jnp.concatenate([low, made.speed, low, high]), -jnp.log(ratio))
    record = jnp.clip(found.index - 1, 0, len(made.speed))

    def at(x: jax.Array, place: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x, place, axis=0)

    def each_record(x: jax.Array) -> jax.Array:
        return jnp.concatenate([x, x[-1:]])

    # What a turning point at any record would be: few arrays are looked up at the many thresholds' turning points.
    rising = each_record(made.rising)
    end = jnp.where(rising, each_record(made.bottom), made.last)
    start = jnp.where(rising, each_record(made.top), made.last)
    before = jnp.where(end > 0, at(made.slowest, jnp.maximum(end - 1, 0)), 0)
    slowest = jnp.where(rising, before, each_record(made.slowest))
    return _Point(
        kind=found.kind, peak=record, end=at(end, record), end_loss=at(at(made.low, end), record),
        start=at(start, record), start_loss=at(at(made.low, start), record),
        speed=at(each_record(made.speed), record), slowest=at(slowest, record),
    )  # fmt: skip


def _start(made: Progress) -> _Walk:
    index = jnp.where(made.rising[0], made.top[0], 0)
    no, loss = jnp.zeros_like(made.rising[0]), jnp.take_along_axis(made.low, index[None], axis=0)[0]
    return _Walk(
        start=index,
        start_loss=loss,
        valley_loss=loss,
        last_peak=index,
        last_slow=no,
        most=jnp.full_like(loss, -jnp.inf),
        peak=index,
        slow=no,
        later=no,
        slowest=jnp.zeros_like(loss),
    )


def _choose(where: jax.Array, new: _Walk, old: _Walk) -> _Walk:
    return jax.tree.map(lambda a, b: jnp.where(where, a, b), new, old)


def _merge(walk: _Walk, point: _Point, ratio: jax.Array, needed: jax.Array) -> tuple[_Walk, Descents]:
    """Passes one turning point: a peak is remembered, a valley ends a stretch and perhaps the descent."""
    slow = jnp.minimum(point.slowest, walk.slowest) <= jnp.log(ratio) + point.speed
    walk = _choose(point.kind == 1, dataclasses.replace(walk, last_peak=point.peak, last_slow=slow), walk)

    valley, fall = point.kind == -1, walk.valley_loss - point.end_loss
    leads = dataclasses.replace(walk, most=fall, peak=walk.last_peak, slow=walk.last_slow)
    grown = dataclasses.replace(_choose(fall > walk.most, leads, walk), valley_loss=point.end_loss)
    closed = valley & (walk.start_loss - point.end_loss >= needed)
    # Between two descents lie two valleys, each a plateau to the peak beside it, and the lower one to both.
    plateau = grown.later | grown.slow
    found = Descents(closed=closed, start=grown.start, peak=grown.peak, end=point.end, plateau=plateau)
    undone = valley & (point.start > point.end)
    parted = jnp.where(walk.later | closed, 0, jnp.minimum(walk.slowest, point.slowest))
    renewed = dataclasses.replace(
        grown, start=point.start, start_loss=point.start_loss, valley_loss=point.start_loss,
        most=jnp.full_like(fall, -jnp.inf), later=~undone, slowest=jnp.where(undone, parted, walk.slowest),
    )  # fmt: skip
    return _choose(closed | undone, renewed, _choose(valley, grown, walk)), found


def _progress(
    steps: jax.Array,
    loss: jax.Array,
    ratio: jax.Array,
    fall: jax.Array,
    time: str,
    noise: float | jax.Array,
    sure: float,
) -> Progress:
    """The progress of curves, of which with noise only such changes count as make speeds that are known well."""
    level = known(noise)
    if level is not None and not level.any():
        return progress(steps, loss, time=time)
    clear, least = _resolved(steps, loss, jnp.asarray(noise, loss.dtype), ratio, fall, sure)
    return progress(steps, clear, time=time, slack=least)


def _resolved(
    steps: jax.Array, loss: jax.Array, noise: jax.Array, ratio: jax.Array, fall: jax.Array, sure: float
) -> tuple[jax.Array, jax.Array]:
    """The loss without its noise, and the least change that counts: a speed over it errs by so little that noise makes
    no peak that stands out by `log(1/ratio)`."""
    deviations = sure / -jnp.log(ratio)
    clear, spread = smoothed(steps, loss, jnp.broadcast_to(noise, loss.shape), LEAST * fall * loss[:1] / deviations)
    return clear, jnp.where(noise > 0, jnp.maximum(deviations * spread, LEAST * fall * loss[:1]), 0)


def resolution(
    steps: jax.Array,
    loss: jax.Array,
    noise: jax.Array,
    *,
    ratio: float | jax.Array = 0.5,
    fall: float | jax.Array = 0.02,
) -> jax.Array:
    """The least change of the loss that counts in spite of the noise, arguments as of `descents`.

    Returns:
      `(T, ...)`, in units of the loss.
    """
    ratio, fall = jnp.asarray(ratio, loss.dtype), jnp.asarray(fall, loss.dtype)
    return _resolved(steps, loss, noise, ratio, fall, SURE)[1]


def descents(
    steps: jax.Array,
    loss: jax.Array,
    *,
    ratio: float | jax.Array = 0.5,
    fall: float | jax.Array = 0.02,
    time: str = "linear",
    noise: float | jax.Array = 0.0,
    sure: float = SURE,
) -> Descents:
    """Finds the descents of loss curves and the plateaus before them.

    Args:
      steps: `(T,)` the step of each record, increasing; in log time not below 0.
      loss: `(T, ...)` the losses at the records.
      ratio: scalar, the speed of a plateau over that of the neighbouring descents, at most; in (0, 1).
      fall: scalar, the least fall of a descent, as a share of the first loss; in (0, 1).
      time: "linear" for the speed by step, "log" by the logarithm of the step, as on a logarithmic axis.
      noise: scalar, `(...)` or `(T, ...)`, the standard deviation of the noise in units of the loss; 0 for curves of
        training without noise. With noise the counts may err: see `jaxmyopia.measures.noise.in_noise`.
      sure: over `log(1/ratio)`, by how many standard deviations of the noise the loss must change for it to count.

    Returns:
      The `Descents`; under jit none for a curve that is not finite throughout, and none for one that does not start
      above zero.

    Raises:
      ArgumentError: if a value that is known, not traced, is not allowed: a threshold, a step that is no greater than
        the one before, a loss that is not finite.
    """
    require_one_of("time", time, TIMES)
    require_between("ratio", ratio, 0, 1)
    require_between("fall", fall, 0, 1)
    require_steps(steps, least=0 if time == "log" else -math.inf)
    require_finite("loss", loss)
    chex.assert_axis_dimension(steps, 0, loss.shape[0])
    ratio, fall, steps = jnp.asarray(ratio, loss.dtype), jnp.asarray(fall, loss.dtype), jnp.asarray(steps)
    finite = jnp.isfinite(loss).all(axis=0)
    made = _progress(steps, jnp.where(finite, loss, 0), ratio, fall, time, noise, sure)
    # A loss of zero has nothing to fall.
    needed = jnp.where(finite & (loss[0] > 0), fall * loss[0], jnp.inf)
    _, found = jax.lax.scan(lambda walk, point: _merge(walk, point, ratio, needed), _start(made), _points(made, ratio))
    if time == "linear":
        return found
    closed = found.closed.astype(jnp.int32)
    earlier = jnp.cumsum(closed, axis=0) > closed
    return dataclasses.replace(found, plateau=found.plateau & earlier)


def count_upticks(loss: jax.Array, *, rise: float | jax.Array = 1.05, floor: float = FLOOR) -> jax.Array:
    """Counts the rises of the loss by at least the factor `rise`.

    Args:
      loss: `(T, ...)` the losses at the records.
      rise: the factor, above 1.
      floor: losses below this share of the first count as equal to it: rounding noise makes no upticks.

    Returns:
      `(...)` int32 counts, 0 for a curve that is not finite throughout.

    Raises:
      ArgumentError: if `rise` or `floor` is known and not allowed.
    """
    require_between("rise", rise, 1, math.inf)
    require_between("floor", floor, 0, 1)
    least = math.log(rise) if isinstance(rise, int | float) else jnp.log(rise)
    return count_rises(jnp.log(jnp.maximum(loss, floor * loss[:1])), least)
