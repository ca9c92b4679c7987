# SPDX-License-Identifier: Apache-2.0
"""Learning from comparisons and principles: oracles, closed forms and theory where it holds, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit

from jaxmyopia import run
from jaxmyopia.checks import ArgumentError
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.feedback import model, posterior
from jaxmyopia.studies.feedback.curves import meets
from jaxmyopia.studies.feedback.measures import AFTER, AT_BITS, WHOLE
from jaxmyopia.studies.feedback.principle import Principle
from jaxmyopia.studies.feedback.study import Comparisons, answers_after
from jaxmyopia.testing import check_study

WHERE = {"k": 4.0, "sigma": 0.3, "angle": 0.0}
LEARNS = {"sharpness": 2.0, "prior": 1.0, "belief": 1.0}


@functools.cache
def learned(d=16, rounds=20, pool=1, seeds=32, **settings) -> Trials:
    """A run of comparisons under WHERE and LEARNS, or settings in their place."""
    study = Comparisons(d=d, pool=pool, rounds=rounds)
    return run(
        study, seeds=seeds, steps=rounds, records=rounds + 1, progress=False, keep_curves=0,
        **(WHERE | LEARNS | settings),
    ).trials  # fmt: skip


def drawn(n, d, seed=0, sharpness=2.0):
    """Rows, answers and values of one made-up learner, in float64."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=d)
    values /= np.linalg.norm(values)
    rows = rng.normal(size=(n, d))
    answers = np.where(rng.uniform(size=n) < expit(sharpness * rows @ values), 1.0, -1.0)
    return rows, answers, values


fitted = jax.jit(posterior.fit, static_argnames="steps")


@pytest.mark.parametrize(("count", "sharpness"), [(5, 8.0), (40, 8.0), (64, 1.0), (250, 4.0)])
def test_the_fit_is_the_most_probable_one_that_scipy_finds_from_separable_samples_on(count, sharpness):
    d, steps = 6, 15
    rows, answers, _ = drawn(256, d, count, sharpness)
    variances = np.array([0.4, 0.4, 0.1, 0.05, 0.05, 0.0])
    scale = sharpness * np.sqrt(variances)

    def objective(gamma):
        return gamma @ gamma / 2 + np.logaddexp(0, -answers[:count] * (rows[:count] @ (scale * gamma))).sum()

    best = minimize(objective, np.zeros(d), method="BFGS", options={"gtol": 1e-8})
    arrays = (jnp.asarray(x, jnp.float32) for x in (rows, answers))
    scale32 = jnp.asarray(scale, jnp.float32)
    found = fitted(*arrays, jnp.asarray(count), scale32, jnp.zeros(d, jnp.float32), steps)
    np.testing.assert_allclose(found.mean, best.x, atol=2e-3)
    assert found.mean[-1] == 0  # without variance
    chances = expit(rows[:count] @ (scale * best.x))
    hessian = np.eye(d) + scale[:, None] * ((rows[:count].T * (chances * (1 - chances))) @ rows[:count]) * scale
    np.testing.assert_allclose(found.spread, np.linalg.inv(hessian), atol=2e-3)
    assert float(found.volume) == pytest.approx(np.linalg.slogdet(hessian)[1] / np.log(4), rel=2e-3)


def test_one_answer_moves_the_posterior_as_a_fit_to_it_does():
    d = 5
    scale = jnp.full(d, 1.5, jnp.float32)
    row = jnp.asarray(np.random.default_rng(1).normal(size=d), jnp.float32)
    mean, spread = jax.jit(posterior.told)(jnp.zeros(d), jnp.eye(d), row * scale, jnp.asarray(-1.0))
    rows = jnp.zeros((posterior.ROWS, d)).at[0].set(row)
    found = fitted(rows, -jnp.ones(posterior.ROWS), jnp.asarray(1), scale, jnp.zeros(d, jnp.float32), 15)
    np.testing.assert_allclose(mean, found.mean, atol=1e-5)
    np.testing.assert_allclose(spread, found.spread, atol=1e-5)


def entropy(p):
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) if 0 < p < 1 else 0.0


