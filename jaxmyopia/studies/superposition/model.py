# SPDX-License-Identifier: Apache-2.0
"""The model of superposition: F sparse features through m dimensions, and its exact loss where one is active.

  h = W x,  x' = phi(W^T h + b)        W (m, F), b (F,), phi = ReLU or the identity

With c_ij = W_i . W_j, feature i alone at the value u gives the output phi(c_ij u + b_j) at feature j, which should be
a u, a = 1 for j = i and 0 else. For u uniform on (0, 1) and phi = ReLU the expected squared error is

  e(a, c, b) = int_0^1 (a u - r)^2 du,  r = max(c u + b, 0)
             = a^2 / 3 - 2 a [c q_3 / 3 + b q_2 / 2] + [c^2 q_3 / 3 + c b q_2 + b^2 q_1],   q_k = hi^k - lo^k

where r > 0 on (lo, hi). With the root t = -b / c there are three cases beside the empty one:

  b > 0, c + b > 0: (0, 1)       b <= 0, c + b > 0: (t, 1)       b > 0, c + b <= 0: (0, t)

r vanishes at t, so that the derivatives are those at fixed lo and hi. Where exactly one of the F features is active,
each as often as the others, the loss is L = 1/F sum_ij I_j e([i = j], c_ij, b_j) for any W, b and m.

Losses are told as the share of the variance that is left: L / V, V = sum_j I_j Var(x_j). The best constant output has
1, so that 1 - L / V is capability, and the rate of plain gradient descent needs no factor 1/p.

A row of zeros stands below W for every dimension that a model lacks, up to the widest of a sweep.

Sources: Elhage et al. (2022), "Toy Models of Superposition"; Chen, Lau, Mendel, Wei and Murfet (2023), arXiv
2310.06301, whose potential for m = 2 this is in general form.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {"relu": jax.nn.relu, "linear": lambda x: x}


def importances(features: int, span: jax.Array) -> jax.Array:
    """The importance of each feature, falling evenly in its logarithm.

    >>> [f"{each:.3g}" for each in importances(3, jnp.asarray(100.0)).tolist()]
    ['1', '0.1', '0.01']

    Args:
      features: F.
      span: the first over the last; a scalar, 1 if all are alike.

    Returns:
      `(F,)`, the first 1.
    """
    places = jnp.arange(features, dtype=span.dtype) / max(features - 1, 1)
    return jnp.exp(-places * jnp.log(span))


def effective_features(features: int, span: float) -> float:
    """F_eff = (sum I)^2 / sum I^2: how many alike features the importances amount to.

    >>> effective_features(40, 1.0)
    40.0
    """
    ratio = [span ** (-i / max(features - 1, 1)) for i in range(features)]
    return sum(ratio) ** 2 / sum(each * each for each in ratio)


def on(gain: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Between which values of u in (0, 1) the output c u + b is above 0.

    Args:
      gain: c.
      bias: b; both broadcast.

    Returns:
      lo and hi of the module, alike where it is so nowhere.
    """
    ends = gain + bias
    crosses = (bias > 0) != (ends > 0)
    root = jnp.clip(-bias / jnp.where(crosses, gain, 1), 0, 1)
    low = jnp.where(bias > 0, 0, jnp.where(ends > 0, root, 1))
    return low, jnp.where(ends > 0, 1, jnp.where(bias > 0, root, 1))


def squared_error(own: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    """e(a, c, b) of the module, with derivatives in c and b.

    Args:
      own: a, 1 where the output should be u, 0 where it should be 0.
      gain: c.
      bias: b; all three broadcast.

    Returns:
      The expected squared error over u.
    """
    low, high = jax.lax.stop_gradient(on(gain, bias))
    first, second, third = high - low, high**2 - low**2, high**3 - low**3
    product = gain * third / 3 + bias * second / 2
    square = gain * gain * third / 3 + gain * bias * second + bias * bias * first
    return own * own / 3 - 2 * own * product + square


def linear_squared_error(own: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    """As `squared_error`, of a linear output c u + b."""
    slope = own - gain
    return slope * slope / 3 - slope * bias + bias * bias


ONE_ACTIVE = {"relu": squared_error, "linear": linear_squared_error}


def errors_of_one(gains: jax.Array, biases: jax.Array, activation: str = "relu") -> jax.Array:
    """The expected squared error of each output where exactly one feature is active.

    Args:
      gains: `(F, F)` c_ij, of the active feature i and the output j.
      biases: `(F,)`.
      activation: a name of `ACTIVATIONS`.

    Returns:
      `(F,)`, by output, averaged over which feature is active.
    """
    own = jnp.eye(gains.shape[0], dtype=gains.dtype)
    return ONE_ACTIVE[activation](own, gains, biases[None]).mean(axis=0)


def variance(features: int, active: jax.Array | None) -> jax.Array | float:
    """The variance of one feature.

    Args:
      features: F.
      active: the probability that it is, independent of the others; None where exactly one of the F is.

    Returns:
      p/3 - p^2/4, with p = 1/F for None.
    """
    p = 1 / features if active is None else active
    return p / 3 - p * p / 4


def inputs(uniform: jax.Array, active: jax.Array) -> jax.Array:
    """Sparse inputs: 0 with probability 1 - p, else uniform on (0, 1).

    Args:
      uniform: numbers on [0, 1), any shape; where one is below p it is divided by p, which is uniform again.
      active: p, a scalar.

    Returns:
      The inputs, of the same shape.
    """
    return jnp.where(uniform < active, uniform / active, 0)
