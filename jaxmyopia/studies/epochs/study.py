# SPDX-License-Identifier: Apache-2.0
"""The myopia study: agents trained in `EpochEnv`, each seed with its own schedule, lure and credit.

Nothing is sampled where an agent is measured: its policy is a table and its outcome exact (`planner.outcome`).
"""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia import draws
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.curves import Curves
from jaxmyopia.studies.epochs import deployment, planner, tables
from jaxmyopia.studies.epochs.cutoffs import check_cutoffs, reinforce_across
from jaxmyopia.studies.epochs.learners import Agent, Learner, Settings, check_learner, outputs_of
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import NEVER, Params, made_of, world
from jaxmyopia.studies.epochs.policies import POLICIES, make_policy
from jaxmyopia.studies.epochs.records import Record, TransferRecord
from jaxmyopia.study import Scalar, Study


@struct.dataclass
class State:
    """S agents in training: `step` scalar, `key` `(S, 2)` uint32 key data, `agent` leaves `(..., S)`, side by side, and
    scalars that all agents share.
    """

    step: jax.Array
    key: jax.Array
    agent: Agent


@dataclasses.dataclass(frozen=True)
class Myopia(Study):
    """Training agents in `EpochEnv`; a step is one batch of runs and what is learned from it.

    `epochs`, `epoch_steps`, `reveal_epoch`, `show_pending`, `show_cutoff`, `lure_binds`: of the environment.
    `train_cutoffs`: the cutoffs over which every batch is split evenly, so that K is drawn anew in each run; by default
    none, and an agent is trained at its own `cutoff`, which else only says where it is measured. `learner`, `policy`,
    `optimizer`: names of `learners.LEARNERS`, `policies.POLICIES`, `optimizers.make`. `width`: of an MLP. Raises
    ValueError if a field is not allowed.
    """

    epochs: int = 8
    epoch_steps: int = 4
    learner: str = "reinforce"
    policy: str = "mlp"
    optimizer: str = "adam"
    reveal_epoch: str = "one_hot"
    show_pending: bool = True
    width: int = 16
    show_cutoff: bool = False
    train_cutoffs: tuple[int, ...] = ()
    lure_binds: bool = False
    settings_of_learner: Settings = dataclasses.field(default_factory=Settings)

    def __post_init__(self):
        super().__post_init__()
        check_learner(self.learner, self.optimizer)
        require_one_of("policies", self.policy, POLICIES)
        require(
            self.learner != "qlearning" or self.policy == "table",
            "policies",
            self.policy,
            "must be table for qlearning",
        )
        require(self.width >= 1, "width", self.width, "must be at least 1")
        _ = self.env
        if self.train_cutoffs:
            check_cutoffs(self.train_cutoffs, self.epochs, self.settings_of_learner.runs_a_batch)
            require(self.learner == "reinforce", "learners", self.learner, "must be reinforce with train_cutoffs")

    def __str__(self) -> str:
        shown = f"index {self.reveal_epoch}" + (", cutoff shown" if self.show_cutoff else "")
        several = f", trained on cutoffs {self._cutoffs}" if self.train_cutoffs else ""
        binds = ", lures bind" if self.lure_binds else ""
        return f"{self.learner}, {self.policy}, {self.optimizer}, {shown}{several}{binds}"

    @property
    def _cutoffs(self) -> str:
        return " ".join(map(str, self.train_cutoffs))

    @property
    def block(self) -> int:
        """Seeds a block: enough that an operation outweighs its dispatch, few enough for the cache."""
        return 64

    @property
    def _record(self) -> type[Record]:
        return TransferRecord if self.show_cutoff else Record

    @property
    def env(self) -> EpochEnv:
        """The environment of training; its index has room for a run twice as long."""
        return EpochEnv(
            epochs=self.epochs, epoch_steps=self.epoch_steps, reveal_epoch=self.reveal_epoch,
            show_pending=self.show_pending, indices=2 * self.epochs, show_cutoff=self.show_cutoff,
            lure_binds=self.lure_binds,
        )  # fmt: skip

    @property
    def learner_of_one(self) -> Learner:
        """The learning rule, for one agent."""
        policy = make_policy(
            self.policy, outputs=outputs_of(self.learner), width=self.width, indices=self.env.indices
        )  # fmt: skip
        return Learner(
            name=self.learner, env=self.env, policy=policy, optimizer=self.optimizer, settings=self.settings_of_learner
        )

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        names = ("epochs", "epoch_steps", "learner", "policy", "optimizer", "reveal_epoch", "show_pending", "width")
        own = {name: getattr(self, name) for name in (*names, "show_cutoff", "lure_binds")}
        return {"study": "epochs"} | own | {"train_cutoffs": self._cutoffs}

    def params(
        self,
        *,
        schedule: np.ndarray,
        lure: np.ndarray,
        credit: np.ndarray,
        cutoff: np.ndarray,
        learning_rate: np.ndarray,
        discount: np.ndarray | float = 1.0,
        flat_from: np.ndarray | float = NEVER,
        penalty: np.ndarray | float = 0.0,
        length: np.ndarray | float | None = None,
        hazard: np.ndarray | float | None = None,
        decay: np.ndarray | float | None = None,
        debt: np.ndarray | float = 0.0,
    ) -> Params:
        """Makes the parameters of S seeds.

        Args:
          schedule, lure, credit: `(S,)` each, from `code`.
          cutoff: `(S,)` epochs, whole numbers from 0 to E.
          learning_rate: `(S,)`, positive.
          discount: `(S,)`, in [0, 1].
          flat_from: `(S,)` updates after which the schedule is flat.
          penalty: `(S,)`, what a step pays less from the cutoff on, until then; at least 0.
          length: `(S,)` epochs of a run, whole numbers from 1 to E; by default E.
          hazard: `(S,)` chance at every border that the schedule begins to hold, unseen, in [0, 1]; by default every
            run's cutoff is `cutoff`, and none is drawn.
          decay: `(S,)` PPO's lambda, in [0, 1]; by default that of the settings.
          debt: `(S,)`, what the first step of the cutoff's epoch pays less, also when the schedule has turned flat.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        decay = self.settings_of_learner.decay if decay is None else decay
        columns = {
            "cutoff": cutoff, "learning_rate": learning_rate, "discount": discount, "flat_from": flat_from,
            "penalty": penalty, "length": self.epochs if length is None else length, "decay": decay, "debt": debt,
        } | ({} if hazard is None else {"hazard": hazard})  # fmt: skip
        return made_of(self.epochs, schedule=schedule, lure=lure, credit=credit, **columns)

    def init(self, keys: jax.Array, params: Params) -> State:
        """New agents.

        Args:
          keys: `(S,)` one a seed; kept, and folded with the step in every step.
          params: `(S,)` leaves.

        Returns:
          The `State` at step 0.
        """
        chex.assert_equal_shape([keys, params.learning_rate])

        first = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
        agent = self.learner_of_one.init(first, world(params, 0))
        return State(step=jnp.zeros((), jnp.int32), key=jax.random.key_data(keys), agent=agent)

    def step(self, state: State, params: Params) -> State:
        """One batch of runs of all S agents, and what they learn from it."""
        learner, env = self.learner_of_one, self.env
        keys = draws.fold_in(jax.random.wrap_key_data(state.key), state.step + 1)
        factors = planner.discounts(env, params.discount, params.credit)
        now = state.agent, keys, world(params, state.step), factors, params.learning_rate, params.decay
        update = learner.update
        if self.train_cutoffs:
            update = functools.partial(reinforce_across, learner, self.train_cutoffs)
        if len(keys) == 1:  # its products are the library's, and its loops few
            alone = update(*jax.tree.map(lambda x: x[..., 0] if x.ndim else x, now))
            agent = jax.tree.map(lambda old, x: x[..., None] if old.ndim else x, state.agent, alone)
        else:
            agent = update(*now)
        return dataclasses.replace(state, step=state.step + 1, agent=agent)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`, exact."""
        measure = lambda variables, params: self._measure(variables, params, state.step)
        found = jax.vmap(measure, in_axes=(-1, 0))(state.agent.variables, params)
        return self._record(step=state.step, **found)

    def _measure(self, variables: chex.ArrayTree, params: Params, step: jax.Array) -> dict[str, jax.Array]:
        env, learner, world_now = self.env, self.learner_of_one, world(params, step)
        model, chances = tables.make_model(env, world_now), learner.chances(variables, env, world_now)
        found = planner.outcome(model, chances)
        out = {name: getattr(found, name) for name in ("running", "acting", "lured")}

        def judge(credit: jax.Array) -> tuple[jax.Array, ...]:
            factors = planner.discounts(env, params.discount, credit)
            best, _ = planner.optimal(model, factors)
            missed = best - planner.policy_values(model, chances, factors)
            return tuple(planner.credited(values, found.arriving, credit) for values in (missed, best))

        credits = jnp.stack([params.credit, jnp.ones_like(params.credit), jnp.zeros_like(params.credit)])
        missed, best = jax.vmap(judge)(credits)
        out |= dict(zip(("loss", "regret_run", "regret_epoch"), missed, strict=True))
        out |= dict(zip(("best", "best_run", "best_epoch"), best, strict=True))
        most = planner.most_earned(env, world_now)
        if world_now.hazard is None:
            before = (jnp.arange(self.epochs) < world_now.cutoff).astype(most.dtype)
            earned = (found.earned * before).sum()
        else:  # an epoch's reward is not all from before the cutoff, or all from after
            earned = planner.outcome(tables.before_cutoff(env, world_now), chances).earned.sum()
        out["usefulness"] = earned / jnp.where(most > 0, most, jnp.nan)
        out["actions"], out["rewards"] = planner.likeliest_run(model, chances)
        chances_in = functools.partial(learner.chances, variables)
        out |= deployment.unchanged(chances_in, env, world_now)
        out["stops_pending"] = planner.stops_in(model, chances, jnp.minimum(world_now.cutoff, self.epochs - 1))
        if not self.show_cutoff:
            return out
        return out | deployment.transferred(chances_in, env, world_now, discount=params.discount, credit=params.credit)

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`.

        Args:
          curves: a `Record` whose arrays lead with T.

        Returns:
          Columns: the last record's numbers by their names, arrays as `running_0`, `running_1`, ...; `value_share`
          (the planner's value under the own credit, less what is missed, over it) and `diverged` (not finite).
        """
        last = {name: x[-1] for name, x in Curves.of(curves).items()}
        out = {"value_share": planner.share(last["best"] - last["loss"], last["best"])}
        for name in (field.name for field in dataclasses.fields(self._record)):
            leaf = last[name]
            if leaf.ndim == 1:
                out[name] = leaf
            elif leaf.ndim == 2 and name not in ("actions", "rewards"):
                out |= {f"{name}_{i}": leaf[:, i] for i in range(leaf.shape[1])}
        return out | self.measured(curves) | {"diverged": ~jnp.isfinite(curves.loss).all(axis=0)}

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """What is missed of the planner's value, over that value, `(T, S)`."""
        return {"missed_share": curves.loss / jnp.maximum(curves.best, 1e-9)}
