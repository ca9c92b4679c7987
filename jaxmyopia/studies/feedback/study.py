# SPDX-License-Identifier: Apache-2.0
"""Learning a human's values from comparisons, at random or chosen; and what that shares with copying a principle.

A step is one more round. After the rounds 0, 1, 2, ... of comparisons there have been 0, 1, 2, 3, 4, 6, 8, 12, 16, ...
answers, each number twice the last but one; a principle spends a bit a coordinate more. Priors are settings, so that
all learners from comparisons at random are trials of one program, on the same answers to the same questions.
"""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia import draws
from jaxmyopia.checks import require
from jaxmyopia.measures import Measure
from jaxmyopia.studies.feedback import model, posterior
from jaxmyopia.studies.feedback.measures import after_answers, at_bits
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype

_BLOCK = {"cpu": 32}
_BLOCK_ELSEWHERE = 512
MOST_ROUNDS = 30  # 32,768 answers
# Of Newton's a round, which starts where the last one ended: after few answers, and after more than 256. More of them
# change no cosine by 2e-4 (sharpness 8, d = 16, 32 seeds).
_STEPS, _FEWER, _FEW = 8, 4, 256


def answers_after(rounds: int) -> np.ndarray:
    """How many answers there are after 0, 1, ... `rounds` rounds, `(rounds + 1,)`: 0, 1, 2, 3, 4, 6, 8, 12, 16, ..."""
    found = [0, 1, 2, 3]
    while len(found) <= rounds:
        found.append(2 * found[-2])
    return np.asarray(found[: rounds + 1], np.int32)


@struct.dataclass
class Params:
    """What may differ by seed, `(S,)` each.

    `k`: coordinates of the model's subspace. `sigma`: w's length outside the true subspace over that inside. `angle`:
    between the two subspaces, degrees. `sharpness`: s. `prior`: a place in `model.PRIORS`. `belief`: the sigma that a
    soft prior believes in, over the true one.
    """

    k: jax.Array
    sigma: jax.Array
    angle: jax.Array
    sharpness: jax.Array
    prior: jax.Array
    belief: jax.Array


