# SPDX-License-Identifier: Apache-2.0
"""Training a model of superposition: on fresh batches of sparse inputs, or on the exact loss where one is active.

What is trained is one array `(M + 1, F)`: M rows of W, of which the setting `hidden` says how many there are (zeros
follow), and the biases. The loss that is recorded and trained on is the share of the importance-weighted variance
that is left (`model`), over the inputs of a batch; at records over inputs that are kept for this.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxmyopia import draws, optimizers
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.superposition import exact
from jaxmyopia.studies.superposition.model import (
    ACTIVATIONS,
    importances,
    inputs,
    variance,
)
from jaxmyopia.study import Scalar
from jaxmyopia.training import Training

_RECORDED = 256  # inputs of the loss at records
_MOST = 4096  # of anything that is counted


@dataclasses.dataclass(frozen=True)
class Falling:
    """A named optimiser whose rate falls to zero as half a cosine, over so many steps."""

    name: str
    steps: int

    def __call__(self, learning_rate: jax.Array) -> optax.GradientTransformation:
        """The transformation, for `optimizers.make`; its state is `Counted`."""
        inner = optimizers.make(self.name)(optax.cosine_decay_schedule(learning_rate, self.steps))

        def update(
            updates: optax.Updates, state: Counted, params: optax.Params | None = None
        ) -> tuple[optax.Updates, Counted]:
            updates, made = inner.update(updates, state.inner, params)
            return updates, Counted(made, state.steps + 1)

        return optax.GradientTransformation(
            lambda params: Counted(inner.init(params), jnp.zeros((), jnp.int32)), update
        )

    def rate(self, learning_rate: jax.Array, count: jax.Array) -> jax.Array:
        """The rate after so many steps, scalars."""
        with jax.numpy_dtype_promotion("standard"):  # as of optax's own updates
            return jnp.asarray(optax.cosine_decay_schedule(learning_rate, self.steps)(count), learning_rate.dtype)


class Counted(NamedTuple):
    """The state of a `Falling` optimiser: that of the optimiser itself, and the `steps` that were taken, a scalar."""

    inner: optax.OptState
    steps: jax.Array


@struct.dataclass
class Task:
    """What is not trained, of one seed: `importance` `(F,)`, over their sum and the variance of a feature; `active` p;
    `decay`; `kept`: `(N, F)` inputs for the loss at records, or of the step."""

    importance: jax.Array
    active: jax.Array
    decay: jax.Array
    kept: jax.Array


def require_setting(name: str, value: float, *, widest: int = _MOST, called: str = "") -> None:
    """Refuses a value that a setting cannot have.

    Args:
      name: of the setting.
      value: a number.
      widest: M.
      called: what the user calls it, if not by its name.

    Raises:
      ArgumentError: if it is not allowed.
    """
    called = called or name
    if name == "hidden":
        allowed = f"must be a whole number from 1 to widest={widest}"
        require(value == math.floor(value) and 1 <= value <= widest, called, value, allowed)
    elif name == "active":
        require(0 < value <= 1, called, value, "must be a probability above 0, at most 1")
    elif name == "span":
        require(1 <= value < np.inf, called, value, "must be at least 1 and finite")
    elif name == "learning_rate":
        require(0 < value < np.inf, called, value, "must be positive and finite")
    elif name in ("init_scale", "weight_decay"):
        require(0 <= value < np.inf, called, value, "must be finite, and not negative")


@dataclasses.dataclass(frozen=True)
class OneActive(Training):
    """The model trained by its exact loss, where exactly one feature is active.

    `features`: F. `widest`: M, the most dimensions that `hidden` may ask for. `activation`: of the output, relu or
    linear. `falls_over`: steps over which the rate falls to zero; 0: it stays. `part`: of a run, what it is there for.

    Settings: `learning_rate`; `hidden`: m; `init_scale`: standard deviation of W's entries at the start; `span`: the
    first feature's importance over the last one's; `weight_decay`: times the rate, what all that is trained loses in a
    step of any optimiser (of `adam`: AdamW).
    """

    features: int = 40
    widest: int = 10
    part: str = ""
    activation: str = "relu"
    falls_over: int = 0
    batched_over: ClassVar[str] = "one"

    def __post_init__(self):
        super().__post_init__()
        for name in ("features", "widest"):
            value = getattr(self, name)
            require(1 <= value <= _MOST, name, value, f"must be from 1 to {_MOST}")
        require(self.widest <= self.features, "widest", self.widest, f"must be at most features={self.features}")
        require(0 <= self.falls_over < 2**31, "falls_over", self.falls_over, "must be from 0 to 2**31 - 1")
        require_one_of("activation", self.activation, ACTIVATIONS)
        named = self.optimizer.name if isinstance(self.optimizer, Falling) else self.optimizer
        if self.falls_over and isinstance(named, str):
            named = Falling(named, self.falls_over)
        object.__setattr__(self, "optimizer", named)
        optimizers.check(named)

    def __str__(self) -> str:
        return f"superposition, {self.batched_over} active of {self.features}, {self._named}"

    @property
    def _named(self) -> str:
        return self.optimizer.name if isinstance(self.optimizer, Falling) else optimizers.name_of(self.optimizer)

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        own: dict[str, Scalar] = {
            "study": "superposition",
            "part": self.part,
            "inputs": self.batched_over,
            "features": self.features,
        }
        return own | {
            "activation": self.activation, "optimizer": self._named, "rate": "falls" if self.falls_over else "stays",
        }  # fmt: skip

    def params(self, **columns: np.ndarray) -> dict[str, jax.Array]:
        """Params of S seeds, `(S,)` each; see the class for what they are, and `init` for what is allowed."""
        for name, values in columns.items():
            for value in map(float, np.unique(values)):
                require_setting(name, value, widest=self.widest)
        return super().params(**columns)

    def init(self, key, *, hidden, init_scale, span=1.0, weight_decay=0.0):
        """The start of one seed: W's entries from N(0, init_scale^2), biases 0.

        Args:
          key: consumed.
          hidden: m, at most `widest`.
          init_scale: standard deviation.
          span: at least 1.
          weight_decay: not negative.

        Returns:
          `(M + 1, F)` what is trained, and the `Task`.
        """
        return self._begin(key, hidden, init_scale, span, weight_decay, None)

    def _begin(self, key, hidden, init_scale, span, weight_decay, active):
        start, kept = jax.random.split(key)
        scale = jnp.asarray(init_scale)
        rows = jax.vmap(lambda k: jax.random.normal(k, (self.features,), scale.dtype))(
            jax.vmap(jax.random.fold_in, (None, 0))(start, jnp.arange(self.widest))
        )  # a key a row: padding draws no row anew
        there = jnp.arange(self.widest, dtype=scale.dtype) < hidden
        weights = jnp.where(there[:, None], rows * scale, 0)
        importance = importances(self.features, jnp.asarray(span, scale.dtype))
        over = variance(self.features, None if active is None else active) * importance.sum()
        task = Task(
            importance=importance / over,
            active=jnp.asarray(1 / self.features if active is None else active, scale.dtype),
            decay=jnp.asarray(weight_decay, scale.dtype),
            kept=self._kept(kept, scale.dtype),
        )
        return jnp.concatenate([weights, jnp.zeros((1, self.features), scale.dtype)]), task

    def _kept(self, key: jax.Array, dtype: jnp.dtype) -> jax.Array:
        del key
        return jnp.zeros((0, self.features), dtype)

    def loss(self, trained: jax.Array, data: Task) -> jax.Array:
        """The share of the variance that is left; exact."""
        return exact.loss(trained, data.importance, self.activation)

    def update(self, trained, data, opt_state, learning_rate):
        """A step of the optimiser, and of decay at the same rate."""
        gradients = self._slope(trained, data)
        made, after = optimizers.descend(self.optimizer, gradients, opt_state, trained, learning_rate)
        schedule = self.optimizer
        rate = schedule.rate(learning_rate, opt_state.steps) if isinstance(schedule, Falling) else learning_rate
        return made - rate * data.decay * trained, after

    def _slope(self, trained: jax.Array, data: Task) -> jax.Array:
        return exact.slope(trained, data.importance, self.activation)

    def observe(self, trained: jax.Array, data: Task) -> dict[str, jax.Array]:
        """What is trained, `(M + 1, F)`, the importances `(F,)` and p."""
        return {"model": trained, "importance": data.importance, "active": data.active}


@dataclasses.dataclass(frozen=True)
class Independent(OneActive):
    """The model trained on fresh batches of inputs of which each feature is active by itself.

    `batch_size`: inputs a step. A further setting, `active`: the probability p of each feature.
    """

    batch_size: int = 128
    batched_over: ClassVar[str] = "independent"

    def __post_init__(self):
        super().__post_init__()
        require(1 <= self.batch_size <= 2**20, "batch_size", self.batch_size, "must be from 1 to 2**20")

    def init(self, key, *, hidden, init_scale, active, span=1.0, weight_decay=0.0):  # type: ignore[override]
        """As `OneActive.init`; `active` is p, above 0 and at most 1."""
        trained, task = self._begin(key, hidden, init_scale, span, weight_decay, jnp.asarray(active))
        return trained, dataclasses.replace(task, kept=inputs(task.kept, task.active))

    def _kept(self, key: jax.Array, dtype: jnp.dtype) -> jax.Array:
        return jax.random.uniform(key, (_RECORDED, self.features), dtype)

    def batch(self, key: jax.Array, data: Task) -> Task:
        """The task with a step's inputs `(batch_size, F)`."""
        uniform = draws.uniform_of_one(key, (self.batch_size, self.features))
        return dataclasses.replace(data, kept=inputs(uniform, data.active))

    def loss(self, trained: jax.Array, data: Task) -> jax.Array:
        """The share of the variance that is left, over the inputs at hand."""
        weights, biases = trained[:-1], trained[-1]
        out = ACTIVATIONS[self.activation](data.kept @ weights.T @ weights + biases[None])
        return (data.importance * jnp.square(data.kept - out).mean(axis=0)).sum()

    def _slope(self, trained: jax.Array, data: Task) -> jax.Array:
        return jax.grad(self.loss)(trained, data)
