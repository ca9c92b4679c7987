# SPDX-License-Identifier: Apache-2.0
"""Values that a model knows in part, comparisons that a human answers, and what either says of them in bits.

Values are a unit vector w in R^d, in coordinates of which the first k span the subspace that the model believes in:

  w = (u + sigma v) / sqrt(1 + sigma^2),   u a unit vector in the true subspace, v one orthogonal to it

The true subspace is the model's, tilted by the same angle theta in k planes: its basis is cos(theta) e_j + sin(theta)
e_(k+j). A human compares two things whose difference x has entries N(0, 1), so that g = w.x is N(0, 1), and prefers the
first with probability sigmoid(s g), s the sharpness.

  information of an answer        I(y; w) = 1 - E h2(sigmoid(s g)) bits
  Fisher information an answer    I = s^2 E[sigmoid'(s g)], along each direction orthogonal to w for s small
  cap-area bound                  -log2 of the share of the sphere S^(d-1) within an angle

A principle is a copy of w's k coordinates in the model's subspace, with noise of relative length epsilon, in b bits a
coordinate: cells of equal probability under N(0, 3/k), whose density is the cube root of that of N(0, 1/k) (Panter and
Dite 1951), read as their middles.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import betainc, ndtr, ndtri, xlogy

from jaxmyopia import draws

PRIORS = ("isotropic", "soft", "subspace")
_GRID = np.linspace(-8.0, 8.0, 257)  # of g: the trapezoidal rule is exact to float32 here


def normals(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Normal numbers `(S, *shape)` from keys `(S,)`, consumed: of uniform ones in the middle of their cells."""
    uniform = 2 * draws.uniform(keys, shape) - 1 + jnp.finfo(jnp.float32).eps
    return jnp.moveaxis(np.sqrt(2).astype(uniform.dtype) * jax.scipy.special.erfinv(uniform), -1, 0)


def values(noise: jax.Array, k: jax.Array, sigma: jax.Array, angle: jax.Array) -> jax.Array:
    """The values of one seed.

    Args:
      noise: `(2, d)` normal numbers.
      k: how many coordinates the model's subspace has, a whole number of at most d / 2.
      sigma: the length outside the true subspace over that inside.
      angle: between the two subspaces, in degrees.

    Returns:
      w, `(d,)`.
    """
    place, k = jnp.arange(noise.shape[1]), k.astype(jnp.int32)
    mine, turned = place < k, (place >= k) & (place < 2 * k)
    cos, sin = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))

    def embedded(inside):  # coordinates in the tilted basis, `(d,)` with zeros from k on, as a vector
        return jnp.where(mine, cos * inside, jnp.where(turned, sin * jnp.roll(inside, k), 0))

    u = embedded(unit(jnp.where(mine, noise[0], 0)))
    along = jnp.where(mine, cos * noise[1] + sin * jnp.roll(noise[1], -k), 0)
    v = unit(noise[1] - embedded(along))
    return (u + sigma * v) / jnp.sqrt(1 + sigma**2)


def unit(x: jax.Array) -> jax.Array:
    """A vector `(d,)` at length 1; zeros stay."""
    return x / jnp.maximum(jnp.linalg.norm(x), jnp.finfo(x.dtype).tiny)


def variances(d: int, k: jax.Array, believed: jax.Array, prior: jax.Array) -> jax.Array:
    """A learner's prior variances `(d,)` of w's coordinates, which add up to 1.

    Args:
      d: the dimension.
      k: of the model's subspace.
      believed: the sigma that a soft prior believes in.
      prior: a place in `PRIORS`.

    Returns:
      Isotropic: 1 / d. Soft: 1 / (k (1 + believed^2)) inside, believed^2 / ((d - k) (1 + believed^2)) outside.
      Subspace: 1 / k inside, 0 outside.
    """
    outside = jnp.stack([(d - k) / jnp.asarray(d, k.dtype), believed**2 / (1 + believed**2), jnp.zeros_like(k)])
    share = outside[prior.astype(jnp.int32)]
    return jnp.where(jnp.arange(d).astype(k.dtype) < k, (1 - share) / k, share / (d - k))


def entropy(logit: jax.Array) -> jax.Array:
    """The entropy of an answer, in bits, from its log-odds."""
    size = jnp.abs(logit)
    falls = jnp.exp(-size)
    return (jnp.log1p(falls) + size * falls / (1 + falls)) / jnp.log(jnp.asarray(2, size.dtype))


def answer_information(sharpness: jax.Array) -> jax.Array:
    """I(y; w) of a comparison chosen at random, in bits, for any number of `sharpness`."""
    weights = np.exp(-(_GRID**2) / 2) / np.exp(-(_GRID**2) / 2).sum()
    shape = (1,) * sharpness.ndim + (-1,)
    grid, weights = (x.astype(sharpness.dtype).reshape(shape) for x in (_GRID, weights))
    return 1 - (weights * entropy(sharpness[..., None] * grid)).sum(axis=-1)


def fisher_information(sharpness: float) -> float:
    """s^2 E[sigmoid'(s g)] of a comparison chosen at random."""
    weights = np.exp(-(_GRID**2) / 2) / np.exp(-(_GRID**2) / 2).sum()
    slope = 1 / (2 + 2 * np.cosh(np.minimum(sharpness * np.abs(_GRID), 80)))
    return float(sharpness**2 * (weights * slope).sum())


def cap_bits(cos: np.ndarray | float, d: int) -> np.ndarray:
    """The fewest bits by which a direction in R^d can be told to within an angle whose cosine, at least 0, is given."""
    share = betainc((d - 1) / 2, 0.5, 1 - np.square(cos)) / 2
    return -np.log2(share)


def copied(inside: jax.Array, noise: jax.Array, epsilon: jax.Array, k: jax.Array, bits: jax.Array) -> jax.Array:
    """What a principle says of w in so many bits a coordinate.

    Args:
      inside: `(d,)` w's coordinates in the model's subspace, zeros from k on.
      noise: `(d,)` normal numbers.
      epsilon: the noise's length over that of what is copied, about.
      k: of the subspace.
      bits: a coordinate, a whole number; 0 says nothing.

    Returns:
      The copy `(d,)` as it is read, at any length.
    """
    mine = jnp.arange(inside.shape[0]).astype(k.dtype) < k
    copy = unit(inside) * jnp.sqrt(k) + epsilon * noise
    cells = jnp.exp2(bits.astype(k.dtype))
    width = jnp.sqrt(jnp.asarray(3, k.dtype))
    cell = jnp.clip(jnp.floor(cells * jax.scipy.special.ndtr(copy / width)), 0, cells - 1)
    return jnp.where(mine & (bits > 0), width * jax.scipy.special.ndtri((cell + 0.5) / cells), 0)


def code_lengths(most: int) -> np.ndarray:
    """The mean code lengths of a coordinate that is N(0, 1 / k), entropy coded, at 0 to `most` bits, `(most + 1,)`."""
    found = []
    for bits in range(most + 1):
        ends = np.sqrt(3) * ndtri(np.linspace(0, 1, 2**bits + 1))
        cells = np.diff(ndtr(ends))
        found.append(-xlogy(cells, cells).sum() / np.log(2))
    return np.abs(found)
