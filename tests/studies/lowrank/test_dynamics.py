# SPDX-License-Identifier: Apache-2.0
"""Steps of S seeds: against plain optax on one seed, and no seed may see another."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmyopia.studies.lowrank import dynamics
from jaxmyopia.studies.lowrank.gradients import Path
from jaxmyopia.studies.lowrank.layouts import SEEDS_FIRST, SEEDS_LAST, Layout
from jaxmyopia.studies.lowrank.losses import LOSSES

N, RANK, STEPS = 5, 2, 6


LAYOUTS = pytest.mark.parametrize("layout", (SEEDS_LAST, SEEDS_FIRST))


def draw(trials: int) -> tuple[jax.Array, jax.Array]:
    """Pairs of learned and of target factors, `(trials, 2, N, RANK)` each."""
    dtype = jnp.zeros(()).dtype
    learned, target = jnp.asarray(np.random.default_rng(0).normal(size=(2, trials, 2, N, RANK)), dtype)
    return learned, target


def compiled(name: str, layout: Layout, loss: str = "square"):
    """STEPS steps of an optimiser: pairs of factors, of the target, rates and decays -> the pairs and losses after."""
    path = Path(layout=layout, factored=False)

    @jax.jit
    def descend(learned, target, rates, decays=None):
        factors, target = (jax.vmap(layout.turn, out_axes=layout.seed_axis)(x) for x in (learned, target))
        target = path.prepare(loss, target)

        def step(_, carry):
            factors, opt_state = carry
            gradients = path.gradient(loss, factors, target)
            return dynamics.apply_optimizer(name, layout, gradients, opt_state, factors, rates, decays)

        start = factors, dynamics.init_optimizer(name, layout, factors, rates, weight_decay=decays)
        factors, _ = jax.lax.fori_loop(0, STEPS, step, start)
        return jax.vmap(layout.turn, in_axes=layout.seed_axis)(factors), LOSSES[loss].value(layout, factors, target)

    return descend


@LAYOUTS
@pytest.mark.parametrize("name", sorted(dynamics.ELEMENTWISE))
def test_entry_by_entry_is_the_same_as_seed_by_seed(x64, monkeypatch, name, layout):
    learned, target = draw(3)
    rates = jnp.array([0.003, 0.01, 0.05])
    together, _ = compiled(name, layout)(learned, target, rates)
    monkeypatch.setattr(dynamics, "ELEMENTWISE", frozenset())
    apart, _ = compiled(name, layout)(learned, target, rates)
    chex.assert_trees_all_close(together, apart, rtol=1e-11, atol=1e-14)
    assert (np.abs(together - learned).max(axis=(1, 2, 3)) > 1e-3).all()


PLAIN = {
    "adam": optax.adam, "sgd": optax.sgd, "momentum": functools.partial(optax.sgd, momentum=0.9),
    "rmsprop": optax.rmsprop, "lion": optax.lion, "adamw": optax.adamw, "muon": optax.contrib.muon, "lamb": optax.lamb,
    "nadamw": optax.nadamw,
}  # fmt: skip


def alone(factory, learned, target):
    """STEPS steps of plain optax on one seed, `(2, N, RANK)` each, by the entries: A and B."""

    def square(factors, target):
        (a, b), (u, v) = factors, target
        return jnp.square(a @ b.T - u @ v.T).sum() / 2

    optimizer = factory()

    def step(_, carry):
        factors, opt_state = carry
        updates, opt_state = optimizer.update(jax.grad(square)(factors, target), opt_state, factors)
        return optax.apply_updates(factors, updates), opt_state

    with jax.numpy_dtype_promotion("standard"):  # optax itself mixes integers and floats
        return jax.lax.fori_loop(0, STEPS, step, (tuple(learned), optimizer.init(tuple(learned))))[0]


@LAYOUTS
@pytest.mark.parametrize("name", PLAIN)
def test_trials_of_different_rates_are_runs_of_plain_optax(x64, name, layout):
    learned, target = draw(3)
    rates = jnp.array([0.003, 0.01, 0.05])
    after, _ = compiled(name, layout)(learned, target, rates)
    plain = jax.jit(lambda learned, target, rate: alone(lambda: PLAIN[name](rate), learned, target))
    for trial in range(3):
        expected = plain(learned[trial], target[trial], rates[trial])
        chex.assert_trees_all_close(tuple(after[trial]), expected, rtol=1e-9, atol=1e-12)


@LAYOUTS
@pytest.mark.parametrize("name", ("adamw", "lion", "nadamw", "muon", "lamb"))
def test_trials_of_different_weight_decays_are_runs_of_plain_optax(x64, name, layout):
    learned, target = draw(4)
    rates, decays = jnp.array([0.003, 0.01, 0.05, 0.05]), jnp.array([0.3, 0.0, 0.01, 2.0])
    after, _ = compiled(name, layout)(learned, target, rates, decays)
    plain = jax.jit(
        lambda learned, target, rate, decay: alone(lambda: PLAIN[name](rate, weight_decay=decay), learned, target)
    )
    for trial in range(4):
        expected = plain(learned[trial], target[trial], rates[trial], decays[trial])
        chex.assert_trees_all_close(tuple(after[trial]), expected, rtol=1e-9, atol=1e-12)
    without, _ = compiled(name, layout)(learned, target, rates, 0 * decays)
    moved = np.abs(after - without).max(axis=(1, 2, 3))
    assert moved[1] == 0 and (moved[[0, 2, 3]] > 1e-5).all()


@LAYOUTS
def test_adamw_without_decay_is_adam_and_left_to_itself_decays_by_optaxs_default(x64, layout):
    learned, target = draw(3)
    rates = jnp.array([0.003, 0.01, 0.05])
    adam, _ = compiled("adam", layout)(learned, target, rates)
    adamw = compiled("adamw", layout)
    np.testing.assert_array_equal(adamw(learned, target, rates, jnp.zeros(3))[0], adam)
    np.testing.assert_array_equal(adamw(learned, target, rates)[0], adamw(learned, target, rates, jnp.full(3, 1e-4))[0])
    assert (np.asarray(adamw(learned, target, rates)[0]) != np.asarray(adam)).any()


@LAYOUTS
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ("sgd", "adam", "muon", "lamb"))
def test_no_trial_sees_another(name, loss, layout):
    trials = 9  # more than a vector register, and not a multiple of one
    learned, target = draw(trials)
    rates = jnp.linspace(0.01, 0.05, trials)
    descend = compiled(name, layout, loss)
    whole = descend(learned, target, rates)
    chex.assert_tree_all_finite(whole)
    for trial in (0, 4, 8):
        here = np.arange(trials) == trial
        mine = here[:, None, None, None]
        for changed in (
            (learned, target, jnp.where(here, jnp.nan, rates)),
            (learned, jnp.where(mine, jnp.nan, target), rates),
            (
                jnp.where(mine, jnp.array([-3.0, jnp.inf])[None, :, None, None] * jnp.abs(learned), learned),
                target,
                rates,
            ),
        ):
            pairs, losses = descend(*changed)
            assert not np.isfinite(losses[trial])
            for new, old in zip((pairs, losses), whole, strict=True):
                assert np.asarray(new)[~here].tobytes() == np.asarray(old)[~here].tobytes()


@LAYOUTS
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_of_gradient_descent_unbalances_factors_only_to_second_order(x64, loss, layout):
    # Gradient flow keeps A'A - B'B (Saxe et al. 2014); one step of rate h changes it by h^2 (Ga'Ga - Gb'Gb), exactly.
    arrange, restore = (jax.vmap(layout.turn, **{f"{side}_axes": layout.seed_axis}) for side in ("out", "in"))
    factors, target = map(arrange, draw(3))
    path, rate = Path(layout=layout, factored=loss == "square"), jnp.full(3, 0.05)
    gradients = path.gradient(loss, factors, path.prepare(loss, target))
    opt_state = dynamics.init_optimizer("sgd", layout, factors, rate)
    after, _ = dynamics.apply_optimizer("sgd", layout, gradients, opt_state, factors, rate)

    def imbalance(pair):
        a, b = np.moveaxis(np.asarray(restore(pair)), 1, 0)
        return a.swapaxes(1, 2) @ a - b.swapaxes(1, 2) @ b

    second = 0.05**2 * imbalance(gradients)
    np.testing.assert_allclose(imbalance(after) - imbalance(factors), second, atol=1e-13)
    assert np.abs(second).max() > 1e-5


def test_momentum_has_a_factor_of_nine_tenths():
    # The same gradient twice moves momentum by 1 + 1.9 rates.
    ones = jnp.ones((2, N, RANK, 2))
    rates = jnp.array([0.1, 0.2])
    opt_state, at = dynamics.init_optimizer("momentum", SEEDS_LAST, ones, rates), ones
    for _ in range(2):
        at, opt_state = dynamics.apply_optimizer("momentum", SEEDS_LAST, ones, opt_state, at, rates)
    np.testing.assert_allclose(at[0, 0, 0], 1 - 2.9 * rates, rtol=1e-6)
