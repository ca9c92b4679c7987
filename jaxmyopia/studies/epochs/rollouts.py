# SPDX-License-Identifier: Apache-2.0
"""What one agent lives through in a batch of runs, and what its actions were worth.

Axes: `T` steps of a run, `B` runs, `P` pending counts, `A` actions. Since a place is (time, pending), a sum over
samples of anything that depends on place and action is a sum over a table `(A, T, P)` of sample weights: exact, and
small however many runs there are. (Actions come first, see `policies`.)
"""

import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.epochs.model import ACTIONS, EnvParams, EnvState, EpochEnv


@struct.dataclass
class Experience:
    """B runs: `action`, `pending` (before it, int32), `reward`, `running` (before it, bool); `(T, B)` each."""

    action: jax.Array
    pending: jax.Array
    reward: jax.Array
    running: jax.Array


def bounds_of(chances: jax.Array) -> jax.Array:
    """Where a uniform draw passes from one action to the next: shape `(T, A - 1, P)`, from chances `(A, T, P)`."""
    return jnp.swapaxes(jnp.cumsum(chances, axis=0)[:-1], 0, 1)


def act(
    env: EpochEnv, params: EnvParams, state: EnvState, bounds: jax.Array, draws: jax.Array
) -> tuple[EnvState, Experience]:
    """One step of B runs.

    Args:
      env: the environment.
      params: its parameters, scalars.
      state: `(B,)` leaves.
      bounds: `(A - 1, P)` of the agent's policy at this time, from `bounds_of`.
      draws: `(B,)` uniform.

    Returns:
      The states afterwards, and one row `(B,)` of `Experience`.
    """
    here = state.pending[None] == jnp.arange(bounds.shape[1], dtype=jnp.int32)[:, None]
    mine = jnp.where(here[None], bounds[..., None], 0.0).sum(axis=1)
    action = (draws[None] >= mine).sum(axis=0, dtype=jnp.int32)
    _, after, reward, _, _ = jax.vmap(env.step_env, in_axes=(None, 0, 0, None))(None, state, action, params)
    return after, Experience(action=action, pending=state.pending, reward=reward, running=state.running)


def begin(env: EpochEnv, params: EnvParams, runs: int) -> EnvState:
    """The states of runs that begin, each field of shape `(B,)`."""
    _, state = env.reset(None, params)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (runs,)), state)


def rollout(env: EpochEnv, params: EnvParams, chances: jax.Array, key: jax.Array, runs: int) -> Experience:
    """Lets an agent live through runs.

    Args:
      env: the environment.
      params: its parameters, scalars.
      chances: `(A, T, P)` the agent's policy.
      key: consumed.
      runs: how many, B.

    Returns:
      The `Experience`.
    """
    draws = jax.random.uniform(key, (env.steps, runs))
    step = lambda state, now: act(env, params, state, *now)
    return jax.lax.scan(step, begin(env, params, runs), (bounds_of(chances), draws))[1]


def returns(reward: jax.Array, factors: jax.Array) -> jax.Array:
    """What followed each step: `G_t = r_t + d_t G_{t+1}`.

    Args:
      reward: `(T, B)`.
      factors: `(T,)` d, from `planner.discounts`; the credit is in them.

    Returns:
      `(T, B)`.
    """
    return generalised_advantages(reward, jnp.zeros_like(reward), factors, 1.0)


def generalised_advantages(reward: jax.Array, value: jax.Array, factors: jax.Array, decay: float) -> jax.Array:
    """Advantages: `A_t = delta_t + d_t decay A_{t+1}`, `delta_t = r_t + d_t V_{t+1} - V_t`.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16.

    Args:
      reward: `(T, B)`.
      value: `(T, B)` of the places before each step; nothing is to be had after the last.
      factors: `(T,)`.
      decay: lambda, in [0, 1].

    Returns:
      `(T, B)`.
    """

    def back(carry, now):
        later, value_next = carry
        reward, value, factor = now
        advantage = reward + factor * value_next - value + factor * decay * later
        return (advantage, value), advantage

    nothing = jnp.zeros_like(reward[0])
    return jax.lax.scan(back, (nothing, nothing), (reward, value, factors), reverse=True)[1]


def _at(pending: jax.Array, size: int) -> jax.Array:
    """Which pending count each sample had: `(T, P, B)` bool from `(T, B)`."""
    return pending[:, None] == jnp.arange(size, dtype=jnp.int32)[None, :, None]


def look_up(table: jax.Array, pending: jax.Array) -> jax.Array:
    """A table of places `(T, P)` at the places of samples, of shape `(T, B)` as they are."""
    return jnp.where(_at(pending, table.shape[1]), table[..., None], 0.0).sum(axis=1)


def gather(experience: Experience, weight: jax.Array, size: int) -> jax.Array:
    """Sums of sample weights by place and action.

    Args:
      experience: B runs.
      weight: `(T, B)`, of samples taken while running.
      size: P.

    Returns:
      `(A, T, P)`.
    """
    entries = jnp.arange(len(ACTIONS) * size, dtype=jnp.int32)[:, None]
    entry = experience.action * size + experience.pending

    # A run at a time, all times side by side: four times as fast as one sum over the runs, and in a fixed order.
    def add(total, run):
        entry, weight = run
        return total + jnp.where(entries == entry[None], weight[None], 0.0), None

    start = jnp.zeros((entries.size, weight.shape[0]), weight.dtype)
    total, _ = jax.lax.scan(add, start, (entry.T, jnp.where(experience.running, weight, 0.0).T))
    return jnp.swapaxes(total.reshape(len(ACTIONS), size, -1), 1, 2)


def without_each(values: jax.Array, alive: jax.Array) -> jax.Array:
    """The mean of the other live samples of each row, the sample's own value where there is no other.

    Args:
      values: `(T, B)`.
      alive: `(T, B)` bool.

    Returns:
      `(T, B)`.
    """
    count = alive.sum(axis=1, keepdims=True).astype(values.dtype)
    total = jnp.where(alive, values, 0.0).sum(axis=1, keepdims=True)
    return jnp.where(alive & (count > 1), (total - values) / jnp.maximum(count - 1, 1), values)


def normalised(advantage: jax.Array, alive: jax.Array, *, centre: bool) -> jax.Array:
    """Advantages over their standard deviation, shape `(T, B)`; 0 where not `alive`; `centre`: less their mean."""
    count = jnp.maximum(alive.sum(), 1).astype(advantage.dtype)
    mean = jnp.where(alive, advantage, 0.0).sum() / count
    spread = jnp.sqrt(jnp.where(alive, jnp.square(advantage - mean), 0.0).sum() / count)
    return jnp.where(alive, advantage - (mean if centre else 0.0), 0.0) / (spread + 1e-6)
