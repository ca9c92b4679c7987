# SPDX-License-Identifier: Apache-2.0
"""Loss curves without their noise: means over as many records as the noise asks for and the curve allows."""

import jax
import jax.numpy as jnp

SCALES = (1, 2, 4, 8, 16, 32, 64)  # records to either side over which a mean may be taken


def smoothed(
    loss: jax.Array, noise: jax.Array, wanted: jax.Array, *, apart: float = 3.0
) -> tuple[jax.Array, jax.Array]:
    """Means of as many records as the noise asks for and the curve allows.

    The window around a record grows as long as its mean is noisier than is wanted, and agrees with the means of all
    smaller windows within `apart` standard deviations (Lepski's rule), so that steep falls stay steep.

    Args:
      loss: `(T, ...)` floats, finite.
      noise: `(T, ...)` the standard deviation of the noise at each record.
      wanted: scalar or `(1, ...)`, the standard deviation below which a window need not grow.
      apart: how far means may differ.

    Returns:
      The means, and their standard deviations, `(T, ...)` each.
    """
    count = len(loss)
    mean, spread = loss, noise
    lowest, highest = loss - apart * noise, loss + apart * noise
    grows = jnp.ones_like(loss, bool)
    for half in SCALES:
        if 8 * half > count:
            break
        value, size = _mean(loss, half)
        deviation = noise / jnp.sqrt(size).reshape((-1,) + (1,) * (loss.ndim - 1))
        grows &= (spread > wanted) & (value >= lowest) & (value <= highest)
        mean, spread = jnp.where(grows, value, mean), jnp.where(grows, deviation, spread)
        lowest = jnp.maximum(lowest, value - apart * deviation)
        highest = jnp.minimum(highest, value + apart * deviation)
    return mean, spread


def _mean(x: jax.Array, half: int) -> tuple[jax.Array, jax.Array]:
    """The mean over up to so many records to either side, and how many they are; `half` is a power of two."""

    def right(y: jax.Array) -> jax.Array:
        width = 1
        while width < half:
            y = y + jnp.concatenate([y[width:], jnp.zeros_like(y[:width])])
            width *= 2
        return y

    def total(y: jax.Array) -> jax.Array:
        ahead = right(y)
        after = jnp.concatenate([ahead[1:], jnp.zeros_like(y[:1])])
        behind = right(y[::-1])[::-1]
        before = jnp.concatenate([jnp.zeros_like(y[:1]), behind[:-1]])
        return before + y + after

    size = total(jnp.ones(len(x), x.dtype))
    return total(x) / size.reshape((-1,) + (1,) * (x.ndim - 1)), size
