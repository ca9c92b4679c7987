# SPDX-License-Identifier: Apache-2.0
"""Turning points of a curve by hysteresis: the one primitive behind bumps, descents, plateaus and upticks.

Walking along a curve, a maximum counts once the curve has since fallen by `delta`, a minimum once it has
risen by `delta`. The interior maxima so found are those whose topological persistence is at least `delta`
(Edelsbrunner, Letscher and Zomorodian 2002), which are those that `scipy.signal.find_peaks(prominence=delta)`
finds, with one exception: of several maxima of exactly equal height between which the curve falls by less
than `delta`, scipy reports each and persistence (and this module) only the first.

Everything runs inside jit in one pass, O(T), on arrays `(T, ...)`.
"""

import math

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.measures.concrete import require_between


@struct.dataclass
class TurningPoints:
    """The turning points of curves, listed at the moment at which each is confirmed.

    `kind`: `(T, ...)` int8, +1 where a maximum is confirmed, -1 where a minimum is, else 0.
    `index`: `(T, ...)` int32, where along the curve that extremum lies (the middle of a flat one).
    `finite`: `(...)` bool, False for a curve that holds a NaN or an infinity: no turning points are listed there.
    """

    kind: jax.Array
    index: jax.Array
    finite: jax.Array


@struct.dataclass
class _Extreme:
    """A running extremum: its `value`, and the flat run `[first, last]` on which it was reached."""

    value: jax.Array
    first: jax.Array
    last: jax.Array

    def update(self, t: jax.Array, x: jax.Array, beyond: jax.Array) -> "_Extreme":
        """Moves to `x` where it goes `beyond` the extremum; lengthens the flat run where it stays level."""
        level = (x == self.value) & (self.last == t - 1)
        return _Extreme(
            value=jnp.where(beyond, x, self.value),
            first=jnp.where(beyond, t, self.first),
            last=jnp.where(beyond | level, t, self.last),
        )

    def restart(self, t: jax.Array, x: jax.Array, where: jax.Array) -> "_Extreme":
        """Starts again from `x` where told."""
        return _Extreme(
            value=jnp.where(where, x, self.value),
            first=jnp.where(where, t, self.first),
            last=jnp.where(where, t, self.last),
        )

    @property
    def middle(self) -> jax.Array:
        return (self.first + self.last) // 2


