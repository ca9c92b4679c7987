# SPDX-License-Identifier: Apache-2.0
"""What a learner makes of answers: logistic regression with a Gaussian prior, its Laplace posterior, and what to ask.

The prior of beta = s w is N(0, s^2 diag(lambda)); in coordinates gamma = beta / (s sqrt(lambda)) it is N(0, 1), and a
coordinate of no variance stays 0. With rows x and answers y = 1 or -1, and A = diag(s sqrt(lambda)):

  f(gamma) = |gamma|^2 / 2 + sum log(1 + exp(-y x.A gamma)),   H = 1 + A (sum p (1 - p) x x') A

is minimised by Newton's steps d, damped by log(1 + m) / m, m the greatest change |x.A d| of a logit. Along d the third
derivative of f is at most m times the second, so that this step never rises (Bach 2010, Electronic Journal of
Statistics 4, section 2). log2 det(H) / 2 is how many times the prior's volume holds the posterior's, in bits. H, whose
eigenvalues are 1 and more, is inverted by sweeps without pivots (Goodnight 1979): one loop that runs on any device,
where a library's routines would each go their own way.

Between two fits an answer moves the Laplace posterior N(mean, V) by itself: with t^2 = z'Vz, z = A x, the new mean is
mean + V z a, a = y sigmoid(-y (z.mean + t^2 a)), and V loses V z (V z)' / (1 / (p (1 - p)) + t^2).

All functions are of one seed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.studies.feedback.model import entropy

ROWS = 64  # looked at together
_OF_ONE = 8  # Newton's steps for the weight of one answer
_GRID = np.linspace(-5.0, 5.0, 33)  # standard deviations of a logit; exact to 1e-3 bits up to a deviation of 8


@struct.dataclass
class Fit:
    """What was found: the most probable gamma, `mean` `(d,)`; H's inverse `spread` `(d, d)` and log2 det(H) / 2,
    `volume`, at the last step's start."""

    mean: jax.Array
    spread: jax.Array
    volume: jax.Array


def inverse(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The inverse `(d, d)` of a symmetric positive definite matrix `(d, d)`, and log2 of its determinant."""
    place = jnp.arange(matrix.shape[0])

    def sweep(j, found):
        swept, height = found
        row = jax.lax.dynamic_index_in_dim(swept, j, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(row, j, keepdims=False)
        here, scaled = place == j, row / pivot
        rest = swept - row[:, None] * scaled[None, :]
        rest = jnp.where(here[None, :], scaled[:, None], jnp.where(here[:, None], scaled[None, :], rest))
        corner = here[:, None] & here[None, :]
        return jnp.where(corner, -1 / pivot, rest), height + jnp.log2(pivot)

    swept, height = jax.lax.fori_loop(0, matrix.shape[0], sweep, (matrix, jnp.zeros((), matrix.dtype)))
    return -swept, height


def fit(rows: jax.Array, answers: jax.Array, count: jax.Array, scale: jax.Array, start: jax.Array, steps) -> Fit:
    """Finds the most probable values.

    Args:
      rows: `(n, d)`, n a multiple of `ROWS`.
      answers: `(n,)` 1 or -1.
      count: how many of the rows are there.
      scale: `(d,)` the diagonal of A.
      start: `(d,)` a gamma.
      steps: how many of Newton's, one at least.

    Returns:
      The `Fit`.
    """
    d, blocks = rows.shape[1], (count + (ROWS - 1)) // ROWS

    def block(i):
        x = jax.lax.dynamic_slice(rows, (i * ROWS, 0), (ROWS, d))
        y = jax.lax.dynamic_slice(answers, (i * ROWS,), (ROWS,))
        return x, y, i * ROWS + jnp.arange(ROWS) < count

    def newton(_, found):
        weights = scale * found.mean

        def add(i, sums):
            (slope, curvature), (x, y, there) = sums, block(i)
            wrong = jax.nn.sigmoid(-y * (x @ weights))
            heights = jnp.where(there, wrong * (1 - wrong), 0)
            return slope + jnp.where(there, y * wrong, 0) @ x, curvature + (x * heights[:, None]).T @ x

        slope, curvature = jax.lax.fori_loop(0, blocks, add, (jnp.zeros_like(scale), jnp.zeros_like(found.spread)))
        precision = jnp.eye(d, dtype=scale.dtype) + scale[:, None] * curvature * scale[None, :]
        spread, height = inverse(precision)
        step = spread @ (scale * slope - found.mean)

        def reach(i, most):
            x, _, there = block(i)
            return jnp.maximum(most, jnp.where(there, jnp.abs(x @ (scale * step)), 0).max())

        most = jax.lax.fori_loop(0, blocks, reach, jnp.asarray(1e-6, scale.dtype))
        return Fit(mean=found.mean + jnp.log1p(most) / most * step, spread=spread, volume=height / 2)

    first = Fit(mean=start, spread=jnp.eye(d, dtype=scale.dtype), volume=jnp.zeros((), scale.dtype))
    return jax.lax.fori_loop(0, steps, newton, first)


def expected_information(mean: jax.Array, deviation: jax.Array) -> jax.Array:
    """What an answer tells a learner of its logit, h2(E p) - E h2(p), in bits.

    Args:
      mean, deviation: `(M,)` of a logit that is normal.

    Returns:
      `(M,)`.
    """
    weights = np.exp(-(_GRID**2) / 2) / np.exp(-(_GRID**2) / 2).sum()
    grid, weights = (x.astype(mean.dtype) for x in (_GRID, weights))
    logits = mean[:, None] + deviation[:, None] * grid[None, :]
    known = (entropy(logits) * weights[None, :]).sum(axis=1)
    # The rarer answer's chance, of which no more than rounding is lost.
    rare = (jax.nn.sigmoid(-jnp.sign(mean)[:, None] * logits) * weights[None, :]).sum(axis=1)
    rare = jnp.clip(rare, jnp.finfo(mean.dtype).tiny, 0.5)
    return jnp.maximum(entropy(jnp.log1p(-rare) - jnp.log(rare)) - known, 0)


def told(mean: jax.Array, spread: jax.Array, z: jax.Array, answer: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Laplace posterior after one answer more.

    Args:
      mean: `(d,)` of gamma.
      spread: `(d, d)` V.
      z: `(d,)` A x.
      answer: 1 or -1.

    Returns:
      Both anew.
    """
    moved = spread @ z
    before, variance = z @ mean, z @ moved

    def newton(_, weight):
        wrong = jax.nn.sigmoid(-answer * (before + variance * weight))
        slope = 1 + variance * wrong * (1 - wrong)
        change = (answer * wrong - weight) / slope
        size = jnp.maximum(jnp.abs(variance * change), 1e-6)
        return weight + jnp.log1p(size) / size * change

    weight = jax.lax.fori_loop(0, _OF_ONE, newton, jnp.zeros_like(before))
    wrong = jax.nn.sigmoid(-answer * (before + variance * weight))
    height = wrong * (1 - wrong)
    return mean + moved * weight, spread - jnp.outer(moved, moved) * (height / (1 + height * variance))
