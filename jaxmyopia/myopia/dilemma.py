# SPDX-License-Identifier: Apache-2.0
"""A prisoner's dilemma against one's own past: does a myopic learner pay now for what it gets later?

  r_t = -cost [a_t = C] + gain [a_{t-1} = C]          cost = 1, gain = 3

Whatever came before, D pays `cost` more than C now; always C pays gain - cost = 2 a step in the long run, always D
nothing. A learner that credits an action with its own step's reward should defect. Two facts to hold it against:

- Policy gradient, whose a_t is independent of a_{t-1} given p: E[dp | p, a_{t-1}] = -rate cost, for every p. Clipping
  makes p jump: near p = 1 a rare D is followed by a great step down, near p = 0 two rare C in a row by one up.
- Q-learning under a fixed policy: E[r | C] - E[r | D] = -cost. But averages mix steps of different policies: C was
  mostly taken while C was greedy, and then a_{t-1} was mostly C too. That confounding can keep C greedy for ever.

With `history` seen, the agent knows a_{t-1}, and E[r | C] - E[r | D] = -cost holds in each view by itself.

A seed is a population of agents (by default of one), each with an environment of its own. With `swap`, agent i acts at
each step in the environment that agent i-1 left: what it did last no longer decides what it finds. A run ends
cooperative if an agent cooperates in at least half of its last 500 steps.

Source: Krueger, Maharaj and Leike (2020), arXiv 2009.09153, sections 3 and 4.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.myopia.dilemma_learners import LEARNERS, Memory

HISTORIES = {"hidden": 1, "seen": 2}  # and how many views an agent has
COOPERATIVE = 0.5  # share of C among the last steps from which on a run is cooperative
COOPERATIVE_GRID = (0.3, 0.4, 0.5, 0.6, 0.7)
_BLOCK = {"cpu": 256}
_BLOCK_ELSEWHERE = 4096


def cooperative_column(share: float) -> str:
    """The table's column of the share of agents that are cooperative at threshold `share`, a scalar of shape `()`."""
    return f"cooperative_c{share:g}"


@chex.dataclass(frozen=True)
class Params:
    """What may differ by seed, `(S,)` each: `learning_rate`, `epsilon` (random actions), `cost` and `gain` of C."""

    learning_rate: jax.Array
    epsilon: jax.Array
    cost: jax.Array
    gain: jax.Array


@chex.dataclass(frozen=True)
class State:
    """S seeds of M agents.

    `step`: scalar t. `key`: `(S, 2)` each seed's key as numbers. `memory`: leaves `(S, M, h, 2)`. `actions`:
    `(window + 1, S, M)` int8, 1 for C: row t mod (window + 1) holds the actions of step t, row 0 at first those that
    came before the first step.
    """

    step: jax.Array
    key: jax.Array
    memory: Memory
    actions: jax.Array


@chex.dataclass(frozen=True)
class Record:
    """One record point, or with a leading T, the curves of a run.

    `step`: scalar. `loss`: `(S,)` minus the reward a step over the last `window` steps (all of them early on, 0 before
    the first), the mean over agents. `cooperation`: `(S, M)` share of C in the same steps. `policy`: `(S,)` the
    probability of C at the next step, the mean over agents.
    """

    step: jax.Array
    loss: jax.Array
    cooperation: jax.Array
    policy: jax.Array


