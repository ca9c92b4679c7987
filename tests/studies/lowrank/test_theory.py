# SPDX-License-Identifier: Apache-2.0
"""The closed forms against quadrature, and simulated learning against the closed forms."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from jaxmyopia.engine.chunk import run_chunks
from jaxmyopia.measures.descents import descents
from jaxmyopia.studies.lowrank import theory
from jaxmyopia.studies.lowrank.gradients import Path
from jaxmyopia.studies.lowrank.layouts import SEEDS_FIRST, SEEDS_LAST, Layout
from jaxmyopia.studies.lowrank.losses import LOSSES
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

S = 3.0  # a singular value other than 1, so that a lost factor of s shows


def mode_time(w: float, s: float, w0: float, factors: int) -> float:
    """The time from w0 to w: the integral of dw / (N w^(2 - 2/N) (s - w)), in log w."""

    def slowness(y: float) -> float:
        return np.exp(y) / (factors * np.exp((2 - 2 / factors) * y) * (s - np.exp(y)))

    return integrate.quad(slowness, np.log(w0), np.log(w), epsabs=0, epsrel=1e-11, limit=500)[0]


@pytest.mark.parametrize("factors", (1, 2, 3, 4, 7))
@pytest.mark.parametrize("w0", (0.1 * S, 1e-4 * S))
def test_a_mode_reaches_each_strength_when_its_time_integral_says(factors, w0):
    strengths = w0 + (S - w0) * np.array([0.0, 0.1, 0.5, 0.9, 0.999])
    times = np.array([mode_time(w, S, w0, factors) for w in strengths])
    np.testing.assert_allclose(theory.mode(times, S, w0, factors), strengths, rtol=1e-8)
    if factors == 2:
        np.testing.assert_allclose(theory.two_factor_mode(times, S, w0), strengths, rtol=1e-9)
        np.testing.assert_allclose(theory.time_to_fraction(strengths / S, S, w0), times, atol=1e-9)


def test_a_late_mode_neither_overflows_nor_overshoots():
    assert theory.two_factor_mode(np.array(1e6), S, 1e-9) == S
    np.testing.assert_allclose(theory.mode(np.array([0, 1e3]), S, 1e-2, 3)[-1], S, rtol=1e-10)


@pytest.mark.parametrize("factors", (3, 4, 5))
def test_the_time_to_escape_tends_to_its_limit(factors):
    ratios = []
    for u0 in (1e-1, 1e-2, 1e-3):
        half = mode_time(S / 2, S, u0**factors, factors)
        ratios.append(half / theory.escape_time(u0, S, factors))
    errors = np.abs(np.array(ratios) - 1)
    assert (errors[1:] < errors[:-1] / 5).all() and errors[-1] < 2e-3


@pytest.mark.parametrize(("function", "factors"), ((theory.mode, 0), (theory.escape_time, 2)))
def test_too_few_factors_are_refused(function, factors):
    arguments = (np.zeros(2), S, 0.1) if function is theory.mode else (0.1, S)
    with pytest.raises(ValueError, match=rf"^factors={factors} is not allowed: must be at least \d$"):
        function(*arguments, factors)


def test_saddles_lie_at_the_best_approximations_of_each_rank():
    c = np.random.default_rng(0).normal(size=(9, 5)) @ np.random.default_rng(1).normal(size=(5, 9))
    u, s, vt = np.linalg.svd(c)
    heights = [np.linalg.norm(c - (u[:, :k] * s[:k]) @ vt[:k]) ** 2 / 2 for k in range(6)]
    np.testing.assert_allclose(theory.saddle_heights(s[:5]), heights, atol=1e-12 * heights[0])


init = jax.jit(LowRank.init, static_argnums=0)


@functools.partial(jax.jit, static_argnames=("study", "records"))
def simulate(state, params, every, *, study: LowRank, records: int):
    """Records 0, `every`, 2 `every`, ... of a study from any start."""

    def to_record(state, _):
        record = study.observe(state, params)
        return jax.lax.fori_loop(0, every, lambda _, s: study.step(s, params), state), record

    return jax.lax.scan(to_record, state, length=records)[1]


def strength(study: LowRank, w0: float, rates: list[float], every: int, records: int) -> np.ndarray:
    """w at every `every`-th step from an aligned, balanced start, `(records, rates)`."""
    params = study.params(learning_rate=np.array(rates), init_scale=np.ones(len(rates)))
    state = init(study, jax.random.split(jax.random.key(0), len(rates)), params)
    shrink = np.sqrt(w0 / S)  # the target's factors are sqrt(s) long
    state = state.replace(factors=state.target.factors * shrink)
    curves = simulate(state, params, every, study=study, records=records)
    np.testing.assert_allclose(curves.align_a, 1, atol=1e-12)  # the mode stays its own
    return np.asarray(curves.norm_a * curves.norm_b)[..., 0]


RANK_1 = LowRank(n=6, rank=1, target="spectrum", spectrum=(S,))


def test_one_mode_of_two_factors_follows_its_closed_form(x64):
    rate, every, records = 1e-3 / S, 20, 300
    w = strength(RANK_1, S / 10, [rate, rate / 2], every, records)
    steps = np.arange(records) * every
    exact = theory.two_factor_mode(steps[:, None] * np.array([rate, rate / 2]), S, S / 10)
    errors = np.abs(w / exact - 1).max(axis=0)
    assert w[-1, 0] > 0.999 * S
    assert errors[0] < 1e-3
    # Halving the rate halves the error: gradient descent is a method of first order, and nothing else is off.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.01)


def test_one_mode_from_a_tiny_start_follows_its_closed_form_after_extrapolation(x64):
    rate, every, records, w0 = 1e-3 / S, 20, 1000, 1e-4 * S
    w = strength(RANK_1, w0, [rate, rate / 2], every, records)
    coarse, fine = w[: records // 2, 0], w[::2, 1]  # at the same times
    exact = theory.two_factor_mode(np.arange(records // 2) * every * rate, S, w0)
    assert coarse[-1] > 0.999 * S
    assert np.abs((2 * fine - coarse) / exact - 1).max() < 1e-4
    assert np.abs(coarse / exact - 1).max() / np.abs(fine / exact - 1).max() == pytest.approx(2, rel=0.01)


def test_one_mode_of_three_factors_follows_its_differential_equation(x64):
    every, records, w0 = 20, 400, 1 / 10

    def descend(factors, rate):
        gradient = jax.grad(lambda u: jnp.square(1 - u.prod()) / 2)
        return jax.lax.fori_loop(0, every, lambda _, u: u - rate * gradient(u), factors)

    def simulated(rate):
        start = jnp.full(3, w0 ** (1 / 3))
        return jax.lax.scan(lambda u, _: (descend(u, rate), u.prod()), start, length=records)[1]

    rates = jnp.array([1e-3, 5e-4])
    w = np.asarray(jax.jit(jax.vmap(simulated))(rates)).T
    exact = np.stack([theory.mode(np.arange(records) * every * rate, 1.0, w0, 3) for rate in np.asarray(rates)], axis=1)
    errors = np.abs(w / exact - 1).max(axis=0)
    assert w[-1, 0] > 0.999
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.01)


@pytest.mark.slow
def test_a_tiny_start_steps_down_through_the_saddles(x64):
    spectrum = np.array([8.0, 4.0, 2.0, 1.0])
    study = LowRank(n=16, rank=4, target="spectrum", spectrum=tuple(spectrum), thresholds=Thresholds(descent_fall=0.02))
    cell = Cell(
        study=study, sweep=(("learning_rate", (0.02,)), ("init_scale", (1e-6,))), seeds=32, steps=2500, records=400
    )
    (part,) = run_chunks(cell, root_seed=0, keep_curves=cell.seeds)

    # Falls of 75, 19, 4.7 and 1.2 % of the first loss: 2 % leaves out the last, 5 % makes one of it and the third.
    counts = {0.01: 4, 0.02: 3, 0.05: 3}
    for choice in study.thresholds.plateaus.choices_at():
        expected = counts[choice["fall"]]
        assert theory.expected_descents(spectrum, choice["fall"]) == expected
        for measure in (study.thresholds.descents, study.thresholds.plateaus):
            np.testing.assert_array_equal(part.rows[measure.column(choice)], expected)

    # The least speed before the first and between two descents lies on a saddle, in the order of the singular values.
    steps, loss = cell.record_steps(), part.kept["loss"]
    found = jax.tree.map(np.asarray, jax.jit(descents)(steps, loss, ratio=0.5, fall=0.01))
    speed = -np.diff(loss, axis=0) / np.diff(steps)[:, None]
    for trial in range(loss.shape[1]):
        stretches = itertools.pairwise([0, *found.peak[found.closed[:, trial], trial]])
        heights = [loss[start + speed[start:stop, trial].argmin(), trial] for start, stop in stretches]
        np.testing.assert_allclose(heights, theory.saddle_heights(spectrum)[:-1], rtol=1e-3)


def test_the_critical_rate_parts_a_minimum_that_holds_from_one_that_does_not(x64):
    study = LowRank(n=6, rank=1, target="spectrum", spectrum=(S,))
    seeds, rates = 4, theory.critical_rate(S) * np.array([0.9, 1.1])
    params = study.params(learning_rate=np.repeat(rates, seeds), init_scale=np.full(2 * seeds, 1e-3))
    state = init(study, jax.random.split(jax.random.key(0), 2 * seeds), params)
    state = state.replace(factors=state.factors + state.target.factors)  # the draw is the perturbation
    loss = simulate(state, params, 1000, study=study, records=2).loss
    change = np.asarray(loss[1] / loss[0]).reshape(2, seeds)
    assert (change[0] < 1e-12).all()
    assert (change[1] > 100).all()


def matrices(columns: int, seed: int) -> np.ndarray:
    """`(3, 7, columns)`: a factor of three seeds, in numpy's order."""
    return np.random.default_rng(seed).normal(size=(3, 7, columns))


