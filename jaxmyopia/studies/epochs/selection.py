# SPDX-License-Identifier: Apache-2.0
"""Selection across epochs: populations of agents of which the best are copied over the worst.

Every agent of a population learns by REINFORCE, under a credit that may end with the epoch; every `interval` updates
the agents that earned least over whole runs take the parameters of those that earned most. That outer loop sees past
the epoch even if the inner one does not. Context swap takes the sight away from it: at the start of an epoch agent i
finds the run that agent i - 1 left, so that what an agent leaves behind is another's.

Source: Krueger, Maharaj and Leike 2020, "Hidden incentives for auto-induced distributional shift", arXiv 2009.09153
(truncation selection as in population based training; their swap is over environments likewise).

One seed is one population of N agents.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.checks import require
from jaxmyopia.studies.epochs import params as single
from jaxmyopia.studies.epochs import planner
from jaxmyopia.studies.epochs.learners import Agent, Learner, Settings, check_learner, reinforce_from
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv
from jaxmyopia.studies.epochs.params import world
from jaxmyopia.studies.epochs.policies import make_policy
from jaxmyopia.studies.epochs.rollouts import Experience, act, begin, bounds_of
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype

_TRIALS = 256  # agents in a block, about


@struct.dataclass
class Params:
    """What may differ by seed: `agent`, as of the study of single agents; `interval`, updates between selections (0:
    none), and `swap` (1 or 0), `(S,)` each.
    """

    agent: single.Params
    interval: jax.Array
    swap: jax.Array


@struct.dataclass
class State:
    """S populations: `step` scalar, `key` `(S, 2)` uint32, `agents` `(S, N, ...)`, `earned` `(S, N)` since the last
    selection.
    """

    step: jax.Array
    key: jax.Array
    agents: Agent
    earned: jax.Array


@struct.dataclass
class Record:
    """One record point, means over a population: `step` scalar; `loss` `(S,)` what an agent alone in its runs misses of
    the planner's value under its credit; `running`, `acting`, `lured` `(S, E)` as of the study of single agents.
    """

    step: jax.Array
    loss: jax.Array
    running: jax.Array
    acting: jax.Array
    lured: jax.Array


def select(agents: Agent, earned: jax.Array, count: int) -> Agent:
    """Truncation selection: the best are copied over the worst, the best over the very worst.

    Args:
      agents: leaves `(N, ...)`.
      earned: `(N,)`.
      count: how many are replaced, at most N / 2.

    Returns:
      The population afterwards.
    """
    order = jnp.argsort(earned)
    source = jnp.arange(earned.shape[0]).at[order[:count]].set(order[::-1][:count])
    return jax.tree.map(lambda x: x[source], agents)


def shared_rollout(
    env: EpochEnv, params: EnvParams, chances: jax.Array, draws: jax.Array, swap: jax.Array
) -> Experience:
    """Lets a population live through runs, which may change hands from epoch to epoch.

    Args:
      env: the environment.
      params: its parameters, scalars.
      chances: `(N, A, T, P)` the agents' policies.
      draws: `(T, N, B)` uniform.
      swap: whether agent i goes on in epoch e + 1 where agent i - 1 ended epoch e; scalar.

    Returns:
      `Experience` by who acted, `(N, T, B)` leaves.
    """
    start = jnp.arange(env.steps) % env.epoch_steps == 0

    def step(states, now):
        bounds, draw, first = now
        states = jax.tree.map(lambda x: jnp.where(first & (swap > 0), jnp.roll(x, 1, axis=0), x), states)
        return jax.vmap(lambda state, bound, draw: act(env, params, state, bound, draw))(states, bounds, draw)

    population, runs = draws.shape[1:]
    states = jax.tree.map(lambda x: jnp.broadcast_to(x, (population, runs)), begin(env, params, runs))
    lived = jax.lax.scan(step, states, (jnp.swapaxes(jax.vmap(bounds_of)(chances), 0, 1), draws, start))[1]
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), lived)


@dataclasses.dataclass(frozen=True)
class Selection(Study):
    """Populations in `EpochEnv`; a step is one batch of runs, what the agents learn from it, and perhaps a selection.

    `population`: N, at least 2. `replaced`: the share that selection replaces, in (0, 1/2]. `spread`: standard
    deviation of the logits at the start, so that agents differ. Raises ValueError if a field is not allowed.
    """

    epochs: int = 8
    epoch_steps: int = 4
    population: int = 10
    optimizer: str = "adam"
    replaced: float = 0.2
    spread: float = 1.0
    settings_of_learner: Settings = dataclasses.field(default_factory=lambda: Settings(runs_a_batch=4, minibatches=1))

    def __post_init__(self):
        super().__post_init__()
        check_learner("reinforce", self.optimizer)
        require(self.population >= 2, "populations", self.population, "must be at least 2")
        require(0 < self.replaced <= 0.5, "replaced", self.replaced, "must be above 0, at most 0.5")
        require(0 <= self.spread < np.inf, "spread", self.spread, "must be at least 0")
        _ = self.env

    def __str__(self) -> str:
        return f"selection among {self.population}, {self.optimizer}"

    @property
    def block(self) -> int:
        """Seeds a block, by the number of agents."""
        return max(_TRIALS // self.population, 1)

    @property
    def env(self) -> EpochEnv:
        """The environment of each agent."""
        return EpochEnv(epochs=self.epochs, epoch_steps=self.epoch_steps)

    @property
    def learner_of_one(self) -> Learner:
        """The learning rule, for one agent."""
        policy = make_policy("table", outputs=3, width=1, indices=self.epochs)
        return Learner("reinforce", self.env, policy, self.optimizer, self.settings_of_learner)

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        names = ("epochs", "epoch_steps", "population", "optimizer", "replaced")
        return {"study": "epochs", "learner": "selection"} | {name: getattr(self, name) for name in names}

    @property
    def _alone(self) -> Myopia:
        """The study of one agent of a population."""
        return Myopia(epochs=self.epochs, epoch_steps=self.epoch_steps, policy="table", optimizer=self.optimizer)

    def known_settings(self) -> dict[str, bool]:
        """Its own two, and those of a single agent."""
        return {"interval": True, "swap": True} | (self._alone.known_settings() or {})

    def params(self, *, interval: np.ndarray, swap: np.ndarray, **agent: np.ndarray) -> Params:
        """Makes the parameters of S seeds.

        Args:
          interval: `(S,)` updates between selections, 0 for none.
          swap: `(S,)`, 1 or 0.
          **agent: `(S,)` each, as for `Myopia.params`.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        for value in np.unique(interval):
            require(value >= 0 and value == int(value), "intervals", float(value), "must be whole numbers, 0 or more")
        for value in np.unique(swap):
            require(value in (0, 1), "swap", float(value), "must be 0 or 1")
        return Params(
            agent=self._alone.params(**agent),
            interval=jnp.asarray(interval, jnp.int32),
            swap=jnp.asarray(swap, float_dtype()),
        )

    def init(self, keys: jax.Array, params: Params) -> State:
        """New populations whose agents differ.

        Args:
          keys: `(S,)` one a seed; kept, and folded with the step in every step.
          params: `(S,)` leaves.

        Returns:
          The `State` at step 0.
        """
        learner = self.learner_of_one

        def one(key, params):
            first = learner.init(key, world(params, 0)).variables
            table = first["params"]["table"]
            drawn = self.spread * jax.random.normal(jax.random.fold_in(key, 0), (self.population, *table.shape))
            noise = jax.random.split(jax.random.fold_in(key, 2**31), self.population)
            return jax.vmap(learner.start)({"params": {"table": drawn.astype(table.dtype)}}, noise)

        agents = jax.vmap(one)(keys, params.agent)
        earned = jnp.zeros((keys.shape[0], self.population))
        return State(step=jnp.zeros((), jnp.int32), key=jax.random.key_data(keys), agents=agents, earned=earned)

    def step(self, state: State, params: Params) -> State:
        """One batch of runs of all S populations, what they learn from it, and selection where it is due."""

        def one(key, agents, earned, params):
            key = jax.random.fold_in(jax.random.wrap_key_data(key), state.step + 1)
            agents, income = self._live(key, agents, params, state.step)
            earned = earned + income
            due = (params.interval > 0) & ((state.step + 1) % jnp.maximum(params.interval, 1) == 0)
            chosen = select(agents, earned, max(int(self.replaced * self.population), 1))
            agents = jax.tree.map(lambda new, old: jnp.where(due, new, old), chosen, agents)
            return agents, jnp.where(due, 0.0, earned)

        agents, earned = jax.vmap(one)(state.key, state.agents, state.earned, params)
        return dataclasses.replace(state, step=state.step + 1, agents=agents, earned=earned)

    def _live(self, key: jax.Array, agents: Agent, params: Params, step: jax.Array) -> tuple[Agent, jax.Array]:
        """One population's update, and what each agent earned in a run `(N,)`."""
        learner, env, now = self.learner_of_one, self.env, world(params.agent, step)
        factors = planner.discounts(env, params.agent.discount, params.agent.credit)
        logits, pull = jax.vjp(jax.vmap(lambda x: learner.outputs(x, env, now)), agents.variables)
        draws = jax.random.uniform(key, (env.steps, self.population, self.settings_of_learner.runs_a_batch))
        lived = shared_rollout(env, now, jax.nn.softmax(logits, axis=1), draws, params.swap)
        slope = jax.vmap(lambda lived, logits: reinforce_from(learner, lived, factors, logits))(lived, logits)
        agents = jax.vmap(learner.descend, in_axes=(0, 0, None))(agents, pull(slope)[0], params.agent.learning_rate)
        return agents, lived.reward.sum(axis=1).mean(axis=-1)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`, exact."""
        learner, env = self.learner_of_one, self.env

        def one(agent, params):
            now = world(params.agent, state.step)
            model, chances = planner.make_model(env, now), learner.chances(agent, env, now)
            factors, found = planner.discounts(env, 1.0, params.agent.credit), planner.outcome(model, chances)
            missed = planner.optimal(model, factors)[0] - planner.policy_values(model, chances, factors)
            loss = planner.credited(missed, found.arriving, params.agent.credit)
            return {"loss": loss, "running": found.running, "acting": found.acting, "lured": found.lured}

        found = jax.vmap(jax.vmap(one, in_axes=(0, None)))(state.agents, params)
        return Record(step=state.step, **jax.tree.map(lambda x: x.mean(axis=1), found))

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`: the last record's, as of `Myopia`."""
        last = jax.tree.map(lambda x: x[-1], curves)
        out = {"loss": last.loss, "diverged": ~jnp.isfinite(curves.loss).all(axis=0)} | self.measured(curves)
        for name in ("running", "acting", "lured"):
            leaf = getattr(last, name)
            out |= {f"{name}_{i}": leaf[:, i] for i in range(leaf.shape[1])}
        return out

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """Lures as a share of the steps acted in, over a run, `(T, S)`."""
        return {"lure_rate": curves.lured.sum(axis=2) / jnp.maximum(curves.acting.sum(axis=2), 1e-9)}
