# SPDX-License-Identifier: Apache-2.0
"""The noise of loss curves from elsewhere, and whether they can be counted in spite of it.

The level of the noise is read off what the cubic through two neighbours on either side leaves of each record: of smooth
curves next to nothing, of independent noise a multiple of its standard deviation. The median over a window of records
makes it robust to descents of a few records, and lets it follow the loss.
"""

import jax
import jax.numpy as jnp

from jaxmyopia.measures.concrete import require_finite, require_steps
from jaxmyopia.measures.descents import SURE, Descents, descents, resolution

WINDOW = 31  # records over which the level is taken, twice as many from 400 records on
COARSER, FINER = 1.4, 0.75  # the least change that counts, over the usual one
COARSE = 2.0  # descents: three quarters of the records must tell apart losses that lie closer
CLEAN = 0.1  # of the changes: with noise between a third and two thirds are reversed, but on steep falls
ROUNDING = 1e-6  # of the first loss
_NORMAL = 0.6745  # the median of |x| for a standard normal x


def noise_level(steps: jax.Array, loss: jax.Array) -> jax.Array:
    """The standard deviation of the noise at each record.

    Args:
      steps: `(T,)`, increasing.
      loss: `(T, ...)` floats, finite.

    Returns:
      `(T, ...)`, in units of the loss; zero for fewer than five records.

    Raises:
      ArgumentError: if steps or losses are known and not allowed.
    """
    require_steps(steps)
    require_finite("loss", loss)
    if len(loss) < 5:
        return jnp.zeros_like(loss)
    left = _residuals(steps, loss)
    half = min(WINDOW if len(loss) < 400 else 2 * WINDOW, len(left)) // 2
    # Records that repeat the last one, as those after the end of a budget do, tell nothing.
    moves = jnp.cumsum((jnp.diff(loss, axis=0) != 0)[::-1].astype(jnp.int32), axis=0)[::-1]
    left = jnp.where(moves[2:-1] > 0, left, jnp.nan)
    place = jnp.clip(jnp.arange(len(left)), half, len(left) - 1 - half)
    windows = jnp.stack([left[place + by] for by in range(-half, half + 1)])
    level = jnp.nan_to_num(jnp.nanmedian(windows, axis=0)) / _NORMAL
    return jnp.concatenate([level[:1], level[:1], level, level[-1:], level[-1:]])


def _residuals(steps: jax.Array, loss: jax.Array) -> jax.Array:
    """What the cubic through four neighbours leaves of each record but the first and last two, `(T - 4, ...)`, in
    units in which independent noise has its own standard deviation."""
    t = steps.astype(loss.dtype)
    around = [t[:-4] - t[2:-2], t[1:-3] - t[2:-2], t[3:-1] - t[2:-2], t[4:] - t[2:-2]]
    values = [loss[:-4], loss[1:-3], loss[3:-1], loss[4:]]
    left, squared = loss[2:-2], jnp.ones_like(t[2:-2])
    for i, value in enumerate(values):
        weight = jnp.ones_like(squared)
        for j, other in enumerate(around):
            if j != i:
                weight = weight * other / (other - around[i])
        squared = squared + weight**2
        left = left - weight.reshape((-1,) + (1,) * (loss.ndim - 1)) * value
    return jnp.abs(left) / jnp.sqrt(squared).reshape((-1,) + (1,) * (loss.ndim - 1))


def reversals(loss: jax.Array) -> jax.Array:
    """The share of changes from record to record that the next one reverses, rounding aside, `(...)`."""
    change = jnp.diff(loss, axis=0)
    change = jnp.where(jnp.abs(change) > ROUNDING * loss[:1], change, 0)
    reversals, changes = (change[1:] * change[:-1] < 0).sum(axis=0), (change != 0).sum(axis=0)
    return reversals.astype(loss.dtype) / jnp.maximum(changes, 1).astype(loss.dtype)


def in_noise(
    steps: jax.Array,
    loss: jax.Array,
    noise: jax.Array,
    *,
    ratio: float | jax.Array = 0.5,
    fall: float | jax.Array = 0.02,
    time: str = "linear",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Counts curves that hold noise, and says which ones are too rough to be counted.

    A curve can be counted if its counts are the same where changes count from 40 % more on, or from three quarters on,
    and in every second record, the even and the odd ones; and if three quarters of the records tell apart losses that
    lie two least descents from each other. One that hardly ever turns back from record to record holds no noise, and
    can be counted if its counts are the same with and without what was taken for it.

    Args:
      steps: `(T,)`, increasing.
      loss: `(T, ...)` floats, finite.
      noise: `(T, ...)` the standard deviation of the noise at each record, as of `noise_level`.
      ratio, fall, time: as of `descents`.

    Returns:
      `(...)` each: descents, plateaus, and whether the curve is too rough.

    Raises:
      ArgumentError: as `descents`.
    """

    def counts(every: slice = slice(None), noise: jax.Array | float = noise, sure: float = SURE) -> Descents:
        level = noise[every] if isinstance(noise, jax.Array) else noise
        return descents(steps[every], loss[every], ratio=ratio, fall=fall, time=time, noise=level, sure=sure)

    def same(a: Descents, b: Descents) -> jax.Array:
        return (a.count == b.count) & (a.plateaus == b.plateaus)

    usual, plain = counts(), counts(noise=0.0)
    others = [counts(sure=COARSER * SURE), counts(sure=FINER * SURE)]
    if len(loss) >= 4:
        others += [counts(slice(0, None, 2)), counts(slice(1, None, 2))]
    agreed = jnp.stack([same(usual, other) for other in others]).all(axis=0)
    least = resolution(steps, loss, noise, ratio=ratio, fall=fall) / (jnp.asarray(fall, loss.dtype) * jnp.abs(loss[:1]))
    fine = jnp.quantile(least, 0.75, axis=0) < COARSE
    clean = reversals(loss) < CLEAN
    rough = jnp.where(clean, ~same(usual, plain), ~(agreed & fine))
    return jnp.where(clean, plain.count, usual.count), jnp.where(clean, plain.plateaus, usual.plateaus), rough
