# SPDX-License-Identifier: Apache-2.0
"""Training at several cutoffs at once: every batch is split evenly over them, as if K were drawn anew for each run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.draws import uniform
from jaxmyopia.studies.epochs.learners import Agent, Learner, reinforce_from
from jaxmyopia.studies.epochs.losses import softmax
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv
from jaxmyopia.studies.epochs.rollouts import draw_cutoffs, live


def check_cutoffs(cutoffs: tuple[int, ...], epochs: int, runs: int) -> None:
    """Raises ArgumentError unless cutoffs are of runs of E `epochs`, without repeats, and share `runs` evenly."""
    for cutoff in cutoffs:
        require(0 <= cutoff <= epochs, "train_cutoffs", cutoffs, f"must be from 0 to epochs={epochs}")
    require(len(set(cutoffs)) == len(cutoffs), "train_cutoffs", cutoffs, "must be without repeats")
    even = runs % len(cutoffs) == 0 and runs >= 2 * len(cutoffs)
    require(even, "train_cutoffs", cutoffs, f"must share runs_a_batch={runs} evenly, two or more runs each")


def reinforce_across(
    learner: Learner,
    cutoffs: tuple[int, ...],
    agent: Agent,
    key: jax.Array,
    params: EnvParams,
    factors: jax.Array,
    rate: jax.Array,
    _decay: jax.Array | None = None,
) -> Agent:
    """One batch of runs, as many at each cutoff, and what is learned from it by REINFORCE.

    Baselines and the scale of advantages are those of the runs at one cutoff, so that all count alike. The gradient is
    the mean over the cutoffs; with one of them it is that of `Learner.update`.

    Args:
      learner: of REINFORCE.
      cutoffs: W of them, see `check_cutoffs`.
      agent: before.
      key: consumed.
      params: the environment's, but for the cutoff, scalars.
      factors: `(T,)` from `planner.discounts`.
      rate: the learning rate, scalar.
      _decay: of PPO alone.

    Returns:
      The agent afterwards.
    """
    env, worlds = learner.env, jnp.asarray(np.array(cutoffs, np.int32))
    at = lambda cutoff: dataclasses.replace(params, cutoff=cutoff)
    draws, borders = _shared_out(len(cutoffs), key, at(jnp.int32(env.epochs)), env, learner.settings.runs_a_batch)

    def outputs(variables):
        return jax.vmap(lambda cutoff: learner.outputs(variables, env, at(cutoff)))(worlds)

    def slope(cutoff, logits, draws, borders):
        own = None if borders is None else jnp.minimum(cutoff, borders)
        return reinforce_from(learner, live(env, at(cutoff), softmax(logits), draws, cutoffs=own), factors, logits)

    logits, pull = jax.vjp(outputs, agent.variables)
    slopes = jax.vmap(slope)(worlds, logits, draws, borders) / len(cutoffs)
    return learner.descend(agent, pull(slopes)[0], rate)


def _shared_out(
    parts: int, key: jax.Array, params: EnvParams, env: EpochEnv, runs: int
) -> tuple[jax.Array, jax.Array | None]:
    """What a batch draws, `(W, T, B / W)`, and the borders at which a hazard strikes, `(W, B / W)` or None."""
    shape = env.steps, runs
    draws = uniform(key, shape) if key.ndim else jax.random.uniform(key, shape)
    draws = jnp.moveaxis(draws.reshape(env.steps, parts, -1, *draws.shape[2:]), 1, 0)
    borders = draw_cutoffs(params, key, runs)
    return draws, None if borders is None else borders.reshape(parts, -1, *borders.shape[1:])
