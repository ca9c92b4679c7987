# SPDX-License-Identifier: Apache-2.0
"""The myopia study: agents trained in `EpochEnv`, each seed with its own schedule, lure and credit.

Nothing is sampled where an agent is measured: its policy is a table and its outcome exact (`planner.outcome`).
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia import draws
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs import planner
from jaxmyopia.studies.epochs.learners import Agent, Learner, Settings, check_learner, outputs_of
from jaxmyopia.studies.epochs.model import LURES, SCHEDULES, EnvParams, EpochEnv
from jaxmyopia.studies.epochs.params import NEVER, Params, check_codes, check_numbers, of_seeds, world
from jaxmyopia.studies.epochs.policies import POLICIES, make_policy
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype


@struct.dataclass
class State:
    """S agents in training: `step` scalar, `key` `(S, 2)` uint32 key data, `agent` leaves `(..., S)`, side by side, and
    scalars that all agents share.
    """

    step: jax.Array
    key: jax.Array
    agent: Agent


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run. E epochs of training, X = 2 E indices.

    `step`: scalar. `loss`: `(S,)` what the policy misses of the planner's value, under the agent's own credit. `best`:
    `(S,)` that value. `regret_run`, `best_run`, `regret_epoch`, `best_epoch`: `(S,)` the same under either credit.
    `usefulness`: `(S,)` reward earned before a run's cutoff over the most that can be. `running`: `(S, E)` probability
    to still run at the end of each epoch. `acting`, `lured`: `(S, E)` share of an epoch's steps that are acted in, and
    that are lures. Deployed: `longer`: `(S, X)` running where the run is twice as long; `masked`: `(S, E)` where the
    index is hidden; `dropped`: `(S, X)` running at the end of the first epoch where that one shows index 0, 1, ...
    `actions`, `rewards`: `(S, T)` of the run in which every action is the likeliest, T its steps.
    """

    step: jax.Array
    loss: jax.Array
    best: jax.Array
    regret_run: jax.Array
    best_run: jax.Array
    regret_epoch: jax.Array
    best_epoch: jax.Array
    usefulness: jax.Array
    running: jax.Array
    acting: jax.Array
    lured: jax.Array
    longer: jax.Array
    masked: jax.Array
    dropped: jax.Array
    actions: jax.Array
    rewards: jax.Array


