# SPDX-License-Identifier: Apache-2.0
"""The level of noise, curves without it, and curves that are too rough, on curves whose noise is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxmyopia.checks import ArgumentError
from jaxmyopia.measures.descents import descents
from jaxmyopia.measures.noise import WINDOW, in_noise, noise_level, reversals
from jaxmyopia.measures.smoothing import smoothed

T, SEEDS = 500, 64
STEPS = np.arange(T)
level, rough, smooth = (
    jax.jit(noise_level),
    jax.jit(lambda *curves, **how: in_noise(*curves, **how)[2]),
    jax.jit(smoothed),
)
find = jax.jit(descents)


def draws(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(T, SEEDS))


def float32(x: np.ndarray) -> jax.Array:
    return jnp.asarray(x, jnp.float32)


DECAY = 0.2 + 0.8 * np.exp(-STEPS / 100)[:, None]


@pytest.mark.parametrize("size", [1e-4, 1e-2])
@pytest.mark.parametrize("steps", [STEPS, np.sort(np.random.default_rng(1).choice(2000, T, replace=False))])
def test_the_level_is_the_standard_deviation_of_additive_and_multiplicative_noise(size, steps):
    decay = 0.2 + 0.8 * np.exp(-steps / steps[-1] * 5)[:, None]
    for scale in (np.ones_like(decay), decay):
        found = np.asarray(level(steps, float32(decay + size * scale * draws())))
        # The mean over curves at each record: each curve's own errs by some 30 %.
        np.testing.assert_allclose(found.mean(axis=1), size * scale[:, 0], rtol=0.25)
        assert found.mean() == pytest.approx(size * scale.mean(), rel=0.05)


def test_smooth_curves_have_next_to_no_noise_and_steps_of_a_few_records_hide_none():
    smooth_curve = 1 / (1 + np.exp((STEPS - 250) / 8))[:, None]
    assert np.max(level(STEPS, float32(smooth_curve))) < 1e-5
    stairs = (STEPS // 100 % 2)[:, None] + 1e-3 * draws()
    np.testing.assert_allclose(np.asarray(level(STEPS, float32(stairs))).mean(axis=1), 1e-3, rtol=0.4)


def test_the_level_is_a_running_median():
    loss = DECAY + 1e-2 * draws()
    # Evenly spaced, the cubic through four neighbours weighs them -1/6, 2/3, 2/3, -1/6.
    weights = np.array([-1, 4, 0, 4, -1]) / 6
    left = np.abs(loss - ndimage.convolve1d(loss, weights, axis=0))[2:-2] / np.sqrt(1 + np.sum(weights**2))
    width = 2 * WINDOW + 1  # of 400 records or more
    expected = ndimage.median_filter(left, (width, 1))[width:-width] / 0.6745
    np.testing.assert_allclose(level(STEPS, float32(loss))[2 + width : -2 - width], expected, rtol=1e-3)


def test_what_follows_the_end_of_a_budget_changes_no_level():
    held = float32(np.where(STEPS[:, None] < 125, DECAY + 1e-3 * draws(), 0.5))
    np.testing.assert_allclose(np.asarray(level(STEPS, held))[:110].mean(), 1e-3, rtol=0.05)


def test_smoothing_takes_the_noise_and_leaves_steps_steep():
    clean = np.where(STEPS < 250, 1.0, 0.5)[:, None]
    made, spread = (
        np.asarray(x) for x in smooth(STEPS, float32(clean + 0.01 * draws()), float32(clean * 0 + 0.01), 0.0)
    )
    far = np.abs(STEPS - 250) > 140
    assert np.sqrt(np.mean((made - clean)[far] ** 2)) < 0.0015 and np.median(spread[far]) < 0.0015
    assert np.abs(made - clean)[[249, 250]].max() < 0.06  # a record from the step


def test_smoothing_of_uneven_records_follows_a_slope():
    steps = np.sort(np.random.default_rng(2).choice(5000, T, replace=False))
    clean = (1 - steps / 5000)[:, None]
    made, spread = smooth(steps, float32(clean + 0.01 * draws()), float32(clean * 0 + 0.01), 0.0)
    inside = slice(70, -70)
    apart = (np.asarray(made) - clean)[inside] / np.asarray(spread)[inside]
    assert 0.6 < np.sqrt(np.mean(apart**2)) < 1.2 and np.median(spread) < 0.002


@pytest.mark.slow
def test_an_exponential_decay_with_noise_is_one_descent():
    steps = np.arange(1500)
    noise = np.random.default_rng(3).normal(size=(1500, 200))
    loss = float32(np.exp(-steps / 300)[:, None] + 1e-3 * noise)
    assert np.mean(np.asarray(find(steps, loss).count) > 1) > 0.9  # taken as it is
    found = find(steps, loss, noise=level(steps, loss))
    refused = np.asarray(rough(steps, loss, level(steps, loss)))
    assert np.all(np.asarray(found.count)[~refused] == 1) and np.all(np.asarray(found.plateaus)[~refused] == 0)
    assert refused.mean() < 0.1


def test_no_noise_changes_nothing_and_any_shape_of_it_is_taken():
    clean = 1 / (1 + np.exp((STEPS - 125) / 8)) + 1 / (1 + np.exp((STEPS - 350) / 8))
    loss = float32(clean[:, None] + 1e-3 * draws())
    np.testing.assert_array_equal(find(STEPS, loss, noise=jnp.zeros(SEEDS)).count, find(STEPS, loss).count)
    for noise in (1e-3, jnp.full(SEEDS, 1e-3), jnp.full((T, SEEDS), 1e-3)):
        found = find(STEPS, loss, noise=noise)
        np.testing.assert_array_equal((found.count, found.plateaus), 2)


@pytest.mark.slow
def test_a_curve_is_too_rough_where_its_noise_hides_what_would_count_and_not_where_it_does_not():
    clean = (1 / (1 + np.exp((STEPS - 150) / 8)) + 1 / (1 + np.exp((STEPS - 350) / 8)))[:, None]
    shares = [
        rough(STEPS, float32(clean + s * draws()), level(STEPS, float32(clean + s * draws()))) for s in (0, 1e-3, 0.2)
    ]
    assert [bool(each.mean() < 0.05) for each in shares] == [True, True, False]
    assert shares[2].all()
    # At a fall of 0.1 a noise counts that at 0.02 does not.
    loss = float32(clean + 0.03 * draws())
    strict, mild = (rough(STEPS, loss, level(STEPS, loss), fall=fall).mean() for fall in (0.02, 0.2))
    assert mild < 0.3 < strict


def test_reversals_of_noise_and_of_waves():
    assert float(reversals(float32(draws())).mean()) == pytest.approx(2 / 3, abs=0.01)
    assert float(reversals(float32(np.sin(2 * np.pi * STEPS / 20)))) == pytest.approx(0.1, abs=0.01)
    assert float(reversals(float32(np.exp(-STEPS / 50)))) == 0


def test_steps_that_do_not_increase_are_refused():
    with pytest.raises(ArgumentError, match=r"^steps="):
        noise_level(STEPS[::-1], jnp.ones(T))
