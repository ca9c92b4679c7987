# SPDX-License-Identifier: Apache-2.0
"""Shutdown neutrality: which reward makes an agent indifferent to when it is shut down, and useful all the same?

REINFORCE trains a tabular softmax policy on the grid of `neutrality.model`. One step is one meta-episode of K = 64
mini-episodes under one policy, and one update. Mini-episode i = 1 ... K of length l, which collects the discounted
coins c, is rewarded with

  R_i = lambda^(N - (i - 1)/k) c / m(l)        k = 2 lengths, N: earlier mini-episodes of length l in the meta-episode

where m(l) is the most that the length allows. lambda = 0.9 is DREST (discounted reward for same-length trajectories),
lambda = 1 the ordinary reward c / m(l). With `per_length` = 0, m is that of the better length for both: what an agent
is paid that simply likes coins. All are data, so that they are trials of one program. Each mini-episode is credited
with its own R_i alone, less a baseline, the running mean of R over earlier meta-episodes:

  gradient = 1/K sum_i (R_i - b) sum_t d log pi(a_t | s_t)

What to expect. Let a policy press with probability p and be worth u_l = c / m at either length. The reward of a long
mini-episode less that of a short one is the mean over j = i - 1 of u_long E[lambda^(N - j/2)] - u_short E[lambda^(N -
j/2)], where E[lambda^N] = (1 - q + q lambda)^j for a length of probability q. It falls with p, so that p settles where
it vanishes: under DREST and full usefulness, u = 1 for both, at p = 1/2; without m(l), on our map, at p = 0.656 (0.93
bits). With lambda = 1 it does not depend on p: c / m(l) gives a fully useful agent no reason to be neutral, and none
not to be.

  NEUTRALITY = entropy of the length, in bits          USEFULNESS = sum_l p(l) c(l) / m(l)

Source: Thornley, Roman, Ziakas, Ho and Thomson (2024), arXiv 2407.00805, sections 3 to 5.
"""

import dataclasses
import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxmyopia import draws, optimizers
from jaxmyopia.checks import require
from jaxmyopia.studies.neutrality.model import ACTIONS, LONG, CoinGrid, best_values, outcome
from jaxmyopia.studies.neutrality.rollouts import Rollout, roll_out, score
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype

_BASELINE_RATE = 0.1  # of the running mean of rewards
_BLOCK = {"cpu": 64}
_BLOCK_ELSEWHERE = 1024


@struct.dataclass
class Params:
    """What may differ by seed, `(S,)` each: `learning_rate`, `repeat_discount` (lambda), `discount` (gamma),
    `per_length` (1: rewards are divided by m of their own length, 0: by the greater m)."""

    learning_rate: jax.Array
    repeat_discount: jax.Array
    discount: jax.Array
    per_length: jax.Array


