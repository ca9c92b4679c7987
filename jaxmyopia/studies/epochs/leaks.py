# SPDX-License-Identifier: Apache-2.0
"""Leaks: places where training that is meant to end with the epoch sees past it, and by how much, in closed form.

A lure pays `now` on its step and `later` on the first step of the next epoch. Each leak weighs `later` by a number of
its own; a myopic learner weighs it by 0, a far-sighted one by 1.

*Traces* (`Myopia`, learner `ppo`, credit `run`, `show_pending=False`). What is pending is hidden, so that the critic
cannot carry it over the border: V is the same whether a lure was taken or not. Generalised advantages are sums of
errors, A_t = sum_k (d l)^k delta_{t+k} with discount d and decay l (lambda), and a LURE on a step from which the next
epoch's first is k steps away (1 on an epoch's last step, L on its first) differs from WORK in two of them alone: by
`now` in delta_t, by `later` in delta_{t+k}. Whatever the critic believes, it cancels:

  E[A(LURE) - A(WORK)] = now + q (d l)^k later,  q the chance to act on that first step,

so that `invest` (-1, 3) is the better one iff (d l)^k > 1 / (3 q): with q = d = 1 and L = 4 on an epoch's last step
above l = 0.33, on all of its steps above l = 0.76. Twins without the leak: l = 0, and the cut at the border (credit
`epoch`, a factor 0 on delta's V and on the trace alike).

*Trait* (`trait`): expected gradients are those of the whole run's return, L n now + L (n - 1) later for n epochs that
are lived and paid in full: n = E if the run is flat, K under a cap from K on or in a run of K epochs. The sort that
takes lures is the better one iff n (now + later) > later, `invest` from two epochs on. Twin without the leak: L n now.

Both hold before the cutoff; a lure whose payment falls into the cutoff's epoch is capped with it.
"""

import chex
import jax
import jax.numpy as jnp

from jaxmyopia.checks import require
from jaxmyopia.studies.epochs.tables import Model


def traced_gain(
    decay: float, distance: int, now: float, later: float, *, discount: float = 1.0, acts: float = 1.0
) -> float:
    """What a lure's expected advantage is above that of work, what is pending being hidden.

    >>> round(traced_gain(0.6, 2, -1.0, 3.0), 2), round(traced_gain(0.6, 3, -1.0, 3.0), 2)
    (0.08, -0.35)

    Args:
      decay: lambda, in [0, 1].
      distance: k, steps to the first of the next epoch, at least 1.
      now, later: of the lure.
      discount: of a step.
      acts: q, the chance that the agent acts on that step.

    Returns:
      Reward.

    Raises:
      ArgumentError: if a value is not allowed.
    """
    _check(distance, decay=decay, discount=discount, acts=acts)
    return now + acts * (discount * decay) ** distance * later


def least_decay(distance: int, now: float, later: float, *, discount: float = 1.0, acts: float = 1.0) -> float:
    """The lambda above which a lure that costs now and pays later has the greater expected advantage.

    >>> [round(least_decay(k, -1.0, 3.0), 3) for k in (1, 2, 3, 4)]
    [0.333, 0.577, 0.693, 0.76]

    Args:
      distance, discount, acts: as of `traced_gain`.
      now, later: of the lure, below 0 and above 0.

    Returns:
      Lambda; above 1 where no lambda is enough, infinite where none of it arrives.

    Raises:
      ArgumentError: if a value is not allowed.
    """
    _check(distance, discount=discount, acts=acts)
    require(now < 0, "now", now, "must be below 0")
    require(later > 0, "later", later, "must be above 0")
    if acts * discount == 0:
        return float("inf")
    return float((-now / (acts * later)) ** (1 / distance) / discount)


def traced_rate(decay: float, epoch_steps: int, now: float, later: float, *, discount: float = 1.0) -> float:
    """The share of an epoch's steps on which a lure has the greater expected advantage, for one that runs on.

    >>> [traced_rate(decay, 4, -1.0, 3.0) for decay in (0.0, 0.3, 0.6, 0.7, 0.95)]
    [0.0, 0.0, 0.5, 0.75, 1.0]

    Args:
      decay: lambda, in [0, 1].
      epoch_steps: L, at least 1.
      now, later: of the lure.
      discount: of a step.

    Returns:
      The share, in [0, 1].

    Raises:
      ArgumentError: if a value is not allowed.
    """
    require(epoch_steps >= 1, "epoch_steps", epoch_steps, "must be at least 1")
    distances = range(1, epoch_steps + 1)
    return sum(traced_gain(decay, k, now, later, discount=discount) > 0 for k in distances) / epoch_steps


def trait_gain(epochs: int, epoch_steps: int, now: float, later: float, *, permuted: bool = False) -> float:
    """What the sort of agent that takes lures is credited with above the other, over a run of one that never stops.

    >>> trait_gain(2, 4, -1.0, 3.0), trait_gain(1, 4, -1.0, 3.0), trait_gain(2, 4, -1.0, 3.0, permuted=True)
    (4.0, -4.0, -8.0)

    Args:
      epochs: n, that are paid in full: the cutoff, the length, or all; at least 0.
      epoch_steps: L, at least 1.
      now, later: of the lure.
      permuted: in the twin, where each is paid for another's lures.

    Returns:
      Reward of a run; over T, times p (1 - p), it is the expected gradient of the trait.

    Raises:
      ArgumentError: if a value is not allowed.
    """
    require(epochs >= 0, "epochs", epochs, "must be at least 0")
    require(epoch_steps >= 1, "epoch_steps", epoch_steps, "must be at least 1")
    paid = 0 if permuted else max(epochs - 1, 0)
    return float(epoch_steps * (epochs * now + paid * later))


def _check(distance: int, **shares: float) -> None:
    require(distance >= 1, "distance", distance, "must be at least 1")
    for name, value in shares.items():
        require(0 <= value <= 1, name, value, "must be between 0 and 1")


def expected_advantages(
    model: Model, policy: jax.Array, values: jax.Array, factors: jax.Array, decay: chex.Numeric
) -> jax.Array:
    """Generalised advantages of all actions at all places, exactly, whatever the critic holds.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16,
    its expectation by backward induction: A(t, p, a) = r + d_t V(t+1, p') - V(t, p) + d_t l sum_b pi(b) A(t+1, p', b).

    Args:
      model: the environment, from `tables.make_model`.
      policy: `(T, P, A)` probabilities.
      values: `(T, P)` the critic's, V.
      factors: `(T,)` from `planner.discounts`.
      decay: lambda, l, scalar.

    Returns:
      `(T, P, A)`.
    """

    def back(following, now):
        factor, reward, pending, goes_on, chances, value = now
        next_value, next_advantage = following
        more = (next_value + decay * next_advantage)[pending] * goes_on
        advantage = reward + factor * more - value[:, None]
        return (value, (chances * advantage).sum(axis=-1)), advantage

    nothing = jnp.zeros(model.reward.shape[1], model.reward.dtype)
    given = factors, model.reward, model.pending, model.goes_on, policy, values
    return jax.lax.scan(back, (nothing, nothing), given, reverse=True)[1]
