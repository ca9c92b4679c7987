# SPDX-License-Identifier: Apache-2.0
"""The exact loss of one seed and its slope; of small models the slope of S seeds is worked out side by side.

Models of a few features are too small for a processor's vector units one by one. With S the last axis of all arrays,
and W^T W a sum over the rows of W, a step of six features takes about a third of the time (2 cores, 2026-11-27).
"""

import functools

import jax
import jax.numpy as jnp

from jaxmyopia.studies.superposition.model import ONE_ACTIVE, errors_of_one

_SMALL = 12  # features, up to which seeds lie side by side


def loss(model: jax.Array, importance: jax.Array, activation: str = "relu") -> jax.Array:
    """The loss where exactly one feature is active.

    Args:
      model: `(M + 1, F)`, W and the biases.
      importance: `(F,)`, over what the loss is told in.
      activation: of the output.

    Returns:
      A scalar.
    """
    return (importance * errors_of_one(model[:-1].T @ model[:-1], model[-1], activation)).sum()


def slope(model: jax.Array, importance: jax.Array, activation: str = "relu") -> jax.Array:
    """The gradient of `loss` in the model, `(M + 1, F)`; under `jax.vmap` over both, that of S seeds at once."""

    @jax.custom_batching.custom_vmap
    def of_one(model: jax.Array, importance: jax.Array) -> jax.Array:
        return jax.grad(loss)(model, importance, activation)

    @of_one.def_vmap
    def of_several(size: int, batched: list[bool], models: jax.Array, importances: jax.Array) -> tuple[jax.Array, bool]:
        if not all(batched) or models.shape[-1] > _SMALL:
            axes = [0 if told else None for told in batched]
            return jax.vmap(lambda *one: jax.grad(loss)(*one, activation), axes, axis_size=size)(
                models, importances
            ), True
        return _side_by_side(models, importances, activation), True

    return of_one(model, importance)


def _side_by_side(models: jax.Array, importances: jax.Array, activation: str) -> jax.Array:
    """The slopes `(S, M + 1, F)` of models `(S, M + 1, F)` by importances `(S, F)`."""
    importance = jnp.moveaxis(importances, 0, -1)

    def total(model: jax.Array) -> jax.Array:
        gains = functools.reduce(jnp.add, [row[:, None] * row[None, :] for row in model[:-1]])
        own = jnp.eye(model.shape[1], dtype=model.dtype)[:, :, None]
        return (importance * ONE_ACTIVE[activation](own, gains, model[-1][None]).mean(axis=0)).sum()

    return jnp.moveaxis(jax.grad(total)(jnp.moveaxis(models, 0, -1)), -1, 0)
