# SPDX-License-Identifier: Apache-2.0
"""Training: a study written for one seed, `init` and `loss`, with any optax optimiser; vectorised over S seeds.

  theta_0, data = init(key, **settings)
  theta_{t+1}, o_{t+1} = optimizer(grad loss(theta_t, batch(key_t, data)), o_t, theta_t)

The loss that is recorded is that of all the data, whatever the batch.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxmyopia import contract, optimizers
from jaxmyopia.checks import require
from jaxmyopia.curves import Curves
from jaxmyopia.optimizers import Optimizer
from jaxmyopia.study import Batched, Scalar, Study
from jaxmyopia.values import float_dtype

_BLOCK_BYTES = 2**20  # of the state of a block: it stays in a cache
_FEWEST, _MOST = 8, 256  # seeds in a block
_RESERVED = ("step", "loss", "validation")


@struct.dataclass
class State:
    """S seeds in training.

    `step`: scalar. `key`: `(S, 2)` each seed's key of batches, as numbers. `trained`, `data`, `opt_state`: what the
    user's `init` gives, and optax's state, `(S, ...)`.
    """

    step: jax.Array
    key: jax.Array
    trained: chex.ArrayTree
    data: chex.ArrayTree
    opt_state: optax.OptState


@dataclasses.dataclass(frozen=True)
class Training(Study):
    """A study from the functions of one seed. A subclass supplies two:

      init(self, key, *, ...) -> (trained, data)      any two pytrees; what is trained holds floats. The keyword
                                                      arguments are the settings that vary by seed, scalars
      loss(self, trained, data) -> scalar

    and may replace four: `observe` (what else is recorded), `batch` (the data of one step), `validation` (a loss on
    data kept back), `update` (a step of its own). `learning_rate` is a setting too, unless `optimizer` is an object.

    `optimizer`: a name such as `adam`, a function of the learning rate, or an optax object; see `optimizers.make`.
    `measures`: what is counted on every seed's curves.
    """

    optimizer: Optimizer = dataclasses.field(default="sgd", kw_only=True)
    members: ClassVar[tuple[str, ...]] = (
        "init", "loss", "observe", "batch", "validation", "update", "settings", "params", "summarise", "quantiles",
    )  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        optimizers.check(self.optimizer)

    def check_computed(self) -> None:
        """Refuses an optimiser that goes up."""
        optimizers.check_descends(self.optimizer)

    @contract.to_supply("init(self, key, *, settings) -> (trained, data) of one seed")
    def init(self, *args: Any, **kwargs: Any) -> Any:
        """What is trained, and the data, of one seed; see the class. `key` is the seed's own, and consumed."""
        raise NotImplementedError

    @contract.to_supply("loss(self, trained, data) -> the scalar loss of one seed")
    def loss(self, trained: Any, data: Any) -> jax.Array:
        """The loss of one seed, a scalar."""
        raise NotImplementedError

    def observe(self, trained: Any, data: Any) -> dict[str, jax.Array]:
        """What is recorded of one seed besides `step` and `loss`: arrays by name; nothing by default."""
        del trained, data
        return {}

    def batch(self, key: jax.Array, data: Any) -> Any:
        """The data of one step of one seed, all of it by default; `key` is the step's own, and consumed."""
        del key
        return data

    def validation(self, trained: Any, data: Any) -> jax.Array | None:
        """A scalar recorded as `validation`, such as the loss on data kept back; None, the default, for none."""
        del trained, data
        return None

    def update(
        self, trained: Any, data: Any, opt_state: optax.OptState, learning_rate: jax.Array | None
    ) -> tuple[Any, optax.OptState]:
        """One step of one seed, by default one of the optimiser's down the gradient of `loss`.

        Args:
          trained: what is trained.
          data: of this step, from `batch`.
          opt_state: the optimiser's.
          learning_rate: scalar; None if the optimiser is an object.

        Returns:
          What is trained, and the optimiser's state, after it.
        """
        gradients = jax.grad(self.loss)(trained, data)
        return optimizers.descend(self.optimizer, gradients, opt_state, trained, learning_rate)

    @property
    def batched(self) -> Batched:
        """The three functions over S seeds."""
        return _OverSeeds(self)

    @property
    def block(self) -> int:
        """Seeds in one block: by the size of a seed's state, the same on every machine."""
        return _block(self)

    def settings(self) -> dict[str, Scalar]:
        """The static columns of the study's rows: its name, its fields that have a plain value, the optimiser."""
        return super().settings() | {"optimizer": optimizers.name_of(self.optimizer)}

    def known_settings(self) -> dict[str, bool]:
        """The keyword arguments of `init`, whether each must be given, and `learning_rate` unless it is no setting.

        Raises:
          ArgumentError: if `init` does not take a key and keyword arguments alone.
        """
        _check_signature(self)
        names = {p.name: p.default is p.empty for p in self._parameters() if p.kind is p.KEYWORD_ONLY}
        return names if optimizers.is_object(self.optimizer) else {"learning_rate": True} | names

    def _parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.init).parameters.values())

    def params(self, **columns: np.ndarray) -> dict[str, jax.Array]:
        """Params of S seeds: the settings, `(S,)` each, finite, the learning rate positive; a dict of float arrays."""
        for value in np.unique(columns.get("learning_rate", ())):
            require(0 < value < np.inf, "learning_rate", float(value), "must be positive and finite")
        return super().params(**columns)

    def start(self, key: jax.Array, settings: Mapping[str, jax.Array]) -> tuple[Any, Any]:
        """What is trained, and the data, of one seed: `init` with the settings that it asks for."""
        asked = {p.name for p in self._parameters()}
        return self.init(key, **{name: value for name, value in settings.items() if name in asked})

    def summarise(self, curves: Any) -> dict[str, chex.Array]:
        """One number a seed.

        Args:
          curves: what was observed, `(T, S, ...)` each, as `Curves`.

        Returns:
          Columns `(S,)`: `initial_loss`, `loss_ratio` (final over first), `diverged` (the loss left the finite
          numbers or ends above its start), and those of the measures.
        """
        loss = Curves.of(curves)["loss"]
        return {"initial_loss": loss[0], "loss_ratio": loss[-1] / loss[0]} | super().summarise(curves)

    def quantiles(self, curves: Any) -> dict[str, chex.Array]:
        """The loss and, where there is one, the validation loss, `(T, S)` each; infinite where not finite."""
        curves = Curves.of(curves)
        names = [name for name in ("loss", "validation") if name in curves]
        return {name: jnp.where(jnp.isfinite(curves[name]), curves[name], jnp.inf) for name in names}

    def check_one_seed(self, settings: Mapping[str, float]) -> None:
        """Refuses functions of one seed that give what they should not; shapes alone are tried.

        Raises:
          ArgumentError: naming the member.
        """
        key, numbers = jax.eval_shape(lambda: (jax.random.key(0), _scalars(settings)))
        found = contract.trace(self, "init", self.start, key, numbers)
        pair = isinstance(found, tuple) and len(found) == 2
        contract.require_member(pair, self, "init", contract.shown(found), "must give a pair: (trained, data)")
        _check_floats(self, found[0])
        for name, function in (("loss", self.loss), ("validation", self.validation)):
            value = contract.trace(self, name, function, *found)
            if value is not None or name == "loss":
                _check_scalar(self, name, value)
        observed = contract.trace(self, "observe", self.observe, *found)
        fine = isinstance(observed, Mapping)
        contract.require_member(fine, self, "observe", contract.shown(observed), "must give a dict of arrays by name")
        taken = sorted(set(observed) & set(_RESERVED))
        contract.require_member(
            not taken, self, "observe", taken, f"must not name {', '.join(_RESERVED)}: those are kept"
        )
        _check_scalar(
            self, "loss", contract.trace(self, "batch", lambda k, x: self.loss(x[0], self.batch(k, x[1])), key, found)
        )


