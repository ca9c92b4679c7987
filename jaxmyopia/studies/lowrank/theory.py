# SPDX-License-Identifier: Apache-2.0
"""Closed forms for gradient flow on low-rank problems: what the simulated curves must agree with.

With `L = 1/2 ||C - Z||^2`, time = steps x learning rate, and a start that is balanced and aligned with the target's
singular vectors, every singular value s of C is learned on its own. With N factors of size u each, w = u^N obeys

  dw/dt = N w^(2 - 2/N) (s - w),    that is    du/dt = u^(N - 1) (s - u^N)

From a small start the singular values are learned one after another, greatest first: the loss steps down through
the saddles, whose heights are those of the best approximations of each rank.
"""

import numpy as np
from scipy import integrate
from scipy.special import logsumexp, xlogy

from jaxmyopia.checks import require


def two_factor_mode(time: np.ndarray, s: float, w0: float) -> np.ndarray:
    """The strength of a balanced, aligned mode of two factors: `s e^(2st) / (e^(2st) - 1 + s/w0)`.

    Args:
      time: any shape, in steps x learning rate.
      s: the target's singular value.
      w0: the strength at time 0, positive.

    Returns:
      w at each time, the shape of `time`.

    Source: Saxe, McClelland and Ganguli (2014), arXiv 1312.6120.
    """
    # Divided by e^(2st), so that late times do not overflow.
    return s / (1 + (s / w0 - 1) * np.exp(-2 * s * np.asarray(time, float)))


def time_to_fraction(fraction: np.ndarray, s: float, w0: float) -> np.ndarray:
    """The time that a balanced, aligned mode of two factors takes to reach a share of its singular value.

    Args:
      fraction: any shape, the share w/s, in (0, 1).
      s: the target's singular value.
      w0: the strength at time 0, in (0, s).

    Returns:
      Times, the shape of `fraction`; negative where the mode starts beyond.

    Source: Saxe, McClelland and Ganguli (2014), arXiv 1312.6120: `ln((s/w0 - 1) f / (1 - f)) / (2s)`.
    """
    fraction = np.asarray(fraction, float)
    return np.log((s / w0 - 1) * fraction / (1 - fraction)) / (2 * s)


def mode(time: np.ndarray, s: float, w0: float, factors: int) -> np.ndarray:
    """The strength of a balanced, aligned mode of N factors, by integration of its differential equation.

    Args:
      time: `(T,)`, increasing, not negative, in steps x learning rate.
      s: the target's singular value.
      w0: the strength at time 0, positive.
      factors: their number N, at least 1.

    Returns:
      w at each time: `(T,)`, to about ten digits.

    Raises:
      ValueError: if there is no factor.

    Source: Saxe, McClelland and Ganguli (2014), arXiv 1312.6120, on deeper networks.
    """
    require(factors >= 1, "factors", factors, "must be at least 1")
    time = np.asarray(time, float)
    u0 = w0 ** (1 / factors)
    solved = integrate.solve_ivp(
        lambda _, u: u ** (factors - 1) * (s - u**factors), (0, time[-1]), [u0], t_eval=time, method="DOP853",
        rtol=1e-12, atol=1e-14 * u0,
    )  # fmt: skip
    return solved.y[0] ** factors


def escape_time(u0: float, s: float, factors: int) -> float:
    """How long N >= 3 small balanced factors stay near zero: the limit of small u0, `u0^-(N-2) / ((N-2) s)`.

    Args:
      u0: the size of each factor at time 0.
      s: the target's singular value.
      factors: their number N, at least 3: with two the time grows only like log(1/u0) (`time_to_fraction`).

    Returns:
      The time.

    Raises:
      ValueError: if there are fewer than 3 factors.

    Source: the integral of `du / (s u^(N-1))` from u0 on.
    """
    require(factors >= 3, "factors", factors, "must be at least 3")
    return u0 ** -(factors - 2) / ((factors - 2) * s)


def saddle_heights(singular_values: np.ndarray) -> np.ndarray:
    """The square loss at the saddles: of the best approximations of rank 0 to R, `1/2 sum_{j>k} s_j^2`.

    Args:
      singular_values: `(R,)` of the target, in any order.

    Returns:
      `(R + 1,)` heights for k = 0, ..., R, from the loss at zero down to 0.

    Source: Eckart and Young (1936).
    """
    squares = np.sort(np.asarray(singular_values, float)) ** 2
    return np.concatenate([[0.0], np.cumsum(squares)])[::-1] / 2


def expected_descents(singular_values: np.ndarray, fall: float) -> int:
    """How many descents `stats.descents` finds from a small start, for singular values that are learned apart.

    Between two saddles the loss falls by `s_k^2 / 2`; falls that are too small alone add up until they make a descent.

    Args:
      singular_values: `(R,)` of the target, in any order.
      fall: the least fall of a descent, as a share of the first loss.

    Returns:
      The number of descents, which is that of the plateaus too: each descent leaves a saddle.
    """
    heights = saddle_heights(singular_values)
    count, since = 0, heights[0]
    for height in heights[1:]:
        if since - height >= fall * heights[0]:
            count, since = count + 1, height
    return count


def critical_rate(s: float) -> float:
    """The learning rate above which gradient descent leaves a balanced minimum of rank 1.

    There the Hessian's greatest eigenvalue is `||a||^2 + ||b||^2 = 2s`, the least that any minimum has.

    Args:
      s: the target's singular value.

    Returns:
      `1/s`.

    Source: gradient descent on a quadratic of curvature k is stable below 2/k.
    """
    return 1 / s


def initial_cross_entropy(logits: np.ndarray) -> np.ndarray:
    """The cross-entropy loss at Z = 0: `2 ln n - H(P)`, P the softmax over all n^2 entries.

    Args:
      logits: `(..., n, n)` targets C.

    Returns:
      `(...)` losses.

    Source: `KL(P || uniform)`.
    """
    logits = np.asarray(logits, float)
    p = np.exp(logits - logits.max(axis=(-2, -1), keepdims=True))
    p /= p.sum(axis=(-2, -1), keepdims=True)
    return np.log(p.shape[-2] * p.shape[-1]) + xlogy(p, p).sum(axis=(-2, -1))


def sign_blind_loss(logits: np.ndarray) -> np.ndarray:
    """The cross-entropy loss at Z = |C|: of a learner that knows how large all logits are, but no sign.

    At rank 1 this is the loss at a = |u|, b = |v|. For most Gaussian targets (396 of 512 at n = 100) descent from there
    ends in a local minimum that is not zero, whose height this bounds: the one in which training gets stuck.

    Args:
      logits: `(..., n, n)` targets C.

    Returns:
      `(...)` losses, `ln(sum e^|C| / sum e^C) - 2 sum_{C < 0} P |C|`.

    Source: `KL(softmax(C) || softmax(|C|))`.
    """
    logits = np.asarray(logits, float)
    log_sums = [logsumexp(x, axis=(-2, -1)) for x in (np.abs(logits), logits)]
    p = np.exp(logits - log_sums[1][..., None, None])
    return log_sums[0] - log_sums[1] - 2 * (p * np.maximum(-logits, 0)).sum(axis=(-2, -1))
