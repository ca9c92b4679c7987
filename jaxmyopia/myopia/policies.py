# SPDX-License-Identifier: Apache-2.0
"""Policies over the places of a run: an MLP on what the agent sees, and a table.

Each is a flax module that gives outputs (logits of actions; for some learners a value too) at all places at once,
`(T, P, outputs)`, since a run has few of them and every use of a policy needs most: rollouts look actions up, losses
weigh places by how often they were met, and the planner takes the whole table.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.myopia.epochs import EnvParams, EpochEnv


class Mlp(nn.Module):
    """One hidden layer of tanh; the last layer starts at zero, so that all actions start equally likely.

    `outputs`: per place. `width`: of the hidden layer.
    """

    outputs: int
    width: int = 16

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(T, P, outputs)`."""
        hidden = nn.tanh(nn.Dense(self.width)(env.observations(params)))
        return nn.Dense(self.outputs, kernel_init=nn.initializers.zeros)(hidden)


class Table(nn.Module):
    """One row of outputs for all that can be seen; what was never seen keeps its start, zero.

    `outputs`: per place. `indices`: how many indices can be shown; a hidden one has a row of its own.
    """

    outputs: int
    indices: int

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(T, P, outputs)`."""
        pending = env.epoch_steps + 1
        rows = 0 if env.reveal_epoch == "masked" else self.indices
        shape = (rows + 1, env.epoch_steps, pending if env.show_pending else 1, self.outputs)
        table = self.param("table", nn.initializers.zeros, shape)
        hidden = jnp.broadcast_to(table[-1:], (env.epochs, *shape[1:]))
        if rows:
            shown = jax.lax.dynamic_slice_in_dim(table, params.first_index, env.epochs)
            hidden = jnp.where(params.index_shown > 0, shown, hidden)
        full = jnp.broadcast_to(hidden, (env.epochs, env.epoch_steps, pending, self.outputs))
        return full.reshape(env.steps, pending, self.outputs)


POLICIES = ("mlp", "table")


def make_policy(name: str, *, outputs: int, width: int, indices: int) -> nn.Module:
    """A policy by its name.

    Args:
      name: one of `POLICIES`.
      outputs: per place.
      width: of the MLP's hidden layer.
      indices: of the table.

    Returns:
      The module; called with an environment and its parameters it gives `(T, P, outputs)`.

    Raises:
      ValueError: if the name is unknown or the width is not positive.
    """
    require_one_of("policies", name, POLICIES)
    require(width >= 1, "width", width, "must be at least 1")
    return Mlp(outputs=outputs, width=width) if name == "mlp" else Table(outputs=outputs, indices=indices)
