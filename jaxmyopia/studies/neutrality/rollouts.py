# SPDX-License-Identifier: Apache-2.0
"""Mini-episodes on the coin grid played side by side, and REINFORCE's gradient from them; for one policy."""

import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.neutrality.model import LONG, GridTable


@struct.dataclass
class Rollout:
    """K mini-episodes of one policy. `states`, `actions`: `(H, K)`; ends stand where a mini-episode is over. `long`:
    `(K,)` bool. `coins`: `(K,)` discounted."""

    states: jax.Array
    actions: jax.Array
    long: jax.Array
    coins: jax.Array


def roll_out(table: GridTable, policy: jax.Array, discount: jax.Array, uniform: jax.Array) -> Rollout:
    """Plays mini-episodes side by side.

    Args:
      table: of the grid.
      policy: `(n, 4)` probabilities.
      discount: gamma, a scalar.
      uniform: `(H, K)` numbers in [0, 1), one a step; H is the longest trajectory.

    Returns:
      The `Rollout`.
    """
    # An action is the number of thresholds below u: the inverse of the distribution function.
    thresholds = jnp.cumsum(policy, axis=1)[:, :-1]
    following, value = jnp.asarray(table.following), jnp.asarray(table.value, policy.dtype)

    def advance(carry, inputs):
        state, coins = carry
        u, worth = inputs
        action = (u[:, None] >= thresholds.at[state].get(mode="clip")).sum(axis=1, dtype=jnp.int32)
        coins = coins + worth * value[state, action]
        return (following[state, action], coins), (state, action)

    steps, episodes = uniform.shape
    worth = discount ** (1 + jnp.arange(steps, dtype=policy.dtype))
    start = jnp.zeros(episodes, jnp.int32), jnp.zeros(episodes, policy.dtype)
    (end, coins), (states, actions) = jax.lax.scan(advance, start, (uniform, worth))
    return Rollout(states=states, actions=actions, long=end == table.n + LONG, coins=coins)


def score(policy: jax.Array, states: jax.Array, actions: jax.Array, advantage: jax.Array) -> jax.Array:
    """The gradient of sum_i advantage_i sum_t log pi(a_t | s_t) with respect to the logits.

    With W[s, a] the sum of the advantages with which a was taken in s, it is W - (sum_a W) pi.

    Args:
      policy: `(n, 4)` softmax of the logits.
      states, actions: `(H, K)`; states from n on are ends and count nothing.
      advantage: `(K,)`.

    Returns:
      `(n, 4)`.
    """
    each = jnp.broadcast_to(advantage, states.shape)
    taken = jnp.zeros_like(policy).at[states, actions].add(each, mode="drop")
    return taken - taken.sum(axis=1, keepdims=True) * policy