def arranged(layout: Layout, a: np.ndarray, b: np.ndarray) -> jax.Array:
    """A pair of factors `(3, n, r)` in a layout's order."""
    return jax.vmap(layout.turn, in_axes=1, out_axes=layout.seed_axis)(jnp.stack([a, b]))


def as_pair(layout: Layout, c: np.ndarray) -> jax.Array:
    """Any matrices `(3, n, n)` as a pair of factors: themselves and the identity."""
    return arranged(layout, c, np.broadcast_to(np.eye(c.shape[1]), c.shape))


LAYOUTS = pytest.mark.parametrize("layout", (SEEDS_LAST, SEEDS_FIRST))


@LAYOUTS
def test_cross_entropy_starts_at_its_closed_form(x64, layout):
    c = matrices(2, 0) @ matrices(2, 1).swapaxes(1, 2)
    target = Path(layout=layout, factored=False).prepare("cross_entropy", as_pair(layout, c))
    loss = LOSSES["cross_entropy"].value(layout, as_pair(layout, np.zeros_like(c)), target)
    np.testing.assert_allclose(theory.initial_cross_entropy(c), loss, rtol=1e-13)


def test_closed_forms_of_the_first_cross_entropy_at_their_ends():
    np.testing.assert_allclose(theory.initial_cross_entropy(np.zeros((5, 5))), 0, atol=1e-15)
    spike = np.diag([1e4, 0.0, 0.0])  # all mass on one entry of nine
    np.testing.assert_allclose(theory.initial_cross_entropy(spike), 2 * np.log(3), rtol=1e-15)