def _scalars(settings: Mapping[str, float]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value, float_dtype()) for name, value in settings.items()}


def _check_signature(study: Training) -> None:
    for name in ("step", "cells", "batched"):
        own = getattr(type(study), name) is getattr(Training, name)
        contract.require_member(own, study, name, "a member of its own", "must be left: a Training's step is `update`")
    parameters = study._parameters()
    words = "must take the key and then its settings after a star: init(self, key, *, init_scale)"
    fine = bool(parameters) and all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])
    contract.require_member(fine, study, "init", str(inspect.signature(study.init)), words)
    fields = {field.name for field in dataclasses.fields(study)}
    both = sorted(fields & {p.name for p in parameters[1:]})
    contract.require_member(not both, study, "init", both, "must not name a setting as a field is named")


def _check_floats(study: Training, trained: Any) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(trained)
    contract.require_member(bool(leaves), study, "init", contract.shown(trained), "must give something to train")
    for path, leaf in leaves:
        came = f"trained{jax.tree_util.keystr(path)}: {contract.shown(leaf)}"
        fine = jnp.issubdtype(leaf.dtype, jnp.floating)
        contract.require_member(
            fine, study, "init", came, "must train floats; whatever else there is belongs to the data"
        )


def _check_scalar(study: Training, name: str, value: Any) -> None:
    fine = isinstance(value, jax.ShapeDtypeStruct) and value.shape == () and jnp.issubdtype(value.dtype, jnp.floating)
    contract.require_member(fine, study, name, contract.shown(value), "must give a float of shape ()")


