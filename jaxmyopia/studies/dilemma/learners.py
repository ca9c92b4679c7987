# SPDX-License-Identifier: Apache-2.0
"""The learners of the dilemma against one's own past, each for one agent; the study maps them over agents and seeds.

An agent has two views: D came before, C came before; one that does not see its past has the first for ever. For each
view it keeps a probability p of cooperating (policy gradient) or a value of each action (Q-learning, greedy but for a
share epsilon of random actions, and fair where the two values are equal):

  policy gradient   p <- clip(p + rate r / p)  after C,  clip(p - rate r / (1 - p))  after D
  all past          Q(a) = the mean of every reward that came with a; 0 before the first
  running           Q(a) <- (1 - rate) Q(a) + rate r

Both are myopic by construction: they credit an action with the reward of its own step and no other.

Source: Krueger, Maharaj and Leike (2020), arXiv 2009.09153; settings of the public code evhub/iternash.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

P_MIN = 0.01  # p is clipped to [P_MIN, 1 - P_MIN]


@struct.dataclass
class Memory:
    """What one agent remembers of each view and action, C first.

    `total`: `(2, 2)` sums of rewards (all past), values (running), or p and 1 - p (policy gradient). `visits`:
    `(2, 2)` how often the action was taken.
    """

    total: jax.Array
    visits: jax.Array


@dataclasses.dataclass(frozen=True)
class Learner:
    """Three pure functions of one agent.

    `begin(uniform)`: a `Memory` from `(2,)` uniform numbers. `cooperates(memory, epsilon)`: `(2,)` the probability of
    cooperating in each view. `learn(memory, taken, reward, rate)`: the next memory, where `taken` `(2, 2)` is 1 at the
    view and the action of this step and 0 elsewhere.
    """

    begin: Callable[[jax.Array], Memory]
    cooperates: Callable[[Memory, jax.Array], jax.Array]
    learn: Callable[[Memory, jax.Array, jax.Array, jax.Array], Memory]


def _begin_with_random_policy(uniform: jax.Array) -> Memory:
    p = jnp.clip(uniform, P_MIN, 1 - P_MIN)
    return Memory(total=jnp.stack([p, 1 - p], axis=-1), visits=jnp.zeros((*p.shape, 2), p.dtype))


def _begin_with_zero_values(uniform: jax.Array) -> Memory:
    zeros = jnp.zeros((*uniform.shape, 2), uniform.dtype)
    return Memory(total=zeros, visits=zeros)


def _policy(memory: Memory, epsilon: jax.Array) -> jax.Array:
    del epsilon
    return memory.total[:, 0]


def _all_past(memory: Memory) -> jax.Array:
    # Whole rewards make whole sums, which float32 holds: equal means are found equal.
    return memory.total / jnp.maximum(memory.visits, 1)


def epsilon_greedy(values: jax.Array, epsilon: jax.Array) -> jax.Array:
    """The probability of C under values of C and D.

    Args:
      values: `(2, 2)`, C first.
      epsilon: the share of random actions.

    Returns:
      `(2,)`.
    """
    preference = jnp.sign(values[:, 0] - values[:, 1])  # 0 where the values are equal: a fair coin
    return 0.5 + 0.5 * (1 - epsilon) * preference


def _climb(memory: Memory, taken: jax.Array, reward: jax.Array, rate: jax.Array) -> Memory:
    p = memory.total[:, 0]
    slope = taken[:, 0] / p - taken[:, 1] / (1 - p)  # d log pi(a) / dp
    p = jnp.clip(p + rate * reward * slope, P_MIN, 1 - P_MIN)
    return Memory(total=jnp.stack([p, 1 - p], axis=-1), visits=memory.visits + taken)


def _add(memory: Memory, taken: jax.Array, reward: jax.Array, rate: jax.Array) -> Memory:
    del rate
    return Memory(total=memory.total + reward * taken, visits=memory.visits + taken)


def _approach(memory: Memory, taken: jax.Array, reward: jax.Array, rate: jax.Array) -> Memory:
    return Memory(total=memory.total + rate * taken * (reward - memory.total), visits=memory.visits + taken)


LEARNERS: dict[str, Learner] = {
    "policy_gradient": Learner(begin=_begin_with_random_policy, cooperates=_policy, learn=_climb),
    "q_all_past": Learner(
        begin=_begin_with_zero_values,
        cooperates=lambda memory, epsilon: epsilon_greedy(_all_past(memory), epsilon),
        learn=_add,
    ),
    "q_running": Learner(
        begin=_begin_with_zero_values,
        cooperates=lambda memory, epsilon: epsilon_greedy(memory.total, epsilon),
        learn=_approach,
    ),
}
