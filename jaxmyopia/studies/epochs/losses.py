# SPDX-License-Identifier: Apache-2.0
"""Losses of policies: sums over places and actions, and over agents where they stand side by side in a last axis."""

import functools

import jax
import jax.numpy as jnp


@jax.custom_vjp
def total(values: jax.Array) -> jax.Array:
    """The sum over the first, short axis, written out: XLA's own is many times as slow."""
    return functools.reduce(jnp.add, list(values))


total.defvjp(
    lambda values: (total(values), values.shape[0]),
    lambda count, slope: (jnp.broadcast_to(slope[None], (count, *slope.shape)),),
)


def _greatest(values: jax.Array) -> jax.Array:
    return functools.reduce(jnp.maximum, list(values))


@jax.custom_vjp
def log_chances(logits: jax.Array) -> jax.Array:
    """The logarithms of the softmax over the first axis."""
    logits = logits - _greatest(logits)[None]
    return logits - jnp.log(total(jnp.exp(logits)))[None]


def _log_chances_kept(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    logs = log_chances(logits)
    return logs, logs


log_chances.defvjp(_log_chances_kept, lambda logs, slope: (slope - jnp.exp(logs) * total(slope)[None],))


def softmax(logits: jax.Array) -> jax.Array:
    """The softmax over the first axis."""
    powers = jnp.exp(logits - _greatest(logits)[None])
    return powers / total(powers)[None]


def policy_loss(logits: jax.Array, weights: jax.Array) -> jax.Array:
    """Policy gradient: minus the weighted sum of log-probabilities.

    Args:
      logits: `(A, T, P)`.
      weights: `(A, T, P)` advantages by place and action, over the number of samples.

    Returns:
      Scalar.
    """
    return -(weights * log_chances(logits)).sum()


def entropy_bonus(logits: jax.Array, visits: jax.Array) -> jax.Array:
    """The mean entropy of the policy where it was.

    Args:
      logits: `(A, T, P)`.
      visits: `(T, P)` shares of samples.

    Returns:
      Scalar, nats.
    """
    logs = log_chances(logits)
    return -(visits * total(jnp.exp(logs) * logs)).sum()


def clipped_loss(logits: jax.Array, old: jax.Array, gains: jax.Array, losses: jax.Array, clip: float) -> jax.Array:
    """PPO's clipped objective: a good action's ratio counts up to 1 + clip, a bad one's down to 1 - clip.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7; its minimum, by the sign of the
    advantage.

    Args:
      logits: `(A, T, P)`.
      old: `(A, T, P)` log-probabilities of the policy that acted.
      gains, losses: `(A, T, P)` sums of positive and of negative advantages, over the number of samples.
      clip: epsilon.

    Returns:
      Scalar.
    """
    ratio = jnp.exp(log_chances(logits) - old)
    return -(gains * jnp.minimum(ratio, 1 + clip) + losses * jnp.maximum(ratio, 1 - clip)).sum()
