# SPDX-License-Identifier: Apache-2.0
"""One registry of optimisers for every system: optax by name, a factory, or an object; a rate and noise a trial.

A name is `momentum` (SGD with 0.9) or any optimiser of `optax` or `optax.contrib` that is made from a learning rate
alone. A factory is a function of the learning rate, so that a schedule is one line:

  lambda learning_rate: optax.adam(optax.cosine_decay_schedule(learning_rate, 1000))

An object, such as `optax.adam(0.01)`, has a rate of its own, the same for all trials.
"""

import functools
import inspect
import re
from collections.abc import Callable
from typing import TypeAlias

import chex
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxmyopia.checks import ArgumentError
from jaxmyopia.fingerprint import fingerprint

Factory = Callable[..., optax.GradientTransformation]
Optimizer: TypeAlias = str | Factory | optax.GradientTransformation

ELEMENTWISE = frozenset({"sgd", "momentum", "adam", "adamw", "nadam", "rmsprop", "adagrad", "lion", "sign_sgd", "yogi"})
LINEAR = frozenset({"sgd", "momentum"})  # a step is a sum of the gradients so far, whatever they are
_ALLOWED = (
    "must be 'momentum' or an optax optimiser made from a learning rate alone, such as sgd, adam, lion, muon, by name, "
    "or a function of the rate, or an object"
)
_KEY_FIELDS = ("key", "rng_key")  # of optax's states, where a key may be raw numbers


def _momentum(learning_rate: jax.Array) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9)


def _noisy_sgd(learning_rate: jax.Array) -> optax.GradientTransformation:
    asks = "key" in inspect.signature(optax.noisy_sgd).parameters  # and warns if it is given none
    return optax.noisy_sgd(learning_rate, **({"key": 0} if asks else {}))


def _made_from_a_rate(name: str, member: object) -> bool:
    if name.startswith(("_", "scale_by_")) or not callable(member) or inspect.isclass(member):
        return False
    try:
        parameters = list(inspect.signature(member).parameters.values())
    except ValueError:
        return False
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    return bool(parameters) and parameters[0].name == "learning_rate" and required in ([], ["learning_rate"])


# What optax and optax.contrib offer, read once; whether one works without the loss is seen when it is asked for.
_NAMED: dict[str, Factory] = {
    name: member
    for module in (optax.contrib, optax)  # where both have a name, optax's own holds
    for name, member in vars(module).items()
    if _made_from_a_rate(name, member)
} | {"momentum": _momentum, "noisy_sgd": _noisy_sgd}


def is_object(optimizer: Optimizer) -> bool:
    """Whether it is a transformation already, with a rate of its own."""
    return isinstance(optimizer, optax.GradientTransformation)


def _update(factory: Factory, x: jax.Array, rate: jax.Array) -> jax.Array:
    optimizer = factory(rate)
    return optimizer.update(x, optimizer.init(x), x)[0].sum()


def _try_out(factory: Factory) -> str | None:
    """What keeps a factory from being an optimiser, None if nothing does: by shapes alone, which starts no device."""
    dtype = jax.dtypes.canonicalize_dtype(float)
    shapes = jax.ShapeDtypeStruct((4, 4), dtype), jax.ShapeDtypeStruct((), dtype)
    try:
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(functools.partial(_update, factory), *shapes)
    except Exception as error:  # whatever a function does that is no optimiser
        return f"one update from gradients and parameters raises {type(error).__name__}"
    return None


@functools.cache
def _problem(optimizer: Optimizer) -> str | None:
    if isinstance(optimizer, str):
        part = "it is a part of an optimiser" if optimizer.startswith("scale_by_") else "there is none of this name"
        return _try_out(_NAMED[optimizer]) if optimizer in _NAMED else part
    if not callable(optimizer) and not is_object(optimizer):
        return "it is neither"
    return _try_out((lambda learning_rate: optimizer) if is_object(optimizer) else optimizer)