def gaussian(f):
    return quad(lambda g: f(g) * np.exp(-g * g / 2) / np.sqrt(2 * np.pi), -9, 9, limit=200)[0]


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 4.0, 10.0])
def test_informations_are_their_integrals(sharpness):
    told = 1 - gaussian(lambda g: entropy(expit(sharpness * g)))
    assert float(model.answer_information(jnp.asarray(sharpness, jnp.float32))) == pytest.approx(told, abs=2e-6)
    fisher = sharpness**2 * gaussian(lambda g: expit(sharpness * g) * expit(-sharpness * g))
    assert model.fisher_information(sharpness) == pytest.approx(fisher, rel=1e-6)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.1), (1.0, 2.0), (-3.0, 4.0), (9.0, 1.0), (0.0, 8.0)])
def test_what_an_answer_is_expected_to_tell_is_its_integral(mean, deviation):
    chance = gaussian(lambda g: expit(mean + deviation * g))
    told = entropy(chance) - gaussian(lambda g: entropy(expit(mean + deviation * g)))
    found = posterior.expected_information(*(jnp.full(1, x, jnp.float32) for x in (mean, deviation)))
    assert float(found[0]) == pytest.approx(told, abs=2e-3)


@pytest.mark.parametrize(("k", "sigma", "angle"), [(1, 0.0, 0.0), (3, 0.5, 30.0), (4, 1.0, 90.0), (2, 2.0, 60.0)])
def test_values_lie_in_the_tilted_subspace_but_for_a_part_of_the_length_sigma(k, sigma, angle):
    d = 8
    noise = jax.random.normal(jax.random.key(3), (2, d))
    w = np.asarray(model.values(noise, *(jnp.asarray(x, jnp.float32) for x in (k, sigma, angle))), float)
    basis = np.zeros((d, k))
    basis[range(k), range(k)] = np.cos(np.deg2rad(angle))
    basis[range(k, 2 * k), range(k)] += np.sin(np.deg2rad(angle))
    inside = basis @ (basis.T @ w)
    assert np.linalg.norm(w) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(w - inside) / np.linalg.norm(inside) == pytest.approx(sigma, abs=1e-5)


