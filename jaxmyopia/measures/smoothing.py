# SPDX-License-Identifier: Apache-2.0
"""Loss curves without their noise: means over as many records as the noise asks for and the curve allows."""

import jax
import jax.numpy as jnp

SCALES = (1, 2, 4, 8, 16, 32, 64)  # records to either side over which a mean may be taken


def smoothed(
    steps: jax.Array, loss: jax.Array, noise: jax.Array, wanted: jax.Array, *, apart: float = 3.0
) -> tuple[jax.Array, jax.Array]:
    """Means of as many records as the noise asks for and the curve allows.

    The window around a record grows as long as its mean is noisier than is wanted, and agrees with the means of all
    smaller windows within `apart` standard deviations, so that steep falls stay steep.

    Args:
      steps: `(T,)`, increasing.
      loss: `(T, ...)` floats, finite.
      noise: `(T, ...)` the standard deviation of the noise at each record.
      wanted: `(1, ...)`, the standard deviation below which a window need not grow.
      apart: how far means may differ.

    Returns:
      The means, and their standard deviations, `(T, ...)` each.

    Source: Lepski, On a problem of adaptive estimation in Gaussian white noise (1990).
    """
    count = len(loss)
    mean, spread = loss, noise
    lowest, highest = loss - apart * noise, loss + apart * noise
    grows = jnp.ones_like(loss, bool)
    for half in SCALES:
        if 8 * half > count:
            break
        value, share = _mean(steps, loss, half)
        deviation = noise * share
        grows &= (spread > wanted) & (value >= lowest) & (value <= highest)
        mean, spread = jnp.where(grows, value, mean), jnp.where(grows, deviation, spread)
        lowest = jnp.maximum(lowest, value - apart * deviation)
        highest = jnp.minimum(highest, value + apart * deviation)
    return mean, spread


def _mean(steps: jax.Array, loss: jax.Array, half: int) -> tuple[jax.Array, jax.Array]:
    """The mean `(T, ...)` over up to so many records to either side, at the step of the middle one: of uneven records
    the mean lies at another step, and is moved along the slope between both sides. And its standard deviation over that
    of one record, `(T, 1, ...)`."""
    wide = (-1,) + (1,) * (loss.ndim - 1)
    u = ((steps - steps[0]) / (steps[-1] - steps[0])).astype(loss.dtype)
    before, after = _beside(loss, half)
    u_before, u_after = _beside(u, half)
    left, right = _beside(jnp.ones_like(u), half)
    size = left + 1 + right
    full, width = (left == half) & (right == half), u_after - u_before
    moved = jnp.where(full, u - (u_before + u + u_after) / size, 0) / jnp.where(full, width, 1)
    share = jnp.sqrt(1 / size + 2 * half * moved**2)
    return (before + loss + after) / size.reshape(wide) + (after - before) * moved.reshape(wide), share.reshape(wide)


def _beside(x: jax.Array, half: int) -> tuple[jax.Array, jax.Array]:
    """The sums over up to so many records before each and after it; `half` is a power of two, reached by doubling."""

    def after(y: jax.Array) -> jax.Array:
        width = 1
        while width < half:
            y = y + jnp.concatenate([y[width:], jnp.zeros_like(y[:width])])
            width *= 2
        return jnp.concatenate([y[1:], jnp.zeros_like(y[:1])])

    return after(x[::-1])[::-1], after(x)