@struct.dataclass
class State:
    """S learners after a round; n is the most answers there can be, rounded up.

    `step`: scalar. `key`: `(S, 2)` each seed's key as numbers. `values`: `(S, d)` w. `rows`: `(S, n, d)` differences
    that were compared, `answers`: `(S, n)` 1 or -1; of an active learner those so far. `mean`: `(S, d)` the most
    probable gamma. `spread`: `(S, d, d)` the covariance there; of a learner that does not choose `(S, 0, 0)`. `volume`:
    `(S,)` bits. `told`: `(S,)` bits that an active learner's answers were expected to tell.
    """

    step: jax.Array
    key: jax.Array
    values: jax.Array
    rows: jax.Array
    answers: jax.Array
    mean: jax.Array
    spread: jax.Array
    volume: jax.Array
    told: jax.Array


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run.

    `step`, `answers`: scalars. `loss`: `(S,)` 1 - cos. `cos`: `(S,)` between w and what was learned. `information`,
    `volume`: `(S,)` bits so far, see `measures`. `k`: `(S,)` of the subspace.
    """

    step: jax.Array
    answers: jax.Array
    loss: jax.Array
    cos: jax.Array
    information: jax.Array
    volume: jax.Array
    k: jax.Array


@dataclasses.dataclass(frozen=True)
class Feedback(Study):
    """What both studies share: their dimension, what values they allow, their columns."""

    d: int = 32
    of_params: ClassVar[Any] = None

    def __post_init__(self):
        super().__post_init__()
        require(2 <= self.d <= 1024, "d", self.d, "must be from 2 to 1024")

    @property
    def block(self) -> int:
        """Seeds a block."""
        return _BLOCK.get(jax.default_backend(), _BLOCK_ELSEWHERE)

    def known_settings(self) -> dict[str, bool]:
        """The fields of the params."""
        return dict.fromkeys((field.name for field in dataclasses.fields(self.of_params)), True)

    def checked(self, settings: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Settings `(S,)` as arrays of the programs' dtype.

        Raises:
          ArgumentError: if a value is not allowed.
        """
        most = self.d // 2
        for name, each in settings.items():
            for value in np.unique(each):
                if name == "k":
                    whole = value == np.floor(value) and 1 <= value <= most
                    require(whole, name, float(value), f"must be a whole number from 1 to {most}, half of d={self.d}")
                elif name == "angle":
                    require(0 <= value <= 90, name, float(value), "must be from 0 to 90 degrees")
                elif name == "prior":
                    require(value in range(3), name, float(value), "must be 0, 1 or 2: isotropic, soft, subspace")
                elif name in ("sharpness", "belief"):
                    require(0 < value <= 100, name, float(value), "must be above 0 and at most 100")
                else:
                    require(0 <= value <= 100, name, float(value), "must be from 0 to 100")
        return {name: jnp.asarray(each, float_dtype()) for name, each in settings.items()}

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed from its curves `(T, S)`.

        Returns:
          Columns `(S,)`: those of the measures, `cos`, `information` and `volume` at the end, `asked` (how many answers
          there were, or bits a coordinate), and `diverged`.
        """
        ended = {name: getattr(curves, name)[-1] for name in ("cos", "information", "volume")}
        ended["asked"] = jnp.broadcast_to(curves.answers[-1].astype(curves.loss.dtype), ended["cos"].shape)
        return ended | self.measured(curves) | {"diverged": ~jnp.isfinite(curves.loss).all(axis=0)}

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """Cosines and bits, `(T, S)` each."""
        return {name: getattr(curves, name) for name in ("cos", "information", "volume")}


@dataclasses.dataclass(frozen=True)
class Comparisons(Feedback):
    """Learning from comparisons.

    `d`: of w. `pool`: pairs among which an active learner chooses the one whose answer is expected to tell it most; 1:
    pairs come at random. `rounds`: after which no more is asked.

    Raises ArgumentError if a field is not allowed.
    """

    pool: int = 1
    rounds: int = 20
    of_params: ClassVar[Any] = Params

    def __post_init__(self):
        super().__post_init__()
        require(1 <= self.pool <= 4096, "pool", self.pool, "must be from 1 to 4096")
        require(1 <= self.rounds <= MOST_ROUNDS, "rounds", self.rounds, f"must be from 1 to {MOST_ROUNDS}")

    def __str__(self) -> str:
        return f"comparisons, {'active' if self.pool > 1 else 'at random'}, d = {self.d}"

    @property
    def most(self) -> int:
        """Answers after all rounds."""
        return int(answers_after(self.rounds)[-1])

    @property
    def standard(self) -> tuple[Measure, ...]:
        """How near it comes after so many answers, and at the bits of a principle."""
        return after_answers(), at_bits()

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        learner = "active" if self.pool > 1 else "random"
        return {"study": "feedback", "learner": learner, "d": self.d, "pool": self.pool, "rounds": self.rounds}

    def params(self, **settings: np.ndarray) -> Params:
        """Makes the parameters of S seeds from the fields of `Params`, `(S,)` each.

        Raises:
          ArgumentError: if a value is not allowed.
        """
        return Params(**self.checked(settings))

    def init(self, keys: jax.Array, params: Params) -> State:
        """Draws values, and all comparisons of learners that do not choose; `keys` `(S,)` are kept for later."""
        chex.assert_equal_shape([keys, params.k])
        seeds, n = keys.shape[0], -(-self.most // posterior.ROWS) * posterior.ROWS
        noise = model.normals(draws.fold_in(keys, jnp.asarray(0)), (2, self.d))
        values = jax.vmap(model.values)(noise, params.k, params.sigma, params.angle)
        rows, answers = jnp.zeros((seeds, n, self.d), values.dtype), jnp.zeros((seeds, n), values.dtype)
        if self.pool == 1:
            rows = model.normals(draws.fold_in(keys, jnp.asarray(1)), (n, self.d))
            uniform = draws.uniform(draws.fold_in(keys, jnp.asarray(2)), (n,)).T
            answers = jax.vmap(_answers)(rows, uniform, values, params.sharpness)
        nothing, side = jnp.zeros(seeds, values.dtype), self.d if self.pool > 1 else 0
        return State(
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(keys),
            values=values,
            rows=rows,
            answers=answers,
            mean=jnp.zeros_like(values),
            spread=jnp.broadcast_to(jnp.eye(side, dtype=values.dtype), (seeds, side, side)),
            volume=nothing,
            told=nothing,
        )

    def _count(self, step: jax.Array) -> jax.Array:
        return jnp.asarray(answers_after(self.rounds))[jnp.minimum(step, self.rounds)]

    def _variances(self, params: Params) -> jax.Array:
        believed = params.belief * params.sigma
        return jax.vmap(model.variances, in_axes=(None, 0, 0, 0))(self.d, params.k, believed, params.prior)

    def step(self, state: State, params: Params) -> State:
        """One more round of every learner of all S seeds: answers, then a fit to all there are."""
        before, count = self._count(state.step), self._count(state.step + 1)
        scale = params.sharpness[:, None] * jnp.sqrt(self._variances(params))
        if self.pool > 1:
            state = jax.lax.fori_loop(before, count, lambda n, s: self._ask(n, s, params, scale), state)
        steps = jnp.where(count <= _FEW, _STEPS, _FEWER)
        fit = jax.vmap(posterior.fit, in_axes=(0, 0, None, 0, 0, None))
        found = fit(state.rows, state.answers, count, scale, state.mean, steps)
        spread = found.spread if self.pool > 1 else state.spread
        return dataclasses.replace(state, step=state.step + 1, mean=found.mean, spread=spread, volume=found.volume)

    def _ask(self, n: jax.Array, state: State, params: Params, scale: jax.Array) -> State:
        """Comparison n, the one of a pool whose answer is expected to tell most."""
        keys = draws.fold_in(jax.random.wrap_key_data(state.key), n + 3)
        pools = model.normals(draws.fold_in(keys, jnp.asarray(0)), (self.pool, self.d))
        uniform = draws.uniform(draws.fold_in(keys, jnp.asarray(1)), (1,)).T

        def one(pool, uniform, values, sharpness, scale, mean, spread):
            z = pool * scale[None, :]
            deviation = jnp.sqrt(jnp.maximum(((z @ spread) * z).sum(axis=1), 0))
            information = posterior.expected_information(z @ mean, deviation)
            best = jnp.argmax(information)
            answer = _answers(pool[best][None], uniform, values, sharpness)[0]
            return pool[best], answer, information[best], *posterior.told(mean, spread, z[best], answer)

        row, answer, told, mean, spread = jax.vmap(one)(
            pools, uniform, state.values, params.sharpness, scale, state.mean, state.spread
        )
        return dataclasses.replace(
            state, rows=state.rows.at[:, n].set(row), answers=state.answers.at[:, n].set(answer), mean=mean,
            spread=spread, told=state.told + told,
        )  # fmt: skip

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S,)`."""
        learned = jax.vmap(model.unit)(jnp.sqrt(self._variances(params)) * state.mean)
        cos, answers = (learned * state.values).sum(axis=1), self._count(state.step)
        each = model.answer_information(params.sharpness)
        information = state.told if self.pool > 1 else answers.astype(each.dtype) * each
        return Record(
            step=state.step, answers=answers, loss=1 - cos, cos=cos, information=information, volume=state.volume,
            k=params.k,
        )  # fmt: skip


def _answers(rows: jax.Array, uniform: jax.Array, values: jax.Array, sharpness: jax.Array) -> jax.Array:
    """A human's answers `(n,)`, 1 or -1, to comparisons `(n, d)`, by uniform numbers `(n,)`."""
    return jnp.where(uniform < jax.nn.sigmoid(sharpness * (rows @ values)), 1, -1).astype(values.dtype)