@LAYOUTS
def test_the_gradient_of_cross_entropy_is_its_closed_form(x64, layout):
    a, b, c = matrices(3, 0), matrices(3, 1), 2 * matrices(7, 2)
    path = Path(layout=layout, factored=False)
    target = path.prepare("cross_entropy", as_pair(layout, c))
    p, q = (special.softmax(x, axis=(1, 2)) for x in (c, a @ b.swapaxes(1, 2)))
    expected = arranged(layout, (q - p) @ b, (q - p).swapaxes(1, 2) @ a)
    np.testing.assert_allclose(path.gradient("cross_entropy", arranged(layout, a, b), target), expected, atol=1e-14)


@LAYOUTS
@pytest.mark.parametrize("shift", (-7.0, 0.0, 3.5))
def test_the_zero_set_of_cross_entropy_is_the_target_up_to_a_constant(x64, shift, layout):
    u, v, ones = matrices(2, 0), matrices(2, 1), np.ones((3, 7, 1))
    path = Path(layout=layout, factored=False)
    target = path.prepare("cross_entropy", arranged(layout, u, v))
    shifted = arranged(layout, *(np.concatenate(x, axis=2) for x in ((u, shift * ones), (v, ones))))
    np.testing.assert_allclose(LOSSES["cross_entropy"].value(layout, shifted, target), 0, atol=1e-14)
    np.testing.assert_allclose(path.gradient("cross_entropy", shifted, target), 0, atol=1e-13)
    square = LOSSES["square"].value(layout, shifted, path.prepare("square", target.factors))
    np.testing.assert_allclose(square, (7 * shift) ** 2 / 2, atol=1e-12)  # the square loss does tell them apart
