# SPDX-License-Identifier: Apache-2.0
"""Policies over the places of a run: an MLP on what the agent sees, and a table.

Each is a flax module that gives outputs (logits of actions; for some learners a value too) at all places at once,
`(outputs, T, P)`, since a run has few of them and every use of a policy needs most: rollouts look actions up, losses
weigh places by how often they were met, and the planner takes the whole table. Outputs come first because there are
few of them, and vector units want many numbers side by side. Variables may be those of S agents side by side in a last
axis, `(..., S)`; then outputs are `(outputs, T, P, S)`.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.loops import once
from jaxmyopia.studies.epochs.codes import numbers_of
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv

_MOST_SUMMED = 64  # inputs of a product that is written out as a sum


@jax.custom_vjp
def affine(weights: jax.Array, bias: jax.Array, inputs: jax.Array) -> jax.Array:
    """A layer of each agent, written out: XLA's batched product of matrices this small is many times as slow.

    Args:
      weights: `(O, H)`.
      bias: `(O,)`.
      inputs: `(H, N)`.

    Returns:
      `(O, N)`.
    """
    if _by_product(weights):
        return jnp.einsum("oh...,hn...->on...", weights, inputs) + bias[:, None]
    # An output at a time: as one expression, XLA would work it out anew wherever it is used.
    columns = [weights[:, i] for i in range(len(inputs))]
    return jax.lax.map(lambda row: _weighted(row[0], inputs) + row[1][None], (columns, bias))


def _by_product(weights: jax.Array) -> bool:
    return weights.ndim == 2 or max(weights.shape[:2]) > _MOST_SUMMED


def _weighted(weights: Sequence[jax.Array], inputs: jax.Array) -> jax.Array:
    return functools.reduce(jnp.add, [weight[None] * x for weight, x in zip(weights, inputs, strict=True)])


def _affine_kept(weights: jax.Array, bias: jax.Array, inputs: jax.Array):
    return affine(weights, bias, inputs), (weights, inputs)


def _affine_slopes(kept: tuple[jax.Array, jax.Array], slope: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    weights, inputs = kept
    slope = once(slope)
    if _by_product(weights):
        outer = jnp.einsum("on...,hn...->oh...", slope, inputs)
        back = jnp.einsum("oh...,on...->hn...", weights, slope)
    else:
        outer = _outer(slope, inputs)
        back = functools.reduce(jnp.add, [w[:, None] * x[None] for w, x in zip(weights, slope, strict=True)])
    return outer, slope.sum(axis=1), back


def _outer(slope: jax.Array, inputs: jax.Array) -> jax.Array:
    """The sum over N of `(O, N)` times `(H, N)`, `(O, H)`; a turn of the loop each, so that the sum stays in cache."""

    def add(i, total):
        mine, theirs = (jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False) for x in (slope, inputs))
        return total + mine[:, None] * theirs[None]

    start = jnp.zeros((slope.shape[0], inputs.shape[0], *slope.shape[2:]), slope.dtype)
    return jax.lax.fori_loop(0, slope.shape[1], add, start, unroll=4)


affine.defvjp(_affine_kept, _affine_slopes)


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
    return _over_epochs(env, _seen_in_an_epoch(env, params, kernel))


def _over_epochs(env: EpochEnv, values: jax.Array) -> jax.Array:
    """From `(H, E or 1, L, P)` to `(H, T, P)`."""
    shape = values.shape
    return jnp.broadcast_to(values, (shape[0], env.epochs, *shape[2:])).reshape(shape[0], env.steps, *shape[3:])


def _seen_in_an_epoch(env: EpochEnv, params: EnvParams, kernel: jax.Array) -> jax.Array:
    """As `seen_through`, `(H, E, L, P)`; E is 1 where all epochs look the same."""
    steps, own = env.epoch_steps, env.code_width
    width = own * (1 + int(env.show_cutoff))
    columns = lambda rows: jnp.swapaxes(rows, 0, 1)
    total = columns(kernel[width : width + steps])[:, None, :, None]
    if env.reveal_epoch == "one_hot":
        rows = jax.lax.dynamic_slice_in_dim(kernel[:own], params.first_index, env.epochs)
        total = total + columns(params.index_shown * rows)[:, :, None, None]
    elif own:
        index = params.first_index + jnp.arange(env.epochs, dtype=jnp.int32)
        shown = numbers_of((env.reveal_epoch, env.indices), index, kernel.dtype, params.index_shown)
        for row, numbers in zip(kernel[:own], jnp.unstack(shown, axis=1), strict=True):
            total = total + _scaled(row, numbers)[:, :, None, None]
    if env.show_cutoff:
        shown = numbers_of((env.reveal_epoch, env.indices), params.cutoff, kernel.dtype)
        numbers = jnp.moveaxis(shown, -1, 0)  # (C,), or (C, S)
        numbers = numbers.reshape(own, *[1] * (kernel.ndim - numbers.ndim), *numbers.shape[1:])
        products = [row * number for row, number in zip(kernel[own:width], numbers, strict=True)]
        total = total + functools.reduce(jnp.add, products)[:, None, None, None]
    # What is pending is seen alike at all steps of an epoch, but for the first where lures bind.
    first = np.arange(steps)[:, None] == 0
    for i, numbers in enumerate(env.seen_of_pending(np.arange(env.pending_places)[None], first)):
        total = total + _scaled(kernel[width + steps + i], jnp.asarray(numbers, kernel.dtype))[:, None]
    return jnp.broadcast_to(total, (*total.shape[:3], env.pending_places, *total.shape[4:]))


def _scaled(row: jax.Array, numbers: jax.Array) -> jax.Array:
    """A row `(H,)` of agents side by side times numbers of any shape, `(H, ...)`."""
    return row.reshape(row.shape[0], *[1] * numbers.ndim, *row.shape[1:]) * numbers.reshape(
        1, *numbers.shape, *[1] * (row.ndim - 1)
    )


def _own(module: nn.Module, name: str, init: Callable, shape: tuple[int, ...]) -> jax.Array:
    """A variable of a module; that of agents side by side has an axis more than flax would let pass."""
    there = module.has_variable("params", name)
    return module.get_variable("params", name) if there else module.param(name, init, shape)


class Mlp(nn.Module):
    """One hidden layer of tanh; the last layer starts at zero, so that all actions start equally likely.

    `outputs`: per place. `width`: of the hidden layer, H.
    """

    outputs: int
    width: int = 16

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(outputs, T, P)`."""
        seen, zeros = env.seen, nn.initializers.zeros
        kernel = _own(self, "kernel", nn.initializers.lecun_normal(), (seen, self.width))
        bias = _own(self, "bias", zeros, (self.width,))
        last = _own(self, "last", zeros, (self.outputs, self.width))
        last_bias = _own(self, "last_bias", zeros, (self.outputs,))
        inputs = _seen_in_an_epoch(env, params, kernel)
        if env.show_cutoff or env.reveal_epoch not in ("one_hot", "masked"):
            # One loop over codes and tanh would round a block's first agents otherwise than the rest.
            inputs = once(inputs, few=1)
        hidden = nn.tanh(inputs + bias[:, None, None, None])
        out = affine(last, last_bias, hidden.reshape(self.width, -1, *hidden.shape[4:]))
        return _over_epochs(env, out.reshape(self.outputs, *hidden.shape[1:]))


