# SPDX-License-Identifier: Apache-2.0
"""One update of S seeds by any optax optimiser, looked up by name, with one rate a seed.

Pairs of factors are in either of the orders of `lowrank.layouts`. Optimisers that act entry by entry work on them as
they are; all others (matrix-valued ones such as muon, or those that use norms) are mapped over the seeds and
see a pair of matrices `(n, r)`, so that no seed sees another.
"""

import functools
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmyopia.checks import require
from jaxmyopia.studies.lowrank.layouts import Layout


def _momentum(learning_rate: jax.Array) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9)


_NAMED: dict[str, Callable[..., optax.GradientTransformation]] = {"momentum": _momentum}
ELEMENTWISE = frozenset({"sgd", "momentum", "adam", "adamw", "nadam", "rmsprop", "adagrad", "lion", "sign_sgd", "yogi"})


def _steps_alone(factory: Callable[..., optax.GradientTransformation]) -> bool:
    """Whether an update needs nothing but gradients and parameters: lbfgs or momo want the loss too."""

    def update(x: jax.Array) -> jax.Array:
        optimizer = factory(1e-3)
        return optimizer.update(x, optimizer.init(x), x)[0]

    try:
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(update, jax.ShapeDtypeStruct((2, 1), "float32"))
    except (TypeError, ValueError):
        return False
    return True


@functools.cache
def make_optimizer(name: str) -> Callable[..., optax.GradientTransformation]:
    """Looks an optimiser up: `momentum` (SGD with 0.9), or any of `optax` or `optax.contrib` by its name there.

    Args:
      name: such as `sgd`, `adam`, `rmsprop`, `lion`, `muon`.

    Returns:
      A function of `learning_rate` (scalar or broadcastable array) that makes the transformation.

    Raises:
      ValueError: if there is none of this name, or it does not work from a learning rate alone.
    """
    factory = _NAMED.get(name) or getattr(optax, name, None) or getattr(optax.contrib, name, None)
    allowed = "must be 'momentum' or an optax optimiser made from a learning rate alone, such as sgd, adam, lion, muon"
    require(callable(factory) and name.isidentifier() and not name.startswith("_"), "optimizers", name, allowed)
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except ValueError:
        parameters = []
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    require(
        bool(parameters) and parameters[0].name == "learning_rate" and required in ([], ["learning_rate"])
        and _steps_alone(factory), "optimizers", name, allowed,
    )  # fmt: skip
    return factory


def init_optimizer(name: str, layout: Layout, factors: jax.Array, learning_rate: jax.Array) -> optax.OptState:
    """The optimiser's state of S seeds.

    Args:
      name: see `make_optimizer`.
      layout: of the factors.
      factors: `(2, n, r, S)` or `(2, S, r, n)`.
      learning_rate: `(S,)`.

    Returns:
      The optax state; moments are shaped like `factors` if `name` is in `ELEMENTWISE`, else a pair of `(S, n, r)`.
    """
    factory = make_optimizer(name)
    if name in ELEMENTWISE:
        return factory(layout.spread(learning_rate)).init(factors)
    one = lambda f, rate: factory(rate).init(tuple(layout.turn(f)))
    return jax.vmap(one, in_axes=(layout.seed_axis, 0))(factors, learning_rate)


def apply_optimizer(
    name: str,
    layout: Layout,
    gradients: jax.Array,
    opt_state: optax.OptState,
    factors: jax.Array,
    learning_rate: jax.Array,
) -> tuple[jax.Array, optax.OptState]:
    """One optax update of S seeds.

    Args:
      name: see `make_optimizer`.
      layout: of the factors.
      gradients: shaped like `factors`.
      opt_state: from `init_optimizer` or the last call.
      factors: `(2, n, r, S)` or `(2, S, r, n)`.
      learning_rate: `(S,)`.

    Returns:
      The new factors and the new state.
    """
    factory = make_optimizer(name)

    def update(gradients, opt_state, factors, rate):
        updates, opt_state = factory(rate).update(gradients, opt_state, factors)
        return optax.apply_updates(factors, updates), opt_state

    def update_one(gradients, opt_state, factors, rate):
        gradients, factors = (tuple(layout.turn(x)) for x in (gradients, factors))
        pair, opt_state = update(gradients, opt_state, factors, rate)
        return layout.turn(jnp.stack(pair)), opt_state

    # optax raises a float to an integer step count, which strict promotion (a user's setting) refuses.
    with jax.numpy_dtype_promotion("standard"):
        if name in ELEMENTWISE:
            return update(gradients, opt_state, factors, layout.spread(learning_rate))
        axes, out_axes = (layout.seed_axis, 0, layout.seed_axis, 0), (layout.seed_axis, 0)
        return jax.vmap(update_one, in_axes=axes, out_axes=out_axes)(gradients, opt_state, factors, learning_rate)
