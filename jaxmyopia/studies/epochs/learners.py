# SPDX-License-Identifier: Apache-2.0
"""REINFORCE with a baseline, PPO and tabular Q-learning, each an update of one agent or of S side by side.

Losses are sums over places and actions (see `rollouts`), equal to the usual means over samples; those of agents side by
side are summed up, so that each finds its own gradient. Credit enters through the factors on what follows
(`planner.discounts`) and nowhere else.

Shapes are those of one agent. Side by side agents have a last axis more, in their variables, keys `(S,)`, factors
`(T, S)` and whatever is made of them; parameters of the environment are scalars or `(S,)`.
"""

import dataclasses
from collections.abc import Callable
from typing import cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct

from jaxmyopia import optimizers
from jaxmyopia.checks import require_one_of
from jaxmyopia.loops import once
from jaxmyopia.studies.epochs.learner_settings import Settings
from jaxmyopia.studies.epochs.losses import clipped_loss, entropy_bonus, log_chances, policy_loss, softmax
from jaxmyopia.studies.epochs.model import ACTIONS, EnvParams, EpochEnv
from jaxmyopia.studies.epochs.rollouts import (
    Experience,
    gather,
    gather_places,
    generalised_advantages,
    look_up,
    normalised,
    returns,
    rollout,
    share_of,
    widened,
    without_each,
)

_A = len(ACTIONS)
_NOISE = 2**31  # folded into the key of an agent whose optimiser draws noise


@struct.dataclass
class Agent:
    """One agent: the policy's `variables` and the optimiser's `state`, pytrees of any shape."""

    variables: chex.ArrayTree
    state: optax.OptState


@dataclasses.dataclass(frozen=True)
class Learner:
    """A learning rule with its policy: two pure functions of one agent, and a third that reads its policy off.

    `name`: of `LEARNERS`. `env`: what it trains in. `policy`: a module with `outputs_of(name)` outputs. `optimizer`: a
    name, see `optimizers.make`.
    """

    name: str
    env: EpochEnv
    policy: nn.Module
    optimizer: str = "adam"
    settings: Settings = dataclasses.field(default_factory=Settings)

    def init(self, key: jax.Array, params: EnvParams) -> Agent:
        """A new agent; `key` is consumed, `params` are scalars."""
        del params  # it starts alike everywhere
        first = lambda key: self._optimistic(self.policy.init(key, self.env, self.env.default_params))
        noise = lambda key: jax.random.fold_in(key, _NOISE)
        if key.ndim:
            return self.start(jax.vmap(first, out_axes=-1)(key), jax.vmap(noise)(key))
        return self.start(first(key), noise(key))

    def _optimistic(self, variables: chex.ArrayTree) -> chex.ArrayTree:
        """Q-learning's first values: above what can be had, so that all is tried (Sutton and Barto 2018, 2.6)."""
        if self.name != "qlearning" or not self.settings.optimism:
            return variables
        return jax.tree.map(lambda x: x + self.settings.optimism * self.env.steps, variables)

    def start(self, variables: chex.ArrayTree, key: jax.Array) -> Agent:
        """An agent with given variables that has not learned yet; `key` is for optimisers that draw noise."""
        flat, _ = _in_one_array(variables, key.ndim)

        def begin(flat, key):
            with jax.numpy_dtype_promotion("standard"):
                return optimizers.with_key(optimizers.make(self.optimizer)(0.0).init(flat), key)

        return Agent(variables=variables, state=self._apart(begin, (-1, 0), key.ndim)(flat, key))

    def _apart(self, function: Callable, axes: tuple[int, ...], agents: int) -> Callable:
        """Maps an optimiser over agents, unless it treats entries one by one and does not care whose they are."""
        if not agents or self.optimizer in optimizers.ELEMENTWISE:
            return function
        return jax.vmap(function, in_axes=axes, out_axes=-1)

    def update(
        self,
        agent: Agent,
        key: jax.Array,
        params: EnvParams,
        factors: jax.Array,
        rate: jax.Array,
        decay: jax.Array | None = None,
    ) -> Agent:
        """One batch of runs and what is learned from it.

        Args:
          agent: before.
          key: consumed.
          params: the environment's, scalars.
          factors: `(T,)` from `planner.discounts`.
          rate: the learning rate, scalar.
          decay: PPO's lambda, scalar; by default that of the settings.

        Returns:
          The agent afterwards.
        """
        decay = jnp.asarray(self.settings.decay, factors.dtype) if decay is None else decay
        return _UPDATES[self.name](self, agent, key, params, factors, rate, decay)

    def outputs(self, variables: chex.ArrayTree, env: EpochEnv, params: EnvParams) -> jax.Array:
        """What the policy gives with these variables, `(outputs_of(name), T, P)`; `params` are scalars."""
        return cast(jax.Array, self.policy.apply(variables, env, params))

    def chances(self, variables: chex.ArrayTree, env: EpochEnv, params: EnvParams) -> jax.Array:
        """The policy of one agent in an environment that may be another than its own.

        Args:
          variables: the agent's.
          env: where it is deployed; as many indices as its own.
          params: scalars.

        Returns:
          Probabilities `(T, P, A)`: as trained; Q-learning's without exploration, ties split evenly.
        """
        outputs = self.outputs(variables, env, params)
        if self.name == "qlearning":
            best = (outputs >= outputs.max(axis=0, keepdims=True)).astype(outputs.dtype)
            chances = best / best.sum(axis=0, keepdims=True)
        else:
            chances = softmax(outputs[:_A])
        return jnp.moveaxis(chances, 0, -1)

    def descend(self, agent: Agent, gradients: chex.ArrayTree, rate: jax.Array) -> Agent:
        """One step of the optimiser; `rate` is a scalar."""
        # All entries in one array: what an optimiser shares among several (Adam's bias correction), XLA may compile in
        # another order for one device than for two. optax raises a float to an integer step count, which strict
        # promotion (a user's setting) refuses.
        flat, whole = _in_one_array(agent.variables, rate.ndim)

        def move(gradients, state, flat, rate):
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizers.make(self.optimizer)(rate).update(gradients, state, flat)
            return optax.apply_updates(flat, updates), state

        gradients, _ = _in_one_array(gradients, rate.ndim)
        if self.optimizer in optimizers.ELEMENTWISE:
            rate = widened(rate, 1)
        moved = self._apart(move, (-1, -1, -1, 0), rate.ndim)
        flat, state = moved(gradients, agent.state, flat, rate)
        return Agent(variables=whole(flat), state=state)