def check(optimizer: Optimizer, argument: str = "optimizer") -> None:
    """Refuses what is no optimiser, in one line.

    Args:
      optimizer: what was given.
      argument: what the user calls it.

    Raises:
      ArgumentError: if there is none of this name; if it does not work from gradients and a learning rate alone
        (lbfgs or momo want the loss too). Of a part of one (`scale_by_*`) the name is refused; see `check_descends`.
    """
    hashable = optimizer.__hash__ is not None
    problem = _problem(optimizer) if hashable else "it is neither"
    if problem is not None:
        raise ArgumentError(argument, name_of(optimizer) if hashable else optimizer, f"{_ALLOWED}: {problem}")


@functools.cache
def _climbs(optimizer: Optimizer) -> bool:
    with jax.numpy_dtype_promotion("standard"):
        change = jax.jit(functools.partial(_update, make(optimizer)))(jnp.ones((4, 4)), jnp.asarray(1e-3))
    return float(change) > 0


def check_descends(optimizer: Optimizer, argument: str = "optimizer") -> None:
    """Refuses a function or an object that goes up a gradient of ones, as a part of an optimiser does. It computes, and
    so starts the devices, where `check` does not; names are known to go down.

    Args:
      optimizer: one that `check` lets pass.
      argument: what the user calls it.

    Raises:
      ArgumentError: if it climbs.
    """
    if not isinstance(optimizer, str) and _climbs(optimizer):
        allowed = f"{_ALLOWED}: it climbs, as a part of an optimiser does"
        raise ArgumentError(argument, name_of(optimizer), allowed)


def make(optimizer: Optimizer, argument: str = "optimizer") -> Factory:
    """The factory that a name, a factory or an object stands for.

    >>> updates, _ = make("sgd")(0.5).update(jnp.ones(2), make("sgd")(0.5).init(jnp.ones(2)))
    >>> updates.tolist()
    [-0.5, -0.5]

    Args:
      optimizer: a name such as `sgd`, `adam`, `lion`, `muon`; a function of the learning rate; or an optax object.
      argument: what the user calls it, for the message.

    Returns:
      A function of `learning_rate` (scalar or broadcastable array; an object ignores it) that makes the transformation.

    Raises:
      ArgumentError: see `check`.
    """
    check(optimizer, argument)
    if isinstance(optimizer, str):
        return _NAMED[optimizer]
    return (lambda learning_rate: optimizer) if is_object(optimizer) else optimizer


@functools.cache
def default_decay(name: str) -> float | None:
    """The weight decay of a named optimiser whose factory takes `weight_decay=` beside the rate; None if it takes none.

    >>> default_decay("adamw"), default_decay("adam")
    (0.0001, None)

    Args:
      name: see `make`.

    Returns:
      optax's own default; it may be an array in its place, one number a trial.

    Raises:
      ArgumentError: see `check`.
    """
    factory = make(name)
    given = inspect.signature(factory).parameters.get("weight_decay")
    if given is None or not isinstance(given.default, int | float):
        return None
    # Some ask in Python whether it is zero: not of an array.
    whole = lambda rate: factory(rate, weight_decay=0.1 * rate)
    return float(given.default) if _try_out(whole) is None else None


@functools.cache
def _fingerprint(optimizer: Optimizer) -> str:
    """Eight digits that tell the arithmetic of one update from that of another."""

    def update(x: jax.Array, rate: jax.Array):
        made = make(optimizer)(rate)
        return made.update(x, made.init(x), x)

    with jax.numpy_dtype_promotion("standard"):
        return fingerprint(update, jnp.ones((2, 2)), jnp.asarray(1e-3))