class Table(nn.Module):
    """One entry an output for all that can be seen; what was never seen keeps its start, zero.

    Codes that tell all indices apart are one to it: an entry a row of the code matrix, and one for none.

    `outputs`: per place. `indices`: how many indices can be shown; a hidden one has entries of its own.
    """

    outputs: int
    indices: int

    @nn.compact
    def __call__(self, env: EpochEnv, params: EnvParams) -> jax.Array:
        """Outputs at every place of `env`, `(outputs, T, P)`."""
        pending = env.pending_places
        rows = self.indices if env.code_width else 0
        cutoffs = (self.indices + 1,) if env.show_cutoff else ()
        shape = (self.outputs, rows + 1, *cutoffs, env.epoch_steps, pending if env.show_pending else 1)
        table = _own(self, "table", nn.initializers.zeros, shape)
        if cutoffs:
            table = _of_cutoff(table, jnp.minimum(params.cutoff, self.indices))
        found = jnp.broadcast_to(table[:, -1:], (self.outputs, env.epochs, *table.shape[2:]))
        if rows:
            shown = jax.lax.dynamic_slice_in_dim(table, params.first_index, env.epochs, axis=1)
            found = jnp.where(params.index_shown > 0, shown, found)
        return _over_epochs(env, jnp.broadcast_to(found, (*found.shape[:3], pending, *table.shape[4:])))


def _of_cutoff(table: jax.Array, cutoff: jax.Array) -> jax.Array:
    """The entries of a cutoff, `(outputs, X, L, P)` from `(outputs, X, K, L, P)`; for each of agents its own."""
    if not cutoff.ndim:
        return jax.lax.dynamic_index_in_dim(table, cutoff, axis=2, keepdims=False)
    number = jnp.arange(table.shape[2], dtype=cutoff.dtype).reshape(1, 1, -1, 1, 1, 1)
    return jnp.where(number == cutoff.reshape(1, 1, 1, 1, 1, -1), table, 0.0).sum(axis=2)


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
