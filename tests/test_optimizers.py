# SPDX-License-Identifier: Apache-2.0
"""The registry of optimisers: what is one, what is none, and noise that is a trial's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmyopia import optimizers
from jaxmyopia.checks import ArgumentError


def cosine(learning_rate):
    return optax.adam(optax.cosine_decay_schedule(learning_rate, 1000))


@pytest.mark.parametrize(
    "optimizer",
    # Not there; private; not an optimiser; needs more than a rate; wants the loss once it runs; a part of one.
    ("adm", "", "__name__", "chain", "softmax", "polyak_sgd", "apply_updates", "contrib", "lbfgs", "momo", "sophia",
     "scale_by_adam", "scale_by_learning_rate", optax.scale_by_adam(), lambda rate: optax.scale_by_adam(),
     optax.lbfgs(), lambda: optax.sgd(0.1), lambda rate: 3, optax.softmax_cross_entropy, 3, None, ["sgd", "adam"]),
)  # fmt: skip
def test_what_is_no_optimiser_is_refused_in_one_line(optimizer):
    with pytest.raises(ArgumentError, match=r"^optimizers=.* is not allowed: must be .*$") as error:
        optimizers.check(optimizer, "optimizers")
        optimizers.check_descends(optimizer, "optimizers")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    (
        ("muon", "muon"),
        (optax.adam, "adam"),
        (cosine, "cosine"),
        (functools.partial(optax.sgd, momentum=0.5), "sgd(momentum=0.5)"),
    ),
)
def test_names_in_the_table(optimizer, name):
    optimizers.check(optimizer)
    assert optimizers.name_of(optimizer) == name


def test_nameless_optimisers_are_told_apart_by_what_they_do():
    made = [lambda rate: optax.sgd(rate), lambda rate: optax.sgd(rate, momentum=0.5), optax.sgd(0.1), optax.sgd(0.2)]
    assert len({optimizers.name_of(each) for each in made}) == 4
    assert optimizers.name_of(optax.sgd(0.1)) == optimizers.name_of(optax.sgd(0.1))


def test_noise_is_a_trials_own_and_the_same_for_the_same_key():
    keys = jax.random.split(jax.random.key(0), 3)

    def moved(key):
        at = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
        opt_state = optimizers.init("noisy_sgd", at, jnp.float32(0.1), key)
        for _ in range(2):
            at, opt_state = optimizers.descend("noisy_sgd", at, opt_state, at, jnp.float32(0.1))
        return jnp.concatenate([at["a"], at["b"]])

    move = jax.jit(jax.vmap(moved))
    first, again = (np.asarray(move(keys)) for _ in range(2))
    assert first.tobytes() == again.tobytes() and len(np.unique(first)) == first.size


def test_raw_keys_are_replaced_and_other_numbers_left():
    state = optax.contrib.DifferentiallyPrivateAggregateState(rng_key=jax.random.PRNGKey(0))
    counts = optax.ScaleByAdamState(count=jnp.int32(3), mu=jnp.ones(2), nu=jnp.ones(2))
    new, same = jax.jit(optimizers.with_key)((state, counts), jax.random.key(5))
    assert new.rng_key.dtype == jnp.uint32 and new.rng_key.shape == (2,)
    assert new.rng_key.tolist() != state.rng_key.tolist()
    assert jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), same, counts))


def test_an_elementwise_optimiser_moves_a_tree_as_optax_does():
    tree = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}

    @jax.jit
    def ours(tree):
        state = optimizers.init("adam", tree, jnp.float32(0.1), jax.random.key(0))
        return optimizers.descend("adam", tree, state, tree, jnp.float32(0.1))[0]

    @jax.jit
    def plain(tree):
        with jax.numpy_dtype_promotion("standard"):
            optimizer = optax.adam(0.1)
            return optax.apply_updates(tree, optimizer.update(tree, optimizer.init(tree), tree)[0])

    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), ours(tree), plain(tree))