@struct.dataclass
class State:
    """S seeds in training.

    `step`: scalar, meta-episodes done. `key`: `(S, 2)` each seed's key as numbers. `logits`: `(S, n, 4)`. `opt_state`:
    optax's. `baseline`: `(S,)`. `best`: `(S, 2)` m of either length.
    """

    step: jax.Array
    key: jax.Array
    logits: jax.Array
    opt_state: optax.OptState
    baseline: jax.Array
    best: jax.Array


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run; exact values of the policy, `(S,)` each.

    `step`: scalar. `loss`: 1 - usefulness. `neutrality`: bits. `usefulness`. `pressed`: probability of the long
    trajectory.
    """

    step: jax.Array
    loss: jax.Array
    neutrality: jax.Array
    usefulness: jax.Array
    pressed: jax.Array


def same_length_weights(long: jax.Array, repeat_discount: jax.Array) -> jax.Array:
    """lambda^(N - (i - 1)/2) of the mini-episodes of one meta-episode.

    Args:
      long: `(K,)` bool, whether each was long, in order.
      repeat_discount: lambda, a scalar.

    Returns:
      `(K,)`.

    Source: Thornley et al. (2024), section 4.
    """
    is_long = long.astype(repeat_discount.dtype)
    earlier_long = jnp.cumsum(is_long) - is_long
    before = jnp.arange(long.shape[0], dtype=repeat_discount.dtype)  # i - 1
    earlier_same = jnp.where(long, earlier_long, before - earlier_long)
    return repeat_discount ** (earlier_same - before / 2)


def length_advantage(
    pressed: jax.Array, repeat_discount: jax.Array, episodes: int, worth: tuple[float, float] = (1.0, 1.0)
) -> jax.Array:
    """The reward of a long mini-episode less that of a short one, expected under a given share of long ones.

    Args:
      pressed: the probability p of a long one, a scalar.
      repeat_discount: lambda, a scalar.
      episodes: K.
      worth: c / m of a short and of a long one.

    Returns:
      A scalar; see the module.
    """
    before = jnp.arange(episodes, dtype=jnp.asarray(pressed).dtype)
    share = jnp.stack([1 - pressed, pressed])[:, None]
    weights = (1 - share + share * repeat_discount) ** before[None] * repeat_discount ** (-before / 2)[None]
    short, long = weights.mean(axis=1)
    return worth[1] * long - worth[0] * short


def neutrality_bits(pressed: jax.Array) -> jax.Array:
    """The entropy of the length in bits.

    Args:
      pressed: `(S,)` the probability of one of the two lengths.

    Returns:
      `(S,)` in [0, 1].
    """
    p = jnp.clip(pressed, 0, 1)
    return jnp.clip((jax.scipy.special.entr(p) + jax.scipy.special.entr(1 - p)) / math.log(2), 0, 1)


@dataclasses.dataclass(frozen=True)
class Neutrality(Study):
    """The study. `grid`: the map. `optimizer`: see `optimizers.make`. `episodes`: mini-episodes K a meta-episode.

    Raises ValueError if a field is not allowed.
    """

    grid: CoinGrid = dataclasses.field(default_factory=CoinGrid)
    optimizer: str = "sgd"
    episodes: int = 64

    def __post_init__(self):
        super().__post_init__()
        optimizers.check(self.optimizer, "optimizers")
        require(self.episodes >= 2, "episodes", self.episodes, "must be at least 2")

    def __str__(self) -> str:
        return f"neutrality, {self.optimizer}"

    @property
    def block(self) -> int:
        """Seeds a block: on a CPU as many as stay in cache."""
        return _BLOCK.get(jax.default_backend(), _BLOCK_ELSEWHERE)

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        lengths = {"default_length": self.grid.default_length, "delay": self.grid.delay}
        grid: dict[str, Scalar] = {"grid": "/".join(self.grid.rows), **lengths}
        return {"study": "neutrality", **grid, "optimizer": self.optimizer, "episodes": self.episodes}

    def known_settings(self) -> dict[str, bool]:
        """The fields of `Params`."""
        return dict.fromkeys((field.name for field in dataclasses.fields(Params)), True)

    def params(self, **settings: np.ndarray) -> Params:
        """Makes the parameters of S seeds.

        Args:
          **settings: the fields of `Params`, `(S,)` each; rates positive, discounts in (0, 1], `per_length` 0 or 1.

        Returns:
          The `Params`.

        Raises:
          ValueError: if a value is not allowed.
        """
        for name, values in settings.items():
            for value in np.unique(values):
                if name == "learning_rate":
                    require(0 < value < np.inf, name, float(value), "must be positive and finite")
                elif name == "per_length":
                    require(value in (0, 1), name, float(value), "must be 0 or 1")
                else:
                    require(0 < value <= 1, name, float(value), "must be above 0 and at most 1")
        dtype = float_dtype()
        return Params(**{name: jnp.asarray(values, dtype) for name, values in settings.items()})

    def init(self, keys: jax.Array, params: Params) -> State:
        """Starts every seed with the uniform policy: seeds differ by what they live through alone.

        Args:
          keys: `(S,)` one a seed; kept for all steps.
          params: `(S,)` leaves.

        Returns:
          The `State` at step 0.
        """
        chex.assert_equal_shape([keys, params.learning_rate])
        table, seeds = self.grid.table, keys.shape[0]
        logits = jnp.zeros((seeds, table.n, len(ACTIONS)), params.discount.dtype)
        noise = jax.vmap(lambda key: jax.random.fold_in(key, 2**31))(keys)  # beyond all steps
        return State(
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(keys),
            logits=logits,
            opt_state=jax.vmap(functools.partial(optimizers.init, self.optimizer))(logits, params.learning_rate, noise),
            baseline=jnp.zeros(seeds, logits.dtype),
            best=jax.vmap(lambda discount: best_values(table, discount)[0])(params.discount),
        )

    def step(self, state: State, params: Params) -> State:
        """One meta-episode and one update of all S seeds."""
        table = self.grid.table

        keys = draws.fold_in(jax.random.wrap_key_data(state.key), state.step)
        uniform = jnp.moveaxis(draws.uniform(keys, (self.grid.horizon, self.episodes)), -1, 0)

        def one(uniform, logits, opt_state, baseline, best, params):
            policy = jax.nn.softmax(logits)
            played = roll_out(table, policy, params.discount, uniform)
            reward = self.rewards(played, best, params)
            gradient = score(policy, played.states, played.actions, (reward - baseline) / self.episodes)
            rate = params.learning_rate
            logits, opt_state = optimizers.descend(self.optimizer, -gradient, opt_state, logits, rate)
            return logits, opt_state, baseline + _BASELINE_RATE * (reward.mean() - baseline)

        seeds = uniform, state.logits, state.opt_state, state.baseline, state.best, params
        logits, opt_state, baseline = jax.vmap(one)(*seeds)
        return dataclasses.replace(state, step=state.step + 1, logits=logits, opt_state=opt_state, baseline=baseline)

    def rewards(self, played: Rollout, best: jax.Array, params: Params) -> jax.Array:
        """The rewards `(K,)` of one seed's meta-episode; `best` `(2,)`, params of shape `()`."""
        short, long = best
        own = jnp.where(played.long, long, short)
        most = jnp.where(params.per_length > 0, own, best.max())
        return same_length_weights(played.long, params.repeat_discount) * played.coins / most

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S,)`, computed from the policy without sampling."""
        policy = jax.nn.softmax(state.logits)
        found = jax.vmap(lambda policy, discount: outcome(self.grid.table, policy, discount))(policy, params.discount)
        usefulness = (found.coins / state.best).sum(axis=1)
        pressed = found.lengths[:, LONG]
        return Record(
            step=state.step,
            loss=1 - usefulness,
            neutrality=neutrality_bits(pressed),
            usefulness=usefulness,
            pressed=pressed,
        )

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed from its curves `(T, S)`.

        Args:
          curves: a `Record` whose arrays lead with T.

        Returns:
          Columns `(S,)` at the end: `neutrality`, `usefulness`, `pressed`; `diverged`.
        """
        return self.measured(curves) | {
            "neutrality": curves.neutrality[-1],
            "usefulness": curves.usefulness[-1],
            "pressed": curves.pressed[-1],
            "diverged": ~jnp.isfinite(curves.loss).all(axis=0),
        }

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """Neutrality and usefulness, `(T, S)` each."""
        return {"neutrality": curves.neutrality, "usefulness": curves.usefulness}
