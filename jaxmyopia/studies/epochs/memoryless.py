# SPDX-License-Identifier: Apache-2.0
"""The best policy that sees no index and remembers nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmyopia.studies.epochs.model import ACTIONS, EnvParams, EpochEnv
from jaxmyopia.studies.epochs.planner import discounts, policy_values
from jaxmyopia.studies.epochs.tables import make_model


def _expand(env: EpochEnv, logits: jax.Array) -> jax.Array:
    """From logits of what is seen without an index `(L, P or 1, A)` to a policy `(T, P, A)`."""
    seen = jnp.broadcast_to(logits, (env.epoch_steps, env.pending_places, logits.shape[-1]))
    return jnp.tile(jax.nn.softmax(seen), (env.epochs, 1, 1))


def best_memoryless(
    env: EpochEnv, params: EnvParams, *, discount: float = 1.0, starts: int = 64, steps: int = 3000
) -> tuple[jax.Array, jax.Array]:
    """The best policy that sees no index and remembers nothing, under `run` credit.

    What it gets is a polynomial in its probabilities, known exactly with its gradient; the best may be to stop by
    chance. It is climbed from many starts, random ones and near-deterministic ones, and the best end is taken, as it is
    or without its chances. (That no other is better is not proved here; on cases small enough for a grid over all
    policies none is.)

    Args:
      env: the environment; whether lures pending are seen is its `show_pending`.
      params: its parameters, scalars.
      discount: of a step.
      starts: how many starts.
      steps: of each climb.

    Returns:
      The value and the policy `(T, P, A)`.
    """
    model, factors = make_model(env, params), discounts(env, discount, 1.0)
    shape = (env.epoch_steps, env.pending_places if env.show_pending else 1, len(ACTIONS))
    worth = lambda policy: policy_values(model, policy, factors)[0, 0]
    value = lambda logits: worth(_expand(env, logits))
    climber = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def climb(logits):
        def step(_, carry):
            logits, state = carry
            slope = jax.grad(lambda x: -value(x))(logits)
            with jax.numpy_dtype_promotion("standard"):  # optax counts steps in whole numbers
                updates, state = climber.update(slope, state)
            return optax.apply_updates(logits, updates), state

        return jax.lax.fori_loop(0, steps, step, (logits, climber.init(logits)))[0]

    spread = np.repeat([0.5, 3.0], [starts - starts // 2, starts // 2])[:, None, None, None]
    first = np.random.default_rng(0).normal(size=(starts, *shape)) * spread
    ends = jax.vmap(lambda logits: _expand(env, logits))(jax.jit(jax.vmap(climb))(jnp.asarray(first, jnp.float32)))
    ends = jnp.concatenate([ends, jax.nn.one_hot(ends.argmax(axis=-1), len(ACTIONS), dtype=ends.dtype)])
    values = jax.vmap(worth)(ends)
    return values.max(), ends[values.argmax()]
