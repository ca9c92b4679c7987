# SPDX-License-Identifier: Apache-2.0
"""Steps of S seeds: against plain optax on one seed, and no seed may see another."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmyopia.lowrank import dynamics
from jaxmyopia.lowrank.losses import LOSSES, Target, product

N, RANK, STEPS = 5, 2, 6


def draw(lanes: int) -> tuple[dynamics.Factors, np.ndarray]:
    """Factors `(N, RANK, lanes)` and targets `(lanes, N, N)`."""
    rng = np.random.default_rng(0)
    dtype = jnp.zeros(()).dtype
    a, b = jnp.asarray(rng.normal(size=(2, N, RANK, lanes)), dtype)
    return (a, b), np.einsum("sik,sjk->sij", *rng.normal(size=(2, lanes, N, RANK))).astype(dtype)


def compiled(name: str, loss: str = "square"):
    """STEPS steps of an optimiser: factors, targets and rates -> the factors and losses at their end."""

    @jax.jit
    def descend(factors, c, rates):
        target = Target(u=factors[0], v=factors[1], dense=LOSSES[loss].prepare(c))

        def step(_, carry):
            factors, opt_state = carry
            gradients = dynamics.gradient(loss, factors, target)
            return dynamics.apply_optimizer(name, gradients, opt_state, factors, rates)

        factors, _ = jax.lax.fori_loop(0, STEPS, step, (factors, dynamics.init_optimizer(name, factors, rates)))
        return factors, LOSSES[loss].value(product(*factors), target.dense)

    return descend


@pytest.mark.parametrize("name", sorted(dynamics.ELEMENTWISE))
def test_entry_by_entry_is_the_same_as_seed_by_seed(x64, monkeypatch, name):
    factors, c = draw(3)
    rates = jnp.array([0.003, 0.01, 0.05])
    together, _ = compiled(name)(factors, c, rates)
    monkeypatch.setattr(dynamics, "ELEMENTWISE", frozenset())
    apart, _ = compiled(name)(factors, c, rates)
    chex.assert_trees_all_close(together, apart, rtol=1e-11, atol=1e-14)
    assert all((np.abs(x - y).max(axis=(0, 1)) > 1e-3).all() for x, y in zip(together, factors, strict=True))


PLAIN = {
    "adam": optax.adam, "sgd": optax.sgd, "momentum": functools.partial(optax.sgd, momentum=0.9),
    "rmsprop": optax.rmsprop, "lion": optax.lion, "adamw": optax.adamw, "muon": optax.contrib.muon, "lamb": optax.lamb,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_lanes_of_different_rates_are_runs_of_plain_optax(x64, name):
    factors, c = draw(3)
    rates = jnp.array([0.003, 0.01, 0.05])
    after, _ = compiled(name)(factors, c, rates)

    def square(factors, c):
        a, b = factors
        return jnp.square(a @ b.T - c).sum() / 2

    @jax.jit
    def alone(factors, c, rate):
        optimizer = PLAIN[name](rate)

        def step(_, carry):
            factors, opt_state = carry
            updates, opt_state = optimizer.update(jax.grad(square)(factors, c), opt_state, factors)
            return optax.apply_updates(factors, updates), opt_state

        return jax.lax.fori_loop(0, STEPS, step, (factors, optimizer.init(factors)))[0]

    with jax.numpy_dtype_promotion("standard"):  # optax itself mixes integers and floats
        for lane in range(3):
            expected = alone(jax.tree.map(lambda x: x[..., lane], factors), c[lane], rates[lane])  # noqa: B023
            got = jax.tree.map(lambda x: x[..., lane], after)  # noqa: B023
            chex.assert_trees_all_close(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ("sgd", "adam", "muon", "lamb"))
def test_no_lane_sees_another(name, loss):
    lanes = 9  # more than a vector register, and not a multiple of one
    (a, b), c = draw(lanes)
    rates = np.linspace(0.01, 0.05, lanes, dtype=np.float32)
    descend = compiled(name, loss)
    whole = descend((a, b), c, rates)
    chex.assert_tree_all_finite(whole)
    for lane in (0, 4, 8):
        here = np.arange(lanes) == lane
        for changed in (
            ((a, b), c, np.where(here, np.nan, rates)),
            ((a, b), np.where(here[:, None, None], np.nan, c), rates),
            ((np.where(here, -3 * a, a), np.where(here, np.inf, b)), c, rates),
        ):
            (new_a, new_b), new_loss = descend(*changed)
            assert not np.isfinite(new_loss[lane])
            for new, old in zip((new_a, new_b, new_loss), (*whole[0], whole[1]), strict=True):
                assert np.asarray(new)[..., ~here].tobytes() == np.asarray(old)[..., ~here].tobytes()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_of_gradient_descent_unbalances_factors_only_to_second_order(x64, loss):
    # Gradient flow keeps A'A - B'B (Saxe et al. 2014); one step of rate h changes it by h^2 (Ga'Ga - Gb'Gb), exactly.
    factors, c = draw(3)
    target = Target(u=factors[0], v=factors[1], dense=LOSSES[loss].prepare(jnp.asarray(c)))
    rate = jnp.full(3, 0.05)
    gradients = dynamics.gradient(loss, factors, target)
    opt_state = dynamics.init_optimizer("sgd", factors, rate)
    after, _ = dynamics.apply_optimizer("sgd", gradients, opt_state, factors, rate)

    def imbalance(pair):
        a, b = (np.moveaxis(np.asarray(x), -1, 0) for x in pair)
        return a.swapaxes(1, 2) @ a - b.swapaxes(1, 2) @ b

    second = 0.05**2 * imbalance(gradients)
    np.testing.assert_allclose(imbalance(after) - imbalance(factors), second, atol=1e-13)
    assert np.abs(second).max() > 1e-5


def test_momentum_has_a_factor_of_nine_tenths():
    # The same gradient twice moves momentum by 1 + 1.9 rates.
    ones = (jnp.ones((N, RANK, 2)),) * 2
    rates = jnp.array([0.1, 0.2])
    opt_state, at = dynamics.init_optimizer("momentum", ones, rates), ones
    for _ in range(2):
        at, opt_state = dynamics.apply_optimizer("momentum", ones, opt_state, at, rates)
    np.testing.assert_allclose(at[0][0, 0], 1 - 2.9 * rates, rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    # Not there; private; not an optimiser; needs more than a rate; and two that want the loss once they run.
    ("adm", "", "__name__", "chain", "softmax", "polyak_sgd", "apply_updates", "contrib", "lbfgs", "momo"),
)
def test_what_is_not_an_optimiser_of_a_rate_alone_is_refused(name):
    with pytest.raises(ValueError, match=rf"^optimizers='{name}' is not allowed: must be .*$") as error:
        dynamics.make_optimizer(name)
    assert "\n" not in str(error.value)