@dataclasses.dataclass(frozen=True)
class SelfDilemma:
    """The study. `learner`: a name of `LEARNERS`. `history`: hidden or seen. `population`: agents a seed. `swap`:
    whether agents change environments. `window`: over how many last steps cooperation is counted.

    Raises ValueError if a field is not allowed.
    """

    learner: str = "q_all_past"
    history: str = "hidden"
    population: int = 1
    swap: bool = False
    window: int = 500

    def __post_init__(self):
        require_one_of("learner", self.learner, LEARNERS)
        require_one_of("history", self.history, HISTORIES)
        require(self.population >= 1, "population", self.population, "must be at least 1")
        require(not (self.swap and self.population == 1), "population", self.population, "must be at least 2 with swap")
        require(self.window >= 1, "window", self.window, "must be at least 1")

    def __str__(self) -> str:
        company = f", {self.population} agents{' that swap' if self.swap else ''}" if self.population > 1 else ""
        return f"dilemma, {self.learner}, {self.history} history{company}"

    @property
    def block(self) -> int:
        """Seeds a block."""
        return _BLOCK.get(jax.default_backend(), _BLOCK_ELSEWHERE)

    def settings(self) -> dict[str, object]:
        """The columns by which the table tells this study from others."""
        return {"study": "dilemma", **dataclasses.asdict(self)}

    def params(self, **settings: np.ndarray) -> Params:
        """Makes the parameters of S seeds.

        Args:
          **settings: the fields of `Params`, `(S,)` each; all but `gain` in [0, 1], `cost` and `gain` not negative.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        for name, values in settings.items():
            for value in np.unique(values):
                if name in ("learning_rate", "epsilon"):
                    require(0 <= value <= 1, name, float(value), "must be between 0 and 1")
                else:
                    require(0 <= value < np.inf, name, float(value), "must be finite and not negative")
        dtype = jnp.zeros(()).dtype
        return Params(**{name: jnp.asarray(values, dtype) for name, values in settings.items()})

    def init(self, keys: jax.Array, params: Params) -> State:
        """Draws the first policies and what came before the first step, a fair coin.

        Args:
          keys: `(S,)` one a seed; kept for all later steps.
          params: `(S,)` leaves.

        Returns:
          The `State` at step 0.
        """
        chex.assert_equal_shape([keys, params.learning_rate])

        def one(key):
            policy_key, action_key = jax.random.split(jax.random.fold_in(key, 0))
            uniform = jax.random.uniform(policy_key, (self.population, HISTORIES[self.history]))
            memory = jax.vmap(LEARNERS[self.learner].begin)(uniform)
            return memory, jax.random.bernoulli(action_key, 0.5, (self.population,))

        memory, before = jax.vmap(one)(keys)
        actions = jnp.zeros((self.window + 1, *before.shape), jnp.int8)
        return State(
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(keys),
            memory=memory,
            actions=actions.at[0].set(before.astype(jnp.int8)),
        )

    def _found(self, state: State) -> jax.Array:
        """What each agent finds in its environment: `(S, M)` int8, 1 if C came before."""
        before = state.actions[state.step % (self.window + 1)]
        return jnp.roll(before, 1, axis=1) if self.swap else before

    def _probability(self, memory: Memory, found: jax.Array, epsilon: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One agent's view as `(h,)` ones and zeros, and its probability of C there, a scalar."""
        views = HISTORIES[self.history]
        view = (jnp.arange(views, dtype=found.dtype) == (found if views > 1 else 0)).astype(epsilon.dtype)
        return view, view @ LEARNERS[self.learner].cooperates(memory, epsilon)

    def step(self, state: State, params: Params) -> State:
        """One step of every environment of all S seeds."""

        def agent(memory, found, uniform, params):
            view, probability = self._probability(memory, found, params.epsilon)
            cooperates = (uniform < probability).astype(view.dtype)
            reward = params.gain * found.astype(view.dtype) - params.cost * cooperates
            taken = jnp.outer(view, jnp.stack([cooperates, 1 - cooperates]))
            return LEARNERS[self.learner].learn(memory, taken, reward, params.learning_rate), cooperates

        def seed(key, memory, found, params):
            key = jax.random.fold_in(jax.random.wrap_key_data(key), state.step + 1)
            uniform = jax.random.uniform(key, (self.population,))
            return jax.vmap(agent, in_axes=(0, 0, 0, None))(memory, found, uniform, params)

        memory, cooperates = jax.vmap(seed)(state.key, state.memory, self._found(state), params)
        row = (state.step + 1) % (self.window + 1)
        actions = state.actions.at[row].set(cooperates.astype(jnp.int8))
        return state.replace(step=state.step + 1, memory=memory, actions=actions)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`."""
        rows, dtype = self.window + 1, params.cost.dtype
        counted = jnp.minimum(state.step, self.window)
        actions = state.actions.astype(jnp.int32)
        # The rows hold one step more than is counted: the oldest was found by the first step counted.
        now, before = (
            (actions.sum(axis=0) - actions[row % rows]).astype(dtype) / jnp.maximum(counted, 1).astype(dtype)
            for row in (state.step - counted, state.step)
        )
        reward = params.gain * before.mean(axis=1) - params.cost * now.mean(axis=1)
        agents = jax.vmap(self._probability, in_axes=(0, 0, None))
        _, policy = jax.vmap(agents)(state.memory, self._found(state), params.epsilon)
        return Record(
            step=state.step,
            loss=jnp.where(counted > 0, -reward, 0),
            cooperation=jnp.where(counted > 0, now, 0),
            policy=policy.mean(axis=1),
        )

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed from its curves `(T, S, ...)`.

        Args:
          curves: a `Record` whose arrays lead with T.

        Returns:
          Columns `(S,)`: `cooperation` (share of C in the last `window` steps, over all agents), `cooperative` (the
          share of agents with at least half of C there; 0 or 1 for one agent) and `cooperative_c*` (the same at other
          shares than half), `policy` (probability of C at the end), `reward` (a step, of the last `window`),
          `diverged`.
        """
        last = curves.cooperation[-1]
        shares = {
            cooperative_column(c): (last >= c).astype(last.dtype).mean(axis=1) for c in (COOPERATIVE, *COOPERATIVE_GRID)
        }
        return {
            "cooperation": last.mean(axis=1),
            "cooperative": shares[cooperative_column(COOPERATIVE)],
            **shares,
            "policy": curves.policy[-1],
            "reward": -curves.loss[-1],
            "diverged": ~jnp.isfinite(curves.loss).all(axis=0),
        }
