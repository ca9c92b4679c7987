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

from jaxmyopia import draws
from jaxmyopia.checks import require
from jaxmyopia.studies.epochs import params as single
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.learners import Agent, Learner, Settings, check_learner, reinforce_from
from jaxmyopia.studies.epochs.losses import softmax
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import world
from jaxmyopia.studies.epochs.policies import make_policy
from jaxmyopia.studies.epochs.populations import select, shared_rollout
from jaxmyopia.studies.epochs.rollouts import draw_cutoffs, widened
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype

_AGENTS = 320  # in a block, at most: a multiple of a vector for populations of 10


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
    """S populations: `step` scalar, `key` `(S, 2)` uint32, `agents` `(..., S, N)` and scalars that all share, `earned`
    `(S, N)` since the last selection.
    """

    step: jax.Array
    key: jax.Array
    agents: Agent
    earned: jax.Array


@struct.dataclass
class Record:
    """One record point, means over a population: `step` scalar; `loss` `(S,)` what an agent alone in its runs misses of
    the planner's value under its credit, `best` `(S,)` that value; `running`, `acting`, `lured` `(S, E)` as of
    `Myopia`.
    """

    step: jax.Array
    loss: jax.Array
    best: jax.Array
    running: jax.Array
    acting: jax.Array
    lured: jax.Array


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
        return max(_AGENTS // self.population, 1)

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
          **agent: `(S,)` each, as for `Myopia.params`: schedule, cutoff and length (a short run) among them.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        for value in single.different("interval", interval):
            fine = 0 <= value <= single.NEVER and value == int(value)
            require(fine, "intervals", value, f"must be whole numbers from 0, for none, to {single.NEVER:g}")
        for value in single.different("swap", swap):
            require(value in (0, 1), "swap", value, "must be 0 or 1")
        of_agents = self._alone.params(**agent)
        seeds = of_agents.cutoff.shape
        return Params(
            agent=of_agents,
            interval=jnp.asarray(single.of_seeds("interval", interval, seeds), jnp.int32),
            swap=jnp.asarray(single.of_seeds("swap", swap, seeds), float_dtype()),
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

        def one(key):
            table = learner.init(key, self.env.default_params).variables["params"]["table"]
            drawn = self.spread * jax.random.normal(jax.random.fold_in(key, 0), (self.population, *table.shape))
            return drawn.astype(table.dtype), jax.random.split(jax.random.fold_in(key, 2**31), self.population)

        drawn, noise = jax.vmap(one)(keys)
        table = jnp.moveaxis(drawn.reshape(-1, *drawn.shape[2:]), 0, -1)
        agents = self._apart(learner.start({"params": {"table": table}}, noise.ravel()))
        earned = jnp.zeros((keys.shape[0], self.population))
        return State(step=jnp.zeros((), jnp.int32), key=jax.random.key_data(keys), agents=agents, earned=earned)

    def _apart(self, agents: Agent) -> Agent:
        """From agents side by side `(..., M)` to populations `(..., S, N)`."""
        return jax.tree.map(lambda x: x.reshape(*x.shape[:-1], -1, self.population) if x.ndim else x, agents)

    def step(self, state: State, params: Params) -> State:
        """One batch of runs of all S populations, what they learn from it, and selection where it is due."""
        agents, income = self._live(state, params)
        earned = state.earned + income
        due = (params.interval > 0) & ((state.step + 1) % jnp.maximum(params.interval, 1) == 0)

        def chosen(agents: Agent) -> Agent:
            replaced = select(agents, earned, max(int(self.replaced * self.population), 1))
            return jax.tree.map(
                lambda new, old: jnp.where(widened(due[:, None], new.ndim - 2), new, old) if new.ndim else new,
                replaced,
                agents,
            )

        agents = jax.lax.cond(due.any(), chosen, lambda agents: agents, agents)
        earned = jnp.where(due[:, None], 0.0, earned)
        return dataclasses.replace(state, step=state.step + 1, agents=agents, earned=earned)

    def _live(self, state: State, params: Params) -> tuple[Agent, jax.Array]:
        """The update of all populations, and what each agent earned in a run `(S, N)`."""
        learner, env, population = self.learner_of_one, self.env, self.population
        agents = jax.tree.map(lambda x: x.reshape(*x.shape[:-2], -1) if x.ndim else x, state.agents)
        shape = env.steps, population, self.settings_of_learner.runs_a_batch
        keys = draws.fold_in(jax.random.wrap_key_data(state.key), state.step + 1)
        drawn = jnp.moveaxis(draws.uniform(keys, shape), 1, -1).reshape(shape[0], shape[2], -1)
        cutoffs = draw_cutoffs(world(params.agent, state.step), keys, shape[1] * shape[2])
        if cutoffs is not None:
            cutoffs = jnp.moveaxis(cutoffs.reshape(*shape[1:], -1), 0, -1).reshape(shape[2], -1)
        params = jax.tree.map(lambda x: jnp.repeat(x, population), params)
        now = world(params.agent, state.step)
        factors = planner.discounts(env, params.agent.discount, params.agent.credit)
        logits, pull = jax.vjp(lambda x: learner.outputs(x, env, now), agents.variables)
        lived = shared_rollout(env, now, softmax(logits), drawn, params.swap, population, cutoffs)
        slope = reinforce_from(learner, lived, factors, logits)
        agents = learner.descend(agents, pull(slope)[0], params.agent.learning_rate)
        return self._apart(agents), lived.reward.sum(axis=0).mean(axis=0).reshape(-1, population)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`, exact."""
        learner, env = self.learner_of_one, self.env

        def one(variables, params):
            now = world(params.agent, state.step)
            model, chances = tables.make_model(env, now), learner.chances(variables, env, now)
            factors, found = planner.discounts(env, 1.0, params.agent.credit), planner.outcome(model, chances)
            best = planner.optimal(model, factors)[0]
            values = best - planner.policy_values(model, chances, factors), best
            loss, best = (planner.credited(each, found.arriving, params.agent.credit) for each in values)
            out = {name: getattr(found, name) for name in ("running", "acting", "lured")}
            return out | {"loss": loss, "best": best}

        found = jax.vmap(jax.vmap(one, in_axes=(-1, None)), in_axes=(-2, 0))(state.agents.variables, params)
        return Record(step=state.step, **jax.tree.map(lambda x: x.mean(axis=1), found))

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`: the last record's, as of `Myopia`."""
        last = jax.tree.map(lambda x: x[-1], curves)
        out = {"loss": last.loss, "best": last.best, "value_share": planner.share(last.best - last.loss, last.best)}
        out |= {"diverged": ~jnp.isfinite(curves.loss).all(axis=0)} | self.measured(curves)
        for name in ("running", "acting", "lured"):
            leaf = getattr(last, name)
            out |= {f"{name}_{i}": leaf[:, i] for i in range(leaf.shape[1])}
        return out

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """Lures as a share of the steps acted in, over a run, `(T, S)`."""
        return {"lure_rate": curves.lured.sum(axis=2) / jnp.maximum(curves.acting.sum(axis=2), 1e-9)}
