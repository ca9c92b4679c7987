# SPDX-License-Identifier: Apache-2.0
"""What a loss curve has gained: its running minimum, its speed, and the rises that undo what was gained.

Walking along a curve, `high` is the loss from which the walk started and `low` the least since then. A loss that is
back at `high`, or above it, has undone all progress: the walk starts anew from there, and as long as the curve rises
further. Any lesser rise is oscillation, and is passed over: the curve runs straight from the last record of progress
to the next one, so that a spike in a descent makes no plateau. While a curve oscillates (one of the last `CALM`
records was no progress) a loss below `low` is progress only if the next `CALM` records stay below `low` too, and counts
with the highest of them: the late dip of a curve that jitters around a level is no descent. A curve that never rises
stays as it is.

With noise of standard deviation `s` only changes by more than `slack = k s` are progress or rises.
"""

import math

import jax
import jax.numpy as jnp
from flax import struct

SPEED_FLOOR = 1e-10  # of the greatest speed: far below any plateau, far above float32's smallest number
CALM = 8  # records: jitter and oscillation of shorter periods are passed over
LAST = 3  # records
NEAR = 0.1  # of the fall after it
RISING = 2 * math.log(SPEED_FLOOR)  # the log-speed of a rise that undoes: below the floor, a valley of its own


@struct.dataclass
class Progress:
    """The progress of loss curves, by record `(T, ...)` and by segment between records `(T - 1, ...)`.

    `last`: `(T, ...)` int32, the last record of progress up to each record. `low`: `(T, ...)` the loss there.
    `speed`: `(T - 1, ...)` the log-speed of progress over the greatest one, floored; `RISING` where a rise undoes it.
    `slowest`: `(T - 1, ...)` the least log of |speed| since the last such rise began.
    `bottom`, `top`: `(T - 1, ...)` int32, the records at which the rise around a segment begins and ends; the segment's
    first record where there is none.
    """

    last: jax.Array
    low: jax.Array
    speed: jax.Array
    slowest: jax.Array
    bottom: jax.Array
    top: jax.Array

    @property
    def rising(self) -> jax.Array:
        """`(T - 1, ...)` bool, whether a segment belongs to a rise that undoes progress."""
        return self.top > self.bottom


def walk(loss: jax.Array, slack: jax.Array | float = 0.0) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Walks along curves.

    Args:
      loss: `(T, ...)` floats, finite.
      slack: scalar or `(T, ...)`, the least change that counts.

    Returns:
      `(T, ...)` each: whether a record is one of progress or of a rise that undoes it; whether it is of such a rise;
      the loss at the last of these, as it counts.
    """
    slack = jnp.broadcast_to(jnp.asarray(slack, loss.dtype), loss.shape)

    def step(carry, now):
        high, low, least, calm, away = carry
        x, ahead, back, little = now
        undone = (x >= high) & (x > low + little)
        quiet = calm >= CALM
        gained = jnp.where(quiet & ~(back & (ahead < high)), x, ahead) <= jnp.minimum(least, low - little)
        kept = undone | gained
        after = jnp.where(undone | (gained & quiet), x, jnp.where(gained, ahead, low))
        ends = gained & ~undone & (away <= NEAR * (low - after))
        calm = jnp.where(undone, float(CALM), jnp.where(kept, calm + 1, 0))
        away = jnp.where(kept, 0, jnp.maximum(away, jnp.abs(x - low)))
        carry = (jnp.where(undone, x, high), after, jnp.where(undone, x, jnp.minimum(least, x)), calm, away)
        return carry, (kept, undone, after, ends)

    none = jnp.zeros_like(loss[0])
    first = (loss[0], loss[0], loss[0], none + CALM, none)
    _, (kept, undone, low, ends) = jax.lax.scan(step, first, (loss, *_what_follows(loss), slack))
    # A plateau, all records of which lie next to `low`, lasts up to the record before it ends.
    kept = jnp.concatenate([jnp.ones_like(kept[:1]), kept[1:-1] | ends[2:], kept[-1:]])
    return kept, undone, low


def _what_follows(loss: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The highest of each record and the `CALM` after it; whether one of these is above the record before it, and a
    later one is not: a dip that is taken back."""
    before = jnp.concatenate([loss[:1], loss[:-1]])
    highest, above, back = loss, jnp.zeros_like(loss, bool), jnp.zeros_like(loss, bool)
    for by in range(1, CALM + 1):
        ahead = jnp.concatenate([loss[by:], jnp.broadcast_to(loss[-1:], loss[:by].shape)])[: len(loss)]
        highest = jnp.maximum(highest, ahead)
        back |= above & (ahead <= before)
        above |= ahead > before
    # Whether the last records are a dip will never be known.
    return (highest.at[-LAST:].set(jnp.inf) if len(loss) > CALM else highest), back