def _turn(
    mode: jax.Array, high: jax.Array, low: jax.Array, x: jax.Array, delta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether a curve at `x` has fallen from `high`, or risen from `low`, by `delta`, and its mode after that: 1 where
    it looks for a maximum, -1 for a minimum, 0 where it has not turned yet. All are floats: XLA's CPU compiler runs
    through a mixture of widths at a third of the speed."""
    fell = (mode >= 0) & (high - x >= delta)
    rose = (mode <= 0) & (x - low >= delta)
    one = jnp.ones_like(mode)
    return fell, rose, jnp.where(fell, -one, jnp.where(rose, one, mode))


def turning_points(curve: jax.Array, delta: float | jax.Array) -> TurningPoints:
    """Finds the interior maxima and minima of curves by hysteresis.

    The first and the last point are never turning points; pad the curve with a wall (a value `delta` away)
    to make an end count.

    Args:
      curve: `(T, ...)` floats, time first.
      delta: how far a curve must turn back, in the curve's units; a scalar or `(...)`.

    Returns:
      The `TurningPoints`, with arrays `(T, ...)`.

    Raises:
      ArgumentError: if `delta` is known and not positive.
    """
    require_between("delta", delta, 0, math.inf)
    chex.assert_type(curve, float)
    delta = jnp.asarray(delta, curve.dtype)
    finite = jnp.isfinite(curve).all(axis=0)
    start = jnp.zeros(curve.shape[1:], jnp.int32)

    def walk(carry, timed):
        mode, high, low = carry
        t, x = timed
        high = high.update(t, x, x > high.value)
        low = low.update(t, x, x < low.value)
        fell, rose, after = _turn(mode, high.value, low.value, x, delta)
        kind = (fell & (mode > 0)).astype(jnp.int8) - (rose & (mode < 0)).astype(jnp.int8)
        index = jnp.where(fell, high.middle, low.middle)
        return (after, high.restart(t, x, rose), low.restart(t, x, fell)), (kind, index)

    first = _Extreme(value=curve[0], first=start, last=start)
    times = jnp.arange(curve.shape[0], dtype=jnp.int32)
    _, (kind, index) = jax.lax.scan(walk, (jnp.zeros_like(curve[0]), first, first), (times, curve))
    return TurningPoints(kind=jnp.where(finite, kind, jnp.int8(0)), index=index, finite=finite)


def count_maxima(curve: jax.Array, delta: float | jax.Array) -> jax.Array:
    """Counts the interior maxima of curves: for an alignment curve, its bumps.

    Args:
      curve: `(T, ...)` floats, time first.
      delta: how far a curve must fall after a maximum, in the curve's units.

    Returns:
      `(...)` int32 counts, 0 for a curve that is not finite throughout.

    Raises:
      ArgumentError: if `delta` is known and not positive.
    """
    return _count(curve, delta)[0]


def count_rises(curve: jax.Array, delta: float | jax.Array) -> jax.Array:
    """Counts the rises of at least `delta` after a minimum, one that lies at the start included.

    Args:
      curve: `(T, ...)` floats, time first.
      delta: how far a curve must rise after a minimum, in the curve's units.

    Returns:
      `(...)` int32 counts, 0 for a curve that is not finite throughout.

    Raises:
      ArgumentError: if `delta` is known and not positive.
    """
    wall = curve[:1] + 2 * jnp.asarray(delta, curve.dtype)
    return _count(jnp.concatenate([wall, curve]), delta)[1]


def _count(curve: jax.Array, delta: float | jax.Array) -> tuple[jax.Array, jax.Array]:
    """How many interior maxima and minima curves have: `turning_points` without their places.

    Curves lie side by side in one long row, which is seven times as fast as rows of ten (r = 10, one CPU core).
    """
    chex.assert_type(curve, float)
    require_between("delta", delta, 0, math.inf)
    shape = curve.shape[1:]
    delta = jnp.broadcast_to(jnp.asarray(delta, curve.dtype), shape).reshape(-1)
    curve = curve.reshape(len(curve), delta.size)

    def walk(carry, x):
        mode, high, low, maxima, minima = carry
        high, low = jnp.maximum(high, x), jnp.minimum(low, x)
        fell, rose, after = _turn(mode, high, low, x, delta)
        one, none = jnp.ones_like(x), jnp.zeros_like(x)
        maxima, minima = (
            count + jnp.where(found, one, none)
            for count, found in ((maxima, fell & (mode > 0)), (minima, rose & (mode < 0)))
        )
        return (after, jnp.where(rose, x, high), jnp.where(fell, x, low), maxima, minima), None

    none = jnp.zeros_like(curve[0])
    (_, _, _, *counts), _ = jax.lax.scan(walk, (none, curve[0], curve[0], none, none), curve)
    finite = jnp.isfinite(curve).all(axis=0)
    maxima, minima = (jnp.where(finite, count, 0).astype(jnp.int32).reshape(shape) for count in counts)
    return maxima, minima


@struct.dataclass
class Falls:
    """The falls after some of a curve's interior maxima, in their order.

    `count`: `(...)` int32, how many interior maxima there are in all. `top`, `bottom`: `(slots, ...)` int32, from where
    along the curve to where it falls; 0 where there is no such maximum.
    """

    count: jax.Array
    top: jax.Array
    bottom: jax.Array


def find_falls(
    curve: jax.Array, delta: float | jax.Array, *, slots: int, skip: int | jax.Array = 0, last: jax.Array | None = None
) -> Falls:
    """Where a curve falls after its interior maxima: from the last point at the maximum to the first at the lowest
    point after it, before the curve has risen by `delta` again.

    Maxima are those of `turning_points`. Of a level top or bottom the ends are taken between which the curve falls.

    Args:
      curve: `(T, ...)` floats, time first.
      delta: how far a curve must turn back, in the curve's units; a scalar or `(...)`.
      slots: of how many maxima the falls are told.
      skip: how many maxima are passed by before those.
      last: the place after which the curve is taken to stay as it is; by default its end.

    Returns:
      The `Falls`; of a curve that is not finite up to `last`, none.
    """
    chex.assert_type(curve, float)
    shape, dtype = curve.shape[1:], curve.dtype
    delta = jnp.broadcast_to(jnp.asarray(delta, dtype), shape).reshape(-1)
    curve = curve.reshape(len(curve), delta.size)
    times = jnp.arange(len(curve)).astype(dtype)
    within = times <= jnp.asarray(len(curve) - 1 if last is None else last, dtype)
    skip = jnp.asarray(skip, dtype)

    def walk(carry, timed):  # as `_count`, with places; these are floats too
        mode, high, top, low, count, tops, bottoms = carry
        t, told, x = timed
        peak, lower = (mode >= 0) & (x >= high), x < low
        high, top, low = jnp.where(peak, x, high), jnp.where(peak, t, top), jnp.minimum(low, x)
        fell, rose, after = _turn(mode, high, low, x, delta)
        new, falling = told & fell & (mode > 0), told & (fell | (lower & (mode < 0)))
        tops = [jnp.where(new & (count == skip + i), top, each) for i, each in enumerate(tops)]
        count = count + jnp.where(new, jnp.ones_like(x), jnp.zeros_like(x))
        bottoms = [jnp.where(falling & (count == skip + i + 1), t, each) for i, each in enumerate(bottoms)]
        high, top = jnp.where(rose, x, high), jnp.where(rose, t, top)
        return (after, high, top, jnp.where(fell, x, low), count, tops, bottoms), None

    none, at = jnp.zeros_like(curve[0]), [jnp.zeros_like(curve[0])] * slots
    start = none, curve[0], none, curve[0], none, at, at
    (*_, count, tops, bottoms), _ = jax.lax.scan(walk, start, (times, within, curve))
    finite = (jnp.isfinite(curve) | ~within[:, None]).all(axis=0)
    count, *places = (jnp.where(finite, x, 0).astype(jnp.int32).reshape(shape) for x in (count, *tops, *bottoms))
    stacked = jnp.stack(places) if places else jnp.zeros((0, *shape), jnp.int32)
    return Falls(count=count, top=stacked[:slots], bottom=stacked[slots:])