@dataclasses.dataclass(frozen=True)
class Myopia(Study):
    """Training agents in `EpochEnv`; a step is one batch of runs and what is learned from it.

    `epochs`, `epoch_steps`, `reveal_epoch`, `show_pending`: of the environment. `learner`, `policy`, `optimizer`: names
    of `learners.LEARNERS`, `policies.POLICIES`, `optimizers.make`. `width`: of an MLP. Raises ValueError if a field is
    not allowed.
    """

    epochs: int = 8
    epoch_steps: int = 4
    learner: str = "reinforce"
    policy: str = "mlp"
    optimizer: str = "adam"
    reveal_epoch: str = "one_hot"
    show_pending: bool = True
    width: int = 16
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

    def __str__(self) -> str:
        return f"{self.learner}, {self.policy}, {self.optimizer}, index {self.reveal_epoch}"

    @property
    def block(self) -> int:
        """Seeds a block: enough that an operation outweighs its dispatch, few enough for the cache."""
        return 64

    @property
    def env(self) -> EpochEnv:
        """The environment of training; its index has room for a run twice as long."""
        return self._env(self.epochs)

    def _env(self, epochs: int) -> EpochEnv:
        return EpochEnv(
            epochs=epochs, epoch_steps=self.epoch_steps, reveal_epoch=self.reveal_epoch,
            show_pending=self.show_pending, indices=2 * self.epochs,
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
        return {"study": "epochs"} | {name: getattr(self, name) for name in names}

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

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        check_codes(schedule=schedule, lure=lure, credit=credit)
        length = self.epochs if length is None else length
        decay = self.settings_of_learner.decay if decay is None else decay
        numbers = {"learning_rate": learning_rate, "discount": discount, "decay": decay, "penalty": penalty}
        numbers |= {"flat_from": flat_from} | ({} if hazard is None else {"hazard": hazard})
        check_numbers(self.epochs, cutoff=cutoff, length=length, **numbers)
        shape, dtype = np.shape(schedule), float_dtype()
        caps, lures = np.array(list(SCHEDULES.values())), np.array(list(LURES.values()))
        now, later = lures[of_seeds("lure", lure, shape).astype(int)].T
        columns = numbers | {
            "cap": caps[np.asarray(schedule, int)], "lure_now": now, "lure_later": later, "cutoff": cutoff,
            "credit": credit, "length": length,
        }  # fmt: skip
        return Params(**{name: jnp.asarray(of_seeds(name, x, shape), dtype) for name, x in columns.items()})

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
        if len(keys) == 1:  # its products are the library's, and its loops few
            alone = learner.update(*jax.tree.map(lambda x: x[..., 0] if x.ndim else x, now))
            agent = jax.tree.map(lambda old, x: x[..., None] if old.ndim else x, state.agent, alone)
        else:
            agent = learner.update(*now)
        return dataclasses.replace(state, step=state.step + 1, agent=agent)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`, exact."""
        measure = lambda variables, params: self._measure(variables, params, state.step)
        found = jax.vmap(measure, in_axes=(-1, 0))(state.agent.variables, params)
        return Record(step=state.step, **found)

    def _measure(self, variables: chex.ArrayTree, params: Params, step: jax.Array) -> dict[str, jax.Array]:
        env, learner, world_now = self.env, self.learner_of_one, world(params, step)
        model, chances = planner.make_model(env, world_now), learner.chances(variables, env, world_now)
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
            earned = planner.outcome(planner.before_cutoff(env, world_now), chances).earned.sum()
        out["usefulness"] = earned / jnp.where(most > 0, most, jnp.nan)
        out["actions"], out["rewards"] = planner.likeliest_run(model, chances)
        return out | self._deploy(variables, world_now)

    def _deploy(self, variables: chex.ArrayTree, world_now: EnvParams) -> dict[str, jax.Array]:
        """How long the agent runs where it was not trained; rewards do not matter, since it learns no more."""
        learner, long, one = self.learner_of_one, self._env(2 * self.epochs), self._env(1)
        world_now = dataclasses.replace(world_now, length=jnp.int32(long.epochs))

        def running(env: EpochEnv, chances: jax.Array) -> jax.Array:
            return planner.outcome(planner.make_model(env, world_now), chances).running

        everywhere = learner.chances(variables, long, world_now)
        by_epoch = everywhere.reshape(long.epochs, self.epoch_steps, *everywhere.shape[1:])
        hidden = dataclasses.replace(world_now, index_shown=jnp.zeros_like(world_now.index_shown))
        return {
            "longer": running(long, everywhere),
            "masked": running(self.env, learner.chances(variables, self.env, hidden)),
            "dropped": jax.vmap(lambda chances: running(one, chances)[0])(by_epoch),
        }

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`.

        Args:
          curves: a `Record` whose arrays lead with T.

        Returns:
          Columns: the last record's numbers by their names, arrays as `running_0`, `running_1`, ...; `value_share`
          (the planner's value under the own credit, less what is missed, over it) and `diverged` (not finite).
        """
        last = jax.tree.map(lambda x: x[-1], curves)
        out = {"value_share": share(last.best - last.loss, last.best)}
        for field in dataclasses.fields(Record):
            leaf = getattr(last, field.name)
            if leaf.ndim == 1:
                out[field.name] = leaf
            elif leaf.ndim == 2 and field.name not in ("actions", "rewards"):
                out |= {f"{field.name}_{i}": leaf[:, i] for i in range(leaf.shape[1])}
        return out | self.measured(curves) | {"diverged": ~jnp.isfinite(curves.loss).all(axis=0)}

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """What is missed of the planner's value, over that value, `(T, S)`."""
        return {"missed_share": curves.loss / jnp.maximum(curves.best, 1e-9)}


def share(part: jax.Array, whole: jax.Array) -> jax.Array:
    """`part / whole`, NaN where the whole is 0; any shape."""
    return jnp.where(whole != 0, part / jnp.where(whole != 0, whole, 1.0), jnp.nan)