def test_variances_add_up_to_one_and_a_soft_prior_holds_the_others():
    given = lambda believed, prior: model.variances(6, *(jnp.asarray(x, jnp.float32) for x in (2, believed, prior)))
    for believed, prior in ((0.3, 0), (0.3, 1), (0.3, 2)):
        assert float(given(believed, prior).sum()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(given(np.sqrt(2), 1), given(1, 0), atol=1e-6)  # sigma^2 = (d - k) / k
    np.testing.assert_allclose(given(0, 1), given(1, 2))


def test_the_cap_area_bound_is_that_of_a_circle_and_of_a_sphere():
    assert model.cap_bits(np.cos(np.pi / 8), 2) == pytest.approx(3)  # an eighth of the circle
    assert model.cap_bits(0.5, 3) == pytest.approx(2)  # (1 - cos) / 2 of the sphere


def test_comparisons_come_as_near_as_theory_says_at_many_answers():
    d, sharpness = 8, 2.0
    told = learned(d=d, rounds=20, prior=(0.0, 2.0), sigma=0.0, sharpness=sharpness)  # 1,024 answers: 128 a dimension
    each = 1024 * model.fisher_information(sharpness)
    for prior, free in ((0.0, d - 1), (2.0, 4 - 1)):
        missing = 1 - told.matching(prior=prior)["cos"] ** 2
        wanted, error = free / each, missing.std() / np.sqrt(len(missing))
        assert missing.mean() == pytest.approx(wanted, abs=3 * error + 0.03 * wanted)


def test_knowledge_alone_has_a_floor_and_the_crossover_is_where_theory_says():
    sigma, k = 1.0, 4.0
    floor = 1 / np.sqrt(1 + sigma**2)
    told = learned(d=8, rounds=20, prior=(0.0, 2.0), sigma=sigma)
    assert told.matching(prior=2.0)["cos"].mean() == pytest.approx(floor, abs=0.01)
    copy = run(Principle(d=8), seeds=64, steps=WHOLE, records=9, progress=False, k=k, sigma=sigma, angle=0.0, noise=0.0)
    assert copy.trials["cos"].mean() == pytest.approx(floor, abs=0.002)
    crossing = (8 - 1) / (model.fisher_information(2.0) * sigma**2)
    assert 4 < crossing < 16 and told.matching(prior=0.0)[AFTER].mean() == pytest.approx(floor, abs=0.1)


def test_a_principle_loses_what_its_noise_and_its_bits_lose():
    noise = 0.5
    copy = run(
        Principle(d=32), seeds=256, steps=WHOLE, records=9, progress=False, k=16.0, sigma=0.0, angle=0.0,
        noise=(0.0, noise),
    ).trials  # fmt: skip
    assert copy.matching(noise=noise)["cos"].mean() == pytest.approx(1 / np.sqrt(1 + noise**2), abs=0.01)
    sign = copy.matching(noise=0.0).values(AT_BITS, {"charge": "answers", "bits": 1.0})
    # The sign of each coordinate of a unit vector in R^k: the mean of the sum of sizes over sqrt(k).
    assert sign.mean() == pytest.approx(
        np.sqrt(16) * 0.2034, abs=0.005
    )  # E|x_1| in R^16: Gamma(8)/(sqrt(pi) Gamma(8.5))
    assert model.code_lengths(2)[:2] == pytest.approx([0, 1])


def test_a_right_soft_prior_chosen_comparisons_and_a_wrong_subspace_do_what_they_should():
    own = {"d": 8, "k": 1.0}
    right, wrong = (learned(rounds=20, angle=angle, prior=(0.0, 1.0), **own) for angle in (0.0, 90.0))
    at = lambda told, prior, n: told.matching(prior=prior).values(AFTER, {"answers": n}).mean()
    assert at(right, 1.0, 16.0) > at(right, 0.0, 16.0) + 0.1
    assert at(wrong, 1.0, 16.0) < at(wrong, 0.0, 16.0) - 0.1
    chosen = learned(rounds=12, pool=16, prior=0.0, **own)
    assert at(chosen, 0.0, 64.0) > at(right, 0.0, 64.0) + 0.02
    # What an answer tells beyond those before is less than what one alone would: of 64 no more than 64 bits.
    told = chosen["information"]
    assert (told > 5).all() and (told < 64 * 0.6).all()


def test_answers_double_every_second_round_and_the_crossing_is_read_off_in_logarithm():
    assert answers_after(8).tolist() == [0, 1, 2, 3, 4, 6, 8, 12, 16]
    assert answers_after(20)[-1] == 1024
    answers = np.array([0, 1, 2, 4, 8])
    assert meets(answers, np.array([0, 0.1, 0.3, 0.5, 0.7]), 0.6) == pytest.approx(4 * np.sqrt(2))
    assert meets(answers, np.array([0, 0.7, 0.3, 0.5, 0.5]), 0.6) == np.inf  # it does not stay there


@pytest.mark.parametrize(
    "study", [Comparisons(d=6, rounds=6), Comparisons(d=6, rounds=6, pool=3), Principle(d=6)], ids=str
)
def test_studies_fulfil_the_contract(study):
    own = {"noise": 0.25} if isinstance(study, Principle) else {"sharpness": 2.0, "prior": 0.0, "belief": 0.5}
    check_study(study, k=2.0, sigma=0.5, angle=30.0, **own)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"k": 0.0}, "k=0.0 is not allowed: must be a whole number from 1 to 8"),
        ({"k": 17.0}, "from 1 to 8, half of d=16"),
        ({"k": 1.5}, "a whole number"),
        ({"sigma": -0.1}, "sigma=-0.1 is not allowed: must be from 0 to 100"),
        ({"angle": 91.0}, "from 0 to 90"),
        ({"sharpness": 0.0}, "above 0"),
        ({"prior": 3.0}, "isotropic, soft, subspace"),
        ({"pool": 0}, "pool=0 is not allowed: must be from 1"),
        ({"d": 1}, "d=1 is not allowed: must be from 2"),
        ({"rounds": 0}, "rounds=0 is not allowed: must be from 1"),
    ],
    ids=str,
)
def test_bad_input_takes_one_line(given, allowed):
    static = {name: given[name] for name in ("pool", "d", "rounds") if name in given}
    with pytest.raises(ArgumentError, match=allowed):
        learned(**(static | {name: value for name, value in given.items() if name not in static}))