@functools.lru_cache(maxsize=4096)
def _block(study: Training) -> int:
    def begin():
        settings = dict.fromkeys((name for name, needed in study.known_settings().items() if needed), 1.0)
        trained, data = study.start(jax.random.key(0), _scalars(settings))
        rate = jnp.zeros(())
        return trained, data, optimizers.init(study.optimizer, trained, rate, jax.random.key(0))

    numbers = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(begin)))
    fitting = _BLOCK_BYTES // (
        4 * max(numbers, 1)
    )  # of four bytes, also where there are eight: settings change no block
    return min(max(2 ** int(math.log2(max(fitting, 1))), _FEWEST), _MOST)


@dataclasses.dataclass(frozen=True)
class _OverSeeds:
    """A `Training` over S seeds."""

    study: Training

    def init(self, keys: jax.Array, params: dict[str, jax.Array]) -> State:
        """States at step 0 from keys `(S,)` and params `(S,)`."""

        def one(key, settings):
            draw, noise, batches = jax.random.split(key, 3)
            trained, data = self.study.start(draw, settings)
            opt_state = optimizers.init(self.study.optimizer, trained, settings.get("learning_rate"), noise)
            return jax.random.key_data(batches), trained, data, opt_state

        key, trained, data, opt_state = jax.vmap(one)(keys, params)
        return State(step=jnp.zeros((), jnp.int32), key=key, trained=trained, data=data, opt_state=opt_state)

    def step(self, state: State, params: dict[str, jax.Array]) -> State:
        """One step of all S seeds."""

        def one(key, trained, data, opt_state, settings):
            batch = self.study.batch(jax.random.fold_in(jax.random.wrap_key_data(key), state.step), data)
            return self.study.update(trained, batch, opt_state, settings.get("learning_rate"))

        trained, opt_state = jax.vmap(one)(state.key, state.trained, state.data, state.opt_state, params)
        return dataclasses.replace(state, step=state.step + 1, trained=trained, opt_state=opt_state)

    def observe(self, state: State, params: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """What one record point keeps: `step`, `loss`, `validation` if there is one, and the study's own."""
        del params

        def one(trained, data):
            validation = self.study.validation(trained, data)
            kept = {} if validation is None else {"validation": validation}
            return kept | {"loss": self.study.loss(trained, data)} | self.study.observe(trained, data)

        return jax.vmap(one)(state.trained, state.data) | {"step": state.step}