def _in_one_array(tree: chex.ArrayTree, agents: int) -> tuple[jax.Array, Callable[[jax.Array], chex.ArrayTree]]:
    """All entries, `(N,)`, and the way back; agents stay side by side in a last axis, if there is one."""
    leaves, structure = jax.tree.flatten(tree)
    shapes = [leaf.shape for leaf in leaves]
    flat = [leaf.reshape(-1, *leaf.shape[leaf.ndim - agents :]) for leaf in leaves]
    ends = np.cumsum([len(leaf) for leaf in flat])[:-1]

    def whole(flat: jax.Array) -> chex.ArrayTree:
        parts = jnp.split(flat, ends)
        return jax.tree.unflatten(structure, [part.reshape(s) for part, s in zip(parts, shapes, strict=True)])

    return jnp.concatenate(flat), whole


def reinforce_from(learner: Learner, experience: Experience, factors: jax.Array, logits: jax.Array) -> jax.Array:
    """REINFORCE's gradient with respect to the logits.

    The baseline of a sample is the mean return of the batch's other runs that still run at its time.
    Source: Williams 1992, "Simple statistical gradient-following algorithms".

    Args:
      learner: whose settings.
      experience: B runs.
      factors: `(T,)`.
      logits: `(A, T, P)` of the policy that acted.

    Returns:
      `(A, T, P)`.
    """
    followed, alive, size = returns(experience.reward, factors), experience.running, logits.shape[2]
    advantage = normalised(followed - without_each(followed, alive), alive, centre=False)
    share = share_of(alive, advantage.dtype)
    weights = gather(experience, advantage * share, size)
    visits = gather_places(experience, jnp.broadcast_to(share, advantage.shape), size)
    entropy = learner.settings.entropy
    return jax.grad(lambda x: policy_loss(x, weights) - entropy * entropy_bonus(x, visits))(logits)


def _reinforce(learner: Learner, agent: Agent, key, params, factors, rate, _decay) -> Agent:
    logits, pull = jax.vjp(lambda variables: learner.outputs(variables, learner.env, params), agent.variables)
    experience = rollout(learner.env, params, softmax(logits), key, learner.settings.runs_a_batch)
    return learner.descend(agent, pull(reinforce_from(learner, experience, factors, logits))[0], rate)


