# SPDX-License-Identifier: Apache-2.0
"""The exact loss against quadrature, polygons as its critical points, training that meets their losses, and padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

import jaxmyopia as jm
from jaxmyopia import optimizers
from jaxmyopia.studies.superposition import exact
from jaxmyopia.studies.superposition.measures import FINAL, KEPT, LINES_FOUND, sides
from jaxmyopia.studies.superposition.model import errors_of_one, inputs, squared_error, variance
from jaxmyopia.studies.superposition.polygons import polygon, polygons
from jaxmyopia.studies.superposition.study import Independent, OneActive
from jaxmyopia.studies.superposition.understanding import Errors, interpretable
from jaxmyopia.testing import check_study


def quadrature(own: float, gain: float, bias: float) -> float:
    error = lambda u: (own * u - max(gain * u + bias, 0.0)) ** 2
    kink = [-bias / gain] if gain and 0 < -bias / gain < 1 else None
    return scipy.integrate.quad(error, 0, 1, points=kink, epsabs=1e-14)[0]


CASES = [
    (own, gain, bias) for own in (0.0, 1.0) for gain in (-1.5, -0.3, 0.0, 0.4, 1.7) for bias in (-0.9, -0.2, 0.0, 0.5)
]


def test_the_exact_error_is_that_of_quadrature(x64):
    found = [float(squared_error(*map(jnp.asarray, case))) for case in CASES]
    np.testing.assert_allclose(found, [quadrature(*case) for case in CASES], atol=1e-12)


def test_its_slopes_are_those_of_differences(x64):
    slope = jax.vmap(jax.grad(squared_error, argnums=(1, 2)))
    own, gain, bias = (jnp.asarray(x) for x in zip(*[case for case in CASES if case[1] and case[2]], strict=True))
    for place, found in enumerate(slope(own, gain, bias)):
        step = jnp.zeros((2, 1)).at[place].set(1e-6)
        ends = [squared_error(own, gain + sign * step[0], bias + sign * step[1]) for sign in (1, -1)]
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("features", [4, 14])
def test_slopes_of_several_seeds_are_those_of_each(features):
    rng = np.random.default_rng(2)
    models = jnp.asarray(rng.normal(size=(5, 3, features)) * 0.6, jnp.float32)
    importance = jnp.asarray(rng.random((5, features)), jnp.float32)
    found = jax.jit(jax.vmap(exact.slope))(models, importance)
    each = jnp.stack([jax.grad(exact.loss)(model, one) for model, one in zip(models, importance, strict=True)])
    np.testing.assert_allclose(found, each, rtol=1e-4, atol=1e-6)


def test_the_exact_loss_is_the_mean_over_samples():
    rng = np.random.default_rng(0)
    weights, biases = rng.normal(size=(3, 7)) * 0.7, rng.normal(size=7) * 0.2
    x = np.zeros((400_000, 7))
    x[np.arange(len(x)), rng.integers(7, size=len(x))] = rng.random(len(x))
    sampled = ((x - np.maximum(x @ weights.T @ weights + biases, 0)) ** 2).mean(axis=0)
    found = errors_of_one(jnp.asarray(weights.T @ weights, jnp.float32), jnp.asarray(biases, jnp.float32))
    np.testing.assert_allclose(found, sampled, rtol=0.03)


def test_sparse_inputs_have_the_variance_that_losses_are_told_in():
    x = np.asarray(inputs(jax.random.uniform(jax.random.key(0), (400_000,)), jnp.asarray(0.3)))
    assert (x > 0).mean() == pytest.approx(0.3, abs=0.003)
    assert x.var() == pytest.approx(float(variance(5, jnp.asarray(0.3))), rel=0.01)


@pytest.mark.parametrize("each", [each for each in polygons(6) if each.sides > 3], ids=str)
def test_polygons_are_critical_points_of_the_exact_loss(each, x64):
    def loss(weights, biases):
        return errors_of_one(weights.T @ weights, biases).sum() / (6 * variance(6, None))

    found, slopes = jax.value_and_grad(loss, argnums=(0, 1))(*map(jnp.asarray, each.columns(6)))
    assert float(found) == pytest.approx(each.loss, abs=1e-9)
    assert all(float(jnp.abs(slope).max()) < 1e-6 for slope in slopes)


def test_published_squares_and_pentagons():
    # A square leaves one of five: 1/5 of the variance. The pentagon's loss is that of Chen et al.'s l and b.
    assert polygon(4, 1, 5).loss == pytest.approx(1 / 5)
    assert (polygon(5, 0, 5).radius, polygon(5, 0, 5).bias) == pytest.approx((1.17046, -0.28230), abs=1e-5)


def test_trained_losses_meet_those_of_polygons():
    study = OneActive(features=5, widest=2, optimizer="adam", falls_over=2000, measures=(FINAL, KEPT, sides(5)))
    answer = jm.run(study, seeds=64, steps=2000, records=4, hidden=2, init_scale=0.1, learning_rate=0.1)
    met, loss = answer.trials.values(sides(5)), answer.trials.values(FINAL)
    assert set(met) <= {0.0, 4.0, 5.0} and (met == 5).sum() > 16
    np.testing.assert_allclose(loss[met == 5], polygon(5, 0, 5).loss, atol=1e-6)


@pytest.mark.parametrize(("study", "settings"), [(OneActive, {}), (Independent, {"active": 0.2})])
def test_padding_changes_nothing_but_the_order_of_sums(study, settings):
    def model(widest: int) -> np.ndarray:
        made = study(features=16, widest=widest, optimizer="adam")
        how = {"hidden": 3, "init_scale": 0.1, "learning_rate": 0.01, **settings}
        return jm.run(made, seeds=4, steps=60, records=4, **how).curves["model"][-1]

    bare, padded = model(3), model(8)
    assert not padded[:, 3:8].any()
    np.testing.assert_allclose(padded[:, [0, 1, 2, 8]], bare, atol=1e-5)


@pytest.mark.parametrize(
    ("study", "settings"),
    [
        (OneActive(features=8, widest=3, measures=(KEPT, sides(8))), {}),
        (Independent(features=8, widest=3, batch_size=8), {"active": 0.2}),
        (Independent(features=8, widest=3, batch_size=8, measures=LINES_FOUND), {"active": 0.2}),
        (
            Independent(features=8, widest=3, batch_size=8, measures=interpretable(Errors(True, "relu"))),
            {"active": 0.2},
        ),
    ],
)
def test_studies_keep_the_contract(study, settings):
    check_study(study, hidden=2.0, init_scale=0.1, learning_rate=0.01, span=9.0, **settings)


def test_weight_decay_takes_its_share_from_what_has_no_slope():
    study = OneActive(features=4, widest=2, optimizer="sgd")
    trained, task = study.init(
        jax.random.key(0), hidden=jnp.asarray(2.0), init_scale=jnp.asarray(0.0), weight_decay=jnp.asarray(0.5)
    )
    trained = trained.at[-1].set(-1.0)  # no output, and no slope
    rate = jnp.asarray(0.1)
    opt_state = optimizers.init("sgd", trained, rate, jax.random.key(1))
    made, _ = study.update(trained, task, opt_state, rate)
    np.testing.assert_allclose(made[-1], -0.95)


@pytest.mark.parametrize(
    ("name", "value", "make"),
    [
        ("features", 0, lambda: OneActive(features=0)),
        ("widest", 9, lambda: OneActive(features=8, widest=9)),
        ("activation", "gelu", lambda: OneActive(activation="gelu")),
        ("optimizer", "adom", lambda: OneActive(optimizer="adom")),
        ("batch_size", 0, lambda: Independent(batch_size=0)),
        ("hidden", 11.0, lambda: OneActive().params(hidden=np.array([11.0]))),
        ("hidden", 2.5, lambda: OneActive().params(hidden=np.array([2.5]))),
        ("active", 0.0, lambda: Independent().params(active=np.array([0.0]))),
        ("active", 1.5, lambda: Independent().params(active=np.array([1.5]))),
        ("span", 0.5, lambda: OneActive().params(span=np.array([0.5]))),
        ("init_scale", -1.0, lambda: OneActive().params(init_scale=np.array([-1.0]))),
        ("sides", 9, lambda: polygon(9, 0, 6)),
    ],
)
def test_what_is_not_allowed_is_named(name, value, make):
    with pytest.raises(jm.ArgumentError) as caught:
        make()
    assert caught.value.name == name and str(value) in str(caught.value) and "\n" not in str(caught.value)


def test_decay_falls_with_the_rate():
    study = OneActive(features=4, widest=2, optimizer="sgd", falls_over=10)
    trained, task = study.init(
        jax.random.key(0), hidden=jnp.asarray(2.0), init_scale=jnp.asarray(0.0), weight_decay=jnp.asarray(0.5)
    )
    model, rate = trained.at[-1].set(-1.0), jnp.asarray(0.1)
    opt_state, expected = optimizers.init(study.optimizer, model, rate, jax.random.key(1)), 1.0
    for step in range(3):
        model, opt_state = study.update(model, task, opt_state, rate)
        expected *= 1 - 0.5 * 0.1 * (1 + np.cos(np.pi * step / 10)) / 2
    np.testing.assert_allclose(model[-1], -expected, rtol=1e-6)
