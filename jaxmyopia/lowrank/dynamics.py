# SPDX-License-Identifier: Apache-2.0
"""One optimisation step of S seeds: the gradient, and any optax optimiser by name, with one rate a seed.

Factors are `(n, r, S)`, seeds last. Optimisers that act entry by entry work on that layout as it is; all others
(matrix-valued ones such as muon, or those that use norms) are mapped over the seeds, so that no seed sees another.
"""

import functools
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmyopia.checks import require
from jaxmyopia.lowrank.losses import LOSSES, Target, product

Factors = tuple[jax.Array, jax.Array]


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


def init_optimizer(name: str, factors: Factors, learning_rate: jax.Array) -> optax.OptState:
    """The optimiser's state of S seeds.

    Args:
      name: see `make_optimizer`.
      factors: `(n, r, S)` each.
      learning_rate: `(S,)`.

    Returns:
      The optax state; moments are `(2n, r, S)`, a's above b's, if `name` is in `ELEMENTWISE`, else `(n, r, S)` each.
    """
    factory = make_optimizer(name)
    if name in ELEMENTWISE:
        return factory(learning_rate[None, None, :]).init(jnp.concatenate(factors))
    return jax.vmap(lambda f, rate: factory(rate).init(f), in_axes=-1, out_axes=-1)(factors, learning_rate)


def apply_optimizer(
    name: str, gradients: Factors, opt_state: optax.OptState, factors: Factors, learning_rate: jax.Array
) -> tuple[Factors, optax.OptState]:
    """One optax update of S seeds.

    Args:
      name: see `make_optimizer`.
      gradients: `(n, r, S)` each.
      opt_state: from `init_optimizer` or the last call.
      factors: `(n, r, S)` each.
      learning_rate: `(S,)`.

    Returns:
      The new factors and the new state.
    """
    factory = make_optimizer(name)

    def update(g, state, f, rate):
        updates, state = factory(rate).update(g, state, f)
        return optax.apply_updates(f, updates), state

    # optax raises a float to an integer step count, which strict promotion (a user's setting) refuses.
    with jax.numpy_dtype_promotion("standard"):
        if name in ELEMENTWISE:
            # As one array: of two that share a scalar (Adam's bias correction), XLA divides in another order when it
            # compiles for one device than for several, and the bits differ.
            stacked = jnp.concatenate(gradients), opt_state, jnp.concatenate(factors)
            both, opt_state = update(*stacked, learning_rate[None, None, :])
            return tuple(jnp.split(both, 2)), opt_state
        return jax.vmap(update, in_axes=-1, out_axes=-1)(gradients, opt_state, factors, learning_rate)


def gradient(loss: str, factors: Factors, target: Target) -> Factors:
    """The gradient of every seed's loss in its factors, by automatic differentiation.

    Args:
      loss: a name of `LOSSES`.
      factors: `a`, `b`, `(n, r, S)` each.
      target: the `Target`.

    Returns:
      `(n, r, S)` each.
    """
    # Seeds do not interact, so the gradient of the sum over seeds holds each seed's own.
    return jax.grad(lambda f: LOSSES[loss].objective(product(*f), target.dense).sum())(factors)
