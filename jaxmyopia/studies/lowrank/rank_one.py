# SPDX-License-Identifier: Apache-2.0
"""Rank 1 under square loss: training is four numbers a seed, and half-times from a small start have a closed law.

With C = u v^T, Z = a b^T, s = |u| |v|, and unit vectors u^, v^ along the target, a^ and b^ across it,

  a = p u^ + x a^,    b = q v^ + y b^,    2 L = (s - p q)^2 + (p y)^2 + (x q)^2 + (x y)^2

The gradients are |b|^2 a - (v.b) u and |a|^2 b - (u.a) v: both lie in the planes of (u, a) and (v, b), so that a^ and
b^ stay what they are at the start. In time = steps x learning rate, the flow obeys, and a step of descent discretises,

  dp/dt = s q - (q^2 + y^2) p    dx/dt = -(q^2 + y^2) x
  dq/dt = s p - (p^2 + x^2) q    dy/dt = -(p^2 + x^2) y

A small start grows as m = (p + q) / sqrt(2) at rate s, while (p - q) / sqrt(2) decays at it and x, y stay. If entries
start from N(0, init_scale^2), then m(0) = init_scale Z with Z from N(0, 1): once m has outgrown the rest, w = p q obeys
`theory.two_factor_mode` from w0 = m(0)^2 / 2, and half the first loss, w = (1 - 1/sqrt(2)) s, is reached at

  t = (c - ln|Z|) / s,    c = ln(2 (sqrt(2) - 1) s / init_scale^2) / 2

Steps of a rate h multiply m by 1 + h s: with them the rate of growth is g = ln(1 + h s) / h in place of s.
What is left out of g t is of order init_scale^2 n / s and, of first order in the rate, -(3/8) ln 2 h s.
"""

import numpy as np
from scipy import integrate
from scipy.special import erfc

from jaxmyopia.checks import require