def name_of(optimizer: Optimizer) -> str:
    """What the table calls it: its name; a function's; what is nameless has a digest of its arithmetic.

    >>> name_of("adam"), name_of(optax.lion), name_of(functools.partial(optax.sgd, momentum=0.5))
    ('adam', 'lion', 'sgd(momentum=0.5)')
    """
    if isinstance(optimizer, str):
        return optimizer
    if isinstance(optimizer, functools.partial):
        shown = lambda value: getattr(value, "__name__", None) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))
        given = [shown(x) for x in optimizer.args] + [f"{name}={shown(x)}" for name, x in optimizer.keywords.items()]
        return f"{name_of(optimizer.func)}({', '.join(given)})"
    name = "optax" if is_object(optimizer) else getattr(optimizer, "__name__", str(optimizer)).strip("<>")
    nameless = name in ("optax", "lambda") and _problem(optimizer) is None
    return f"{name}-{_fingerprint(optimizer)}" if nameless else name


def _is_key(leaf: jax.Array) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _holds_key(path: tuple, leaf: jax.Array) -> bool:
    if _is_key(leaf):
        return leaf.shape == ()
    named = bool(path) and getattr(path[-1], "name", None) in _KEY_FIELDS
    return named and leaf.dtype == jnp.uint32 and leaf.ndim == 1


def with_key(opt_state: optax.OptState, key: jax.Array) -> optax.OptState:
    """Gives a transformation that draws noise a key of the trial's own, where optax's comes from a fixed seed.

    Args:
      opt_state: of one trial, as it was just made.
      key: of the trial; consumed if the state holds a key.

    Returns:
      The state, the same if it holds no key.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(opt_state)
    out = []
    for place, (path, leaf) in enumerate(leaves):
        if _holds_key(path, leaf):
            shape = jax.random.key_data(leaf).shape if _is_key(leaf) else leaf.shape
            bits = jax.random.bits(jax.random.fold_in(key, place), shape, jnp.uint32)
            leaf = jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else bits
        out.append(leaf)
    return jax.tree.unflatten(tree, out)


def _arranged(optimizer: Optimizer, trained: chex.ArrayTree) -> bool:
    """Whether all entries go into one array.

    What an elementwise optimiser shares among several (Adam's bias correction), XLA may compile in another order for
    one device than for two.
    """
    leaves = jax.tree.leaves(trained)
    named = isinstance(optimizer, str) and optimizer in ELEMENTWISE
    return named and len(leaves) > 1 and len({leaf.dtype for leaf in leaves}) == 1


def init(
    optimizer: Optimizer, trained: chex.ArrayTree, learning_rate: jax.Array | None, key: jax.Array
) -> optax.OptState:
    """The optimiser's state of one trial.

    Args:
      optimizer: see `make`.
      trained: what is trained, any pytree of float arrays.
      learning_rate: scalar; None for an object.
      key: for optimisers that draw noise; consumed.

    Returns:
      The optax state.
    """
    if _arranged(optimizer, trained):
        trained = ravel_pytree(trained)[0]
    with jax.numpy_dtype_promotion("standard"):
        return with_key(make(optimizer)(learning_rate).init(trained), key)


def descend(
    optimizer: Optimizer,
    gradients: chex.ArrayTree,
    opt_state: optax.OptState,
    trained: chex.ArrayTree,
    learning_rate: jax.Array | None,
) -> tuple[chex.ArrayTree, optax.OptState]:
    """One update of one trial.

    Args:
      optimizer: see `make`.
      gradients: shaped like `trained`.
      opt_state: from `init` or the last call.
      trained: any pytree of float arrays.
      learning_rate: scalar; None for an object.

    Returns:
      What is trained, and the state, after it.
    """
    whole = lambda tree: tree
    if _arranged(optimizer, trained):
        trained, whole = ravel_pytree(trained)
        gradients = ravel_pytree(gradients)[0]
    # optax raises a float to an integer step count, which strict promotion (a user's setting) refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = make(optimizer)(learning_rate).update(gradients, opt_state, trained)
        return whole(optax.apply_updates(trained, updates)), opt_state
