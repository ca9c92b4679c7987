# SPDX-License-Identifier: Apache-2.0
"""A persistent trait: what an agent is for a whole run lets myopic training see past the epoch.

Once in a run an agent draws whether it is of the sort that takes lures, z in {0, 1}, with chance p = sigmoid(x). In all
its epochs it takes a LURE (z = 1) or does its WORK (z = 0) wherever it acts; whether it acts or shuts down is a table
over (epoch, step). What is pending is hidden: it would tell the sort. Both learn by REINFORCE under `epoch` credit,

  d/dx = mean over runs of sum_e (G_e - b_e) (z - p) / T,  G_e the return of epoch e, cut at its end,

over the epochs e that begin running. No return crosses a border; but z is the same in epochs e and e + 1, so that what
the lures of e pay in e + 1 weighs the sort that took them: the expected gradient is that of the whole run's return.

Baselines. Any b_e that does not hang on z leaves the gradient as it is: none, or the mean G_e of the batch's other runs
that begin the epoch (`epoch`). The mean of those that begin it with as much pending (`place`, what a critic gives that
sees all that is to be seen) hides the leak: after the first epoch what is pending tells z, so nothing of what a sort
earns more than the other is left but the first epoch's, which is myopic.

The twin without the leak (`permuted`): at every border each run goes on where the one beside it left off, so that an
epoch is paid for another run's lures and G_e hangs on the own z by its own steps alone. With at least E runs a batch
nothing comes back to the run that it came from, and without a baseline the expected gradient is exactly the myopic one,
of epochs whose beginnings are given. (`epoch` adds the 1 / (B - 1) of it that a run leaves to those it is compared to.
To permute the later G_e instead would leave their own lures without a weight.)
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
from jaxmyopia.studies.epochs.learners import Agent, Learner, check_learner
from jaxmyopia.studies.epochs.losses import softmax
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import code, world
from jaxmyopia.studies.epochs.policies import make_policy
from jaxmyopia.studies.epochs.rollouts import (
    draw_cutoffs,
    returns,
)
from jaxmyopia.studies.epochs.sorts import sorted_runs, table_slope, trait_slope
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype


@struct.dataclass
class Params:
    """What may differ by seed: `agent`, as of the study of single agents, its credit `epoch`; `permuted`, 1 or 0;
    `baseline`, a place in `params.NAMES`; `(S,)` each.
    """

    agent: single.Params
    permuted: jax.Array
    baseline: jax.Array


@struct.dataclass
class State:
    """S agents: `step` scalar, `key` `(S, 2)` uint32, `agent` leaves `(..., S)`, and scalars that all share. Its
    variables are the `table` of the policy and the `trait`, x.
    """

    step: jax.Array
    key: jax.Array
    agent: Agent


@struct.dataclass
class Record:
    """One record point, exact means over the two sorts: `step` scalar; `loss` `(S,)` what is missed of the planner's
    value under `epoch` credit; `best` `(S,)` that value; `trait` `(S,)` the chance p; `running`, `acting`, `lured`
    `(S, E)` as of the study of single agents.
    """

    step: jax.Array
    loss: jax.Array
    best: jax.Array
    trait: jax.Array
    running: jax.Array
    acting: jax.Array
    lured: jax.Array


@dataclasses.dataclass(frozen=True)
class Trait(Study):
    """Agents of one of two sorts in `EpochEnv`; a step is one batch of runs and what is learned from it.

    `runs_a_batch`: B, at least E. Raises ValueError if a field is not allowed.
    """

    epochs: int = 8
    epoch_steps: int = 4
    optimizer: str = "adam"
    runs_a_batch: int = 32

    def __post_init__(self):
        super().__post_init__()
        check_learner("reinforce", self.optimizer)
        _ = self.env
        fine = max(self.epochs, 2) <= self.runs_a_batch <= 2**20
        least = f"must be at least 2 and epochs={self.epochs}, at most {2**20}"
        require(fine, "runs_a_batch", self.runs_a_batch, least)

    def __str__(self) -> str:
        return f"persistent trait, {self.optimizer}"

    @property
    def block(self) -> int:
        """Seeds a block, as of the study of single agents."""
        return self._alone.block

    @property
    def env(self) -> EpochEnv:
        """The environment, what is pending hidden."""
        return EpochEnv(epochs=self.epochs, epoch_steps=self.epoch_steps, show_pending=False)

    @property
    def learner_of_one(self) -> Learner:
        """The table that decides whether an agent acts, and its optimiser."""
        policy = make_policy("table", outputs=2, width=1, indices=self.epochs)
        return Learner("reinforce", self.env, policy, self.optimizer)

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        names = ("epochs", "epoch_steps", "optimizer", "runs_a_batch")
        return {"study": "epochs", "learner": "trait"} | {name: getattr(self, name) for name in names}

    @property
    def _alone(self) -> Myopia:
        """The study of a single agent."""
        return Myopia(epochs=self.epochs, epoch_steps=self.epoch_steps, policy="table", optimizer=self.optimizer)

    def known_settings(self) -> dict[str, bool]:
        """Its own two, and those of a single agent but for the credit."""
        known = {"permuted": True, "baseline": False} | (self._alone.known_settings() or {})
        return {name: needed for name, needed in known.items() if name != "credit"}

    def params(self, *, permuted: np.ndarray, baseline: np.ndarray | float = 0.0, **agent: np.ndarray) -> Params:
        """Makes the parameters of S seeds.

        Args:
          permuted: `(S,)`, 1 or 0.
          baseline: `(S,)`, from `code`: none, epoch or place.
          **agent: `(S,)` each, as for `Myopia.params`, but for `credit`, which is `epoch`.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        for value in np.unique(permuted):
            require(value in (0, 1), "permuted", float(value), "must be 0 or 1")
        single.check_codes(baseline=np.asarray(baseline))
        shape, dtype = np.shape(permuted), float_dtype()
        return Params(
            agent=self._alone.params(credit=np.full(shape, code("credit", "epoch")), **agent),
            permuted=jnp.asarray(permuted, dtype),
            baseline=jnp.asarray(np.broadcast_to(baseline, shape), dtype),
        )

    def init(self, keys: jax.Array, params: Params) -> State:
        """New agents that act and take lures with even chances; `keys` `(S,)`, one a seed, are kept."""
        del params
        learner = self.learner_of_one
        first = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
        table = learner.init(first, self.env.default_params).variables
        agent = learner.start({"table": table, "trait": jnp.zeros(keys.shape, float_dtype())}, first)
        return State(step=jnp.zeros((), jnp.int32), key=jax.random.key_data(keys), agent=agent)

    def step(self, state: State, params: Params) -> State:
        """One batch of runs of all S agents, and what they learn from it."""
        learner, env, variables = self.learner_of_one, self.env, state.agent.variables
        now = world(params.agent, state.step)
        keys = draws.fold_in(jax.random.wrap_key_data(state.key), state.step + 1)
        drawn = draws.uniform(keys, (env.steps + 1, self.runs_a_batch))
        chance = jax.nn.sigmoid(variables["trait"])
        lures = drawn[0] < chance[None]
        logits, pull = jax.vjp(lambda table: learner.outputs(table, env, now), variables["table"])
        cutoffs = draw_cutoffs(now, keys, self.runs_a_batch)
        lived = sorted_runs(env, now, softmax(logits), lures, drawn[1:], params.permuted, cutoffs)
        followed = returns(lived.reward, planner.discounts(env, params.agent.discount, params.agent.credit))
        slopes = {
            "table": pull(table_slope(lived, followed, logits))[0],
            "trait": -trait_slope(lived, followed, lures, chance, params.baseline, self.epoch_steps),
        }
        agent = learner.descend(state.agent, slopes, params.agent.learning_rate)
        return dataclasses.replace(state, step=state.step + 1, agent=agent)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`, exact."""
        learner, env = self.learner_of_one, self.env

        def one(variables, params):
            now, trait = world(params.agent, state.step), jax.nn.sigmoid(variables["trait"])
            model, factors = tables.make_model(env, now), planner.discounts(env, params.agent.discount, 0.0)
            acts, stops = softmax(learner.outputs(variables["table"], env, now))

            def of_sort(lures):
                chances = jnp.stack([acts * (1 - lures), acts * lures, stops], axis=-1)
                found = planner.outcome(model, chances)
                best = planner.optimal(model, factors)[0]
                values = best - planner.policy_values(model, chances, factors), best
                loss, best = (planner.credited(each, found.arriving, 0.0) for each in values)
                out = {name: getattr(found, name) for name in ("running", "acting", "lured")}
                return out | {"loss": loss, "best": best}

            work, lure = of_sort(jnp.zeros_like(trait)), of_sort(jnp.ones_like(trait))
            return {"trait": trait} | jax.tree.map(lambda w, z: (1 - trait) * w + trait * z, work, lure)

        found = jax.vmap(one, in_axes=(-1, 0))(state.agent.variables, params)
        return Record(step=state.step, **found)

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`: the last record's, as of `Myopia`."""
        last = jax.tree.map(lambda x: x[-1], curves)
        out = {name: getattr(last, name) for name in ("loss", "best", "trait")}
        out |= {"value_share": planner.share(last.best - last.loss, last.best)}
        out |= {"diverged": ~jnp.isfinite(curves.loss).all(axis=0)}
        for name in ("running", "acting", "lured"):
            leaf = getattr(last, name)
            out |= {f"{name}_{i}": leaf[:, i] for i in range(leaf.shape[1])}
        return out | self.measured(curves)

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """The chance to be of the sort that takes lures, `(T, S)`."""
        return {"trait": curves.trait}