def _split(learned: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The component along the target, the length of the rest, and the target's length."""
    length = np.linalg.norm(target, axis=-1)
    unit = target / length[..., None]
    along = (learned * unit).sum(axis=-1)
    return along, np.linalg.norm(learned - along[..., None] * unit, axis=-1), length


def reduce(factors: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four numbers on which all of a seed's training depends.

    Args:
      factors: `(S, 2, n)` each seed's a and b.
      target: `(S, 2, n)` each seed's u and v, not zero.

    Returns:
      p, x, q, y, `(S, 4)`, and s, `(S,)`.
    """
    along, across, length = _split(np.asarray(factors, float), np.asarray(target, float))
    return np.stack([along, across], axis=-1).reshape(*along.shape[:-1], 4), length.prod(axis=-1)


def loss(numbers: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The square loss.

    Args:
      numbers: `(..., S, 4)`, p, x, q, y.
      s: `(S,)` the targets' singular values.

    Returns:
      `(..., S)` losses.
    """
    p, x, q, y = np.moveaxis(np.asarray(numbers, float), -1, 0)
    return ((s - p * q) ** 2 + (p * y) ** 2 + (x * q) ** 2 + (x * y) ** 2) / 2


def velocity(numbers: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The right-hand sides of the four equations: minus the gradient of `loss`.

    Args:
      numbers: `(..., S, 4)`, p, x, q, y.
      s: `(S,)` the targets' singular values.

    Returns:
      Shaped like `numbers`.
    """
    p, x, q, y = np.moveaxis(np.asarray(numbers, float), -1, 0)
    a2, b2 = p * p + x * x, q * q + y * y
    return np.stack([s * q - b2 * p, -b2 * x, s * p - a2 * q, -a2 * y], axis=-1)


def descent(numbers: np.ndarray, s: np.ndarray, learning_rate: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Gradient descent on the four numbers.

    Args:
      numbers: `(S, 4)` at step 0.
      s: `(S,)` the targets' singular values.
      learning_rate: `(S,)` or one for all.
      steps: `(T,)` whole numbers, strictly increasing, at which to record.

    Returns:
      `(T, S, 4)`.

    Raises:
      ValueError: if the steps are negative or do not increase.
    """
    steps = np.asarray(steps)
    require(bool((np.diff(steps, prepend=-1) > 0).all()), "steps", steps.tolist(), "must increase from 0 or later")
    at, rate, recorded = 0, np.asarray(learning_rate, float)[..., None], []
    for step in steps:
        for _ in range(step - at):
            numbers = numbers + rate * velocity(numbers, s)
        at = step
        recorded.append(numbers)
    return np.stack(recorded)


def flow(numbers: np.ndarray, s: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Gradient flow of the four numbers.

    Args:
      numbers: `(S, 4)` at time 0.
      s: `(S,)` the targets' singular values.
      time: `(T,)`, increasing, not negative, in steps x learning rate.

    Returns:
      `(T, S, 4)`, to about eight digits.
    """
    time = np.asarray(time, float)
    solved = integrate.solve_ivp(
        lambda _, flat: velocity(flat.reshape(-1, 4), s).ravel(), (0, time[-1]), np.ravel(numbers), t_eval=time,
        method="DOP853", rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    return np.moveaxis(solved.y, -1, 0).reshape(len(time), -1, 4)


def _growth(s: np.ndarray | float, learning_rate: np.ndarray | float) -> np.ndarray:
    """The rate at which m grows: that of the flow, or of steps."""
    h = np.asarray(learning_rate, float)
    return np.where(h > 0, np.log1p(h * s) / np.where(h > 0, h, 1), s)


def _offset(s: np.ndarray | float, init_scale: np.ndarray | float) -> np.ndarray:
    """Growth x half-time of a seed with |Z| = 1."""
    return np.log(2 * (np.sqrt(2) - 1) * np.asarray(s, float) / np.square(init_scale)) / 2


def half_time(
    z: np.ndarray, s: np.ndarray, init_scale: np.ndarray, learning_rate: np.ndarray | float = 0.0
) -> np.ndarray:
    """The time from a small start to half the first loss, given where the seed starts.

    Args:
      z: any shape, `(p + q) / (sqrt(2) init_scale)` at the start: from N(0, 1) over seeds.
      s: the targets' singular values, likewise.
      init_scale: the standard deviation of the start's entries, small.
      learning_rate: of gradient descent, below the critical 1/s; 0 for gradient flow.

    Returns:
      Times in steps x learning rate.
    """
    return (_offset(s, init_scale) - np.log(np.abs(z))) / _growth(s, learning_rate)


def half_time_cdf(
    time: np.ndarray, s: np.ndarray, init_scale: np.ndarray, learning_rate: np.ndarray | float = 0.0
) -> np.ndarray:
    """The share of seeds that reach half the first loss by a time: `P(|Z| >= e^(c - g t))`.

    Args:
      time: any shape, in steps x learning rate.
      s: the target's singular value.
      init_scale: see `half_time`.
      learning_rate: see `half_time`.

    Returns:
      Probabilities `erfc(e^(c - g t) / sqrt(2))`, by the g and c of this module's first lines.
    """
    passed = _growth(s, learning_rate) * np.asarray(time, float) - _offset(s, init_scale)
    return erfc(np.exp(-passed) / np.sqrt(2))


def half_time_moments(
    s: np.ndarray, init_scale: np.ndarray, learning_rate: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over seeds of the time to half the first loss, for a given target.

    Args:
      s: the target's singular value.
      init_scale: see `half_time`.
      learning_rate: see `half_time`.

    Returns:
      The mean `(c + (gamma + ln 2) / 2) / g` and the standard deviation `pi / (sqrt(8) g)`: the start's scale
      moves the mean alone. gamma is Euler's constant.

    Source: ln(Z^2) is the logarithm of a chi-square number of one degree: mean -gamma - ln 2, variance pi^2 / 2.
    """
    growth = _growth(s, learning_rate)
    mean = (_offset(s, init_scale) + (np.euler_gamma + np.log(2)) / 2) / growth
    return mean, np.pi / np.sqrt(8) / growth