def _parts(batch: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Of a minibatch from `_batches`: `gains`, `losses` `(A, T, P)`; `visits`, `target` `(T, P)`."""
    gains, losses, (visits, target) = batch[:_A], batch[_A : 2 * _A], batch[2 * _A :]
    return gains, losses, visits, target


def _batches(
    learner: Learner, experience: Experience, factors: jax.Array, values: jax.Array, decay: jax.Array
) -> jax.Array:
    """Samples by place, in M minibatches, `(M, 2 A + 2, T, P)`, see `_parts`.

    Runs are alike, so that any M groups of them are minibatches drawn at random.
    """
    value = once(jnp.where(experience.running, look_up(values, experience.pending), 0.0))
    advantage = generalised_advantages(experience.reward, value, factors, decay)
    parts = learner.settings.minibatches

    def one(experience, advantage, value):
        alive, size = experience.running, values.shape[1]
        share = share_of(alive, advantage.dtype)
        scaled = normalised(advantage, alive, centre=True) * share
        gains, losses = gather(experience, (jnp.maximum(scaled, 0.0), jnp.minimum(scaled, 0.0)), size)
        weights = jnp.broadcast_to(share, advantage.shape), (advantage + value) * share
        visits, target = gather_places(experience, weights, size)
        target = target / jnp.where(visits > 0, visits, 1.0)
        return jnp.concatenate([gains, losses, visits[None], target[None]])

    split = lambda x: jnp.moveaxis(x.reshape(x.shape[0], parts, -1, *x.shape[2:]), 1, 0)
    return jax.vmap(one)(*jax.tree.map(split, (experience, advantage, value)))


def _ppo(learner: Learner, agent: Agent, key, params, factors, rate, decay) -> Agent:
    env, settings, scale = learner.env, learner.settings, float(learner.env.steps)
    apply = lambda variables: learner.outputs(variables, env, params)
    outputs = apply(agent.variables)
    old = log_chances(outputs[:_A])
    experience = rollout(env, params, jnp.exp(old), key, settings.runs_a_batch)
    # The critic's output is in units of the run's length, so that it starts within reach of the returns.
    batches = _batches(learner, experience, factors, outputs[_A] * scale, decay)

    def loss(variables, batch):
        logits, value = jnp.split(apply(variables), [_A])
        gains, losses, visits, target = _parts(batch)
        missed = settings.value_weight * (visits * jnp.square(value[0] - target / scale)).sum()
        objective = clipped_loss(logits, old, gains, losses, settings.clip)
        return objective + missed - settings.entropy * entropy_bonus(logits, visits)

    def improve(i, agent):
        batch = once(jax.lax.dynamic_index_in_dim(batches, i % settings.minibatches, keepdims=False))
        return learner.descend(agent, jax.grad(loss)(agent.variables, batch), rate)

    return jax.lax.fori_loop(0, settings.passes * settings.minibatches, improve, agent)


def _q_learning(learner: Learner, agent: Agent, key, params, factors, rate, _decay) -> Agent:
    """Watkins 1989: towards r + d max Q of what follows, by the mean error of the batch at each entry."""
    apply = lambda variables: learner.outputs(variables, learner.env, params)
    q, pull = jax.vjp(apply, agent.variables)
    explore = learner.settings.exploration
    greedy = jax.nn.one_hot(q.argmax(axis=0), _A, dtype=q.dtype, axis=0)
    experience = rollout(learner.env, params, (1 - explore) * greedy + explore / _A, key, learner.settings.runs_a_batch)
    best = jnp.where(experience.running, look_up(q.max(axis=0), experience.pending), 0.0)
    target = experience.reward + factors[:, None] * jnp.concatenate([best[1:], jnp.zeros_like(best[:1])])
    count, paid = gather(experience, (jnp.ones_like(target), target), q.shape[2])
    error = count * q - paid
    # Where entries are shared by epochs (a hidden index), errors and counts are summed over them alike.
    errors, counts = pull(error)[0], pull(count)[0]
    return learner.descend(agent, jax.tree.map(lambda x, n: x / jnp.maximum(n, 1.0), errors, counts), rate)


_UPDATES = {"reinforce": _reinforce, "ppo": _ppo, "qlearning": _q_learning}
LEARNERS = tuple(_UPDATES)


def outputs_of(name: str) -> int:
    """How many outputs a learner's policy needs a place, shape `()`: one an action, one more for PPO's critic."""
    return _A + (name == "ppo")


def check_learner(name: str, optimizer: str) -> None:
    """Raises ValueError if a learner's or an optimiser's name is unknown; one of each, shape `()`."""
    require_one_of("learners", name, LEARNERS)
    optimizers.check(optimizer, "optimizers")