def progress(steps: jax.Array, loss: jax.Array, *, time: str = "linear", slack: jax.Array | float = 0.0) -> Progress:
    """The progress of loss curves.

    Args:
      steps: `(T,)` the step of each record, increasing; not negative if `time` is "log".
      loss: `(T, ...)` floats, finite.
      time: "linear" for speeds by step, "log" by the logarithm of the step; step 0 counts there as half of the next
        record's step, so that the unit of steps does not matter.
      slack: scalar or `(T, ...)`, the least change of the loss that counts.

    Returns:
      The `Progress`.
    """
    kept, undone, low = walk(loss, slack)
    count = loss.shape[0]
    record = jnp.broadcast_to(jnp.arange(count, dtype=jnp.int32).reshape((-1,) + (1,) * (loss.ndim - 1)), loss.shape)
    last = jax.lax.cummax(jnp.where(kept, record, 0), axis=0)
    following = jax.lax.cummin(jnp.where(kept, record, count), axis=0, reverse=True)

    start, end = last[:-1], jnp.minimum(following[1:], count - 1)
    ended = following[1:] < count  # nothing is gained after the last record of progress
    gained = jnp.where(ended, low[:-1] - jnp.take_along_axis(low, end, axis=0), 0)
    change = gained / _duration(steps, start, end, time, loss.dtype)
    rising = ended & jnp.take_along_axis(undone, end, axis=0)
    fastest = jnp.where(rising, 0, change).max(axis=0, keepdims=True)
    share = jnp.where(fastest > 0, jnp.abs(change) / jnp.where(fastest > 0, fastest, 1), 0)
    pace = jnp.log(jnp.clip(share, SPEED_FLOOR, 1 / SPEED_FLOOR))

    segment = record[:-1]
    bottom = jax.lax.cummax(jnp.where(rising, 0, segment + 1), axis=0)
    top = jax.lax.cummin(jnp.where(rising, count - 1, segment), axis=0, reverse=True)
    return Progress(
        last=last,
        low=low,
        speed=jnp.where(rising, jnp.asarray(RISING, pace.dtype), pace),
        slowest=_least_since(rising & (bottom == segment), pace),
        bottom=jnp.where(rising, bottom, segment),
        top=jnp.where(rising, top, segment),
    )


def _duration(steps: jax.Array, start: jax.Array, end: jax.Array, time: str, dtype: jnp.dtype) -> jax.Array:
    """The time between records `(T - 1, ...)`."""
    if time == "linear":
        return (steps[end] - steps[start]).astype(dtype)
    at = steps.astype(dtype)
    at = at.at[0].set(jnp.where(at[0] > 0, at[0], at[1] / 2))
    return jnp.log1p((at[end] - at[start]) / at[start])


def _least_since(begins: jax.Array, x: jax.Array) -> jax.Array:
    """The running minimum of `x` `(T, ...)`, which begins again where told."""

    def join(a, b):
        return a[0] | b[0], jnp.where(b[0], b[1], jnp.minimum(a[1], b[1]))

    return jax.lax.associative_scan(join, (begins, x), axis=0)[1]
