# SPDX-License-Identifier: Apache-2.0
"""A model that applies its own principle: a copy of the values' coordinates in the subspace that it knows.

A step is a bit a coordinate more.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia import draws
from jaxmyopia.measures import Measure
from jaxmyopia.studies.feedback import model
from jaxmyopia.studies.feedback.measures import WHOLE, after_answers, at_bits
from jaxmyopia.studies.feedback.study import Feedback, Record
from jaxmyopia.study import Scalar


@struct.dataclass
class CopyParams:
    """What may differ by seed, `(S,)` each: `k`, `sigma`, `angle` as of `Params`; `noise`: epsilon of the copy."""

    k: jax.Array
    sigma: jax.Array
    angle: jax.Array
    noise: jax.Array


@struct.dataclass
class CopyState:
    """S principles. `step`: scalar, bits a coordinate. `values`: `(S, d)` w. `errors`: `(S, d)` normal numbers."""

    step: jax.Array
    values: jax.Array
    errors: jax.Array


@dataclasses.dataclass(frozen=True)
class Principle(Feedback):
    """What a model does that applies its own principle; `d`: of w. Raises ArgumentError if that is not allowed."""

    of_params: ClassVar[Any] = CopyParams

    def __str__(self) -> str:
        return f"principle, d = {self.d}"

    @property
    def standard(self) -> tuple[Measure, ...]:
        """How near it comes with so many bits a coordinate."""
        return after_answers(principle=True), at_bits(principle=True)

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        return {"study": "feedback", "learner": "principle", "d": self.d}

    def params(self, **settings: np.ndarray) -> CopyParams:
        """Makes the parameters of S seeds from the fields of `CopyParams`, `(S,)` each.

        Raises:
          ArgumentError: if a value is not allowed.
        """
        return CopyParams(**self.checked(settings))

    def init(self, keys: jax.Array, params: CopyParams) -> CopyState:
        """Draws values, those of `Comparisons` for the same key, and what is wrong with the copy; uses up `keys`."""
        noise = model.normals(draws.fold_in(keys, jnp.asarray(0)), (2, self.d))
        values = jax.vmap(model.values)(noise, params.k, params.sigma, params.angle)
        errors = model.normals(draws.fold_in(keys, jnp.asarray(1)), (self.d,))
        return CopyState(step=jnp.zeros((), jnp.int32), values=values, errors=errors)

    def step(self, state: CopyState, params: CopyParams) -> CopyState:
        """A bit more a coordinate."""
        del params
        return dataclasses.replace(state, step=state.step + 1)

    def observe(self, state: CopyState, params: CopyParams) -> Record:
        """What one record point keeps: a `Record` with arrays `(S,)`; `answers` are bits a coordinate."""

        def one(values, errors, params):
            inside = jnp.where(jnp.arange(self.d).astype(values.dtype) < params.k, values, 0)
            read = model.copied(inside, errors, params.noise, params.k, state.step)
            return (model.unit(read) * values).sum()

        cos = jax.vmap(one)(state.values, state.errors, params)
        lengths = jnp.asarray(model.code_lengths(WHOLE), cos.dtype)
        spent = lengths[jnp.minimum(state.step, WHOLE)] * params.k
        return Record(
            step=state.step, answers=state.step, loss=1 - cos, cos=cos, information=spent, volume=spent, k=params.k
        )
