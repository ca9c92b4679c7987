# SPDX-License-Identifier: Apache-2.0
"""Policies over the places of a run: an MLP on what the agent sees, and a table.

Each is a flax module that gives outputs (logits of actions; for some learners a value too) at all places at once,
`(outputs, T, P)`, since a run has few of them and every use of a policy needs most: rollouts look actions up, losses
weigh places by how often they were met, and the planner takes the whole table. Outputs come first because there are
few of them, and vector units want many numbers side by side.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv


def seen_through(env: EpochEnv, params: EnvParams, kernel: jax.Array) -> jax.Array:
    """What agents see at every place times a matrix, without writing out what they see.

    An observation is a sum of three parts, each the same for many places: index, step, and pending lures.

    Args:
      env: the environment.
      params: its parameters, scalars.
      kernel: `(D, H)`.

    Returns:
      `(H, T, P)`, equal to `observations @ kernel`.
    """
    steps, size = env.epoch_steps, env.epoch_steps + 1
    width = kernel.shape[0] - steps - int(env.show_pending)
    total = kernel[width : width + steps].T[:, None, :, None]
    if env.reveal_epoch == "one_hot":
        rows = jax.lax.dynamic_slice_in_dim(kernel[:width], params.first_index, env.epochs)
        total = total + (params.index_shown * rows).T[:, :, None, None]
    elif env.reveal_epoch == "scalar":
        index = params.first_index + jnp.arange(1, env.epochs + 1, dtype=jnp.int32)
        value = index.astype(kernel.dtype) * (params.index_shown / env.indices)
        total = total + (kernel[0][:, None] * value[None])[:, :, None, None]
    if env.show_pending:
        pending = np.arange(size, dtype=kernel.dtype) / steps
        total = total + (kernel[-1][:, None] * pending[None].astype(kernel.dtype))[:, None, None, :]
    return jnp.broadcast_to(total, (kernel.shape[1], env.epochs, steps, size)).reshape(kernel.shape[1], -1, size)


class Mlp(nn.Module):
    """One hidden layer of tanh; the last layer starts at zero, so that all actions start equally likely.

    `outputs`: per place. `width`: of the hidden layer, H.
    """

    outputs: int
    width: int = 16

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(outputs, T, P)`."""
        seen, zeros = env.observation_space(params).shape[0], nn.initializers.zeros
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (seen, self.width))
        bias = self.param("bias", zeros, (self.width,))
        last = self.param("last", zeros, (self.outputs, self.width))
        last_bias = self.param("last_bias", zeros, (self.outputs,))
        hidden = nn.tanh(seen_through(env, params, kernel) + bias[:, None, None])
        out = last @ hidden.reshape(self.width, -1) + last_bias[:, None]
        return out.reshape(self.outputs, *hidden.shape[1:])


class Table(nn.Module):
    """One entry an output for all that can be seen; what was never seen keeps its start, zero.

    `outputs`: per place. `indices`: how many indices can be shown; a hidden one has entries of its own.
    """

    outputs: int
    indices: int

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(outputs, T, P)`."""
        pending = env.epoch_steps + 1
        rows = 0 if env.reveal_epoch == "masked" else self.indices
        shape = (self.outputs, rows + 1, env.epoch_steps, pending if env.show_pending else 1)
        table = self.param("table", nn.initializers.zeros, shape)
        found = jnp.broadcast_to(table[:, -1:], (self.outputs, env.epochs, *shape[2:]))
        if rows:
            shown = jax.lax.dynamic_slice_in_dim(table, params.first_index, env.epochs, axis=1)
            found = jnp.where(params.index_shown > 0, shown, found)
        full = jnp.broadcast_to(found, (self.outputs, env.epochs, env.epoch_steps, pending))
        return full.reshape(self.outputs, env.steps, pending)


POLICIES = ("mlp", "table")


def make_policy(name: str, *, outputs: int, width: int, indices: int) -> nn.Module:
    """A policy by its name.

    Args:
      name: one of `POLICIES`.
      outputs: per place.
      width: of the MLP's hidden layer.
      indices: of the table.

    Returns:
      The module; called with an environment and its parameters it gives `(outputs, T, P)`.

    Raises:
      ValueError: if the name is unknown or the width is not positive.
    """
    require_one_of("policies", name, POLICIES)
    require(width >= 1, "width", width, "must be at least 1")
    return Mlp(outputs=outputs, width=width) if name == "mlp" else Table(outputs=outputs, indices=indices)
