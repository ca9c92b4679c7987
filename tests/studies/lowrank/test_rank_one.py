# SPDX-License-Identifier: Apache-2.0
"""Rank 1: the reduction to four numbers and the law of half-times against simulated seeds."""

import dataclasses
import functools

import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from jaxmyopia.studies.lowrank import rank_one, theory
from jaxmyopia.studies.lowrank.study import LowRank, State

RANK_1 = LowRank(n=100, rank=1)


@dataclasses.dataclass(frozen=True)
class Entries(LowRank):
    """The study of all n entries, whatever its optimiser."""

    in_span = False


@functools.partial(jax.jit, static_argnames=("study", "every", "records"))
def simulate(keys, params, *, study: LowRank, every: int, records: int):
    """The starts of all seeds, and the loss at steps 0, `every`, 2 `every`, ...: `(records, S)`."""

    def to_record(state, _):
        loss = study.observe(state, params).loss
        return jax.lax.fori_loop(0, every, lambda _, s: study.step(s, params), state), loss

    start = study.init(keys, params)
    return start, jax.lax.scan(to_record, start, length=records)[1]


def pairs(study: LowRank, state: State) -> tuple[np.ndarray, np.ndarray]:
    """The factors and the target of rank 1, `(S, 2, n)` each."""
    layout = study.path.layout
    turn = jax.vmap(layout.turn, in_axes=layout.seed_axis)
    return tuple(np.asarray(turn(x), float)[..., 0] for x in (state.factors, state.target.factors))


def trained(study: LowRank, rates, scale: float, seeds: int, every: int, records: int):
    """The four numbers at the start, s, rates, and losses of `seeds` seeds at each rate."""
    rates = np.repeat(rates, seeds)
    params = study.params(learning_rate=rates, init_scale=np.full(len(rates), scale))
    keys = jax.random.split(jax.random.key(1), len(rates))
    start, loss = simulate(keys, params, study=study, every=every, records=records)
    return *rank_one.reduce(*pairs(study, start)), rates, np.asarray(loss, float)


entries = hnp.arrays(float, (3, 2, 5), elements=st.floats(-3, 3))


@given(entries, entries, st.floats(1e-4, 1e-3))
def test_four_numbers_are_all_that_a_step_of_matrices_changes(factors, target, rate):
    target = target + 4  # none is zero
    (a, b), (u, v) = (np.moveaxis(x, 1, 0) for x in (factors, target))
    numbers, s = rank_one.reduce(factors, target)
    error = np.einsum("si,sj->sij", a, b) - np.einsum("si,sj->sij", u, v)
    np.testing.assert_allclose(rank_one.loss(numbers, s), np.square(error).sum((1, 2)) / 2, rtol=1e-10)
    slopes = np.stack([np.einsum("sij,sj->si", error, b), np.einsum("sij,si->sj", error, a)], axis=1)
    stepped, _ = rank_one.reduce(factors - rate * slopes, target)
    np.testing.assert_allclose(stepped, numbers + rate * rank_one.velocity(numbers, s), atol=1e-10)


@pytest.mark.parametrize("study", (RANK_1, Entries(n=100, rank=1)), ids=("in span", "entries"))
@pytest.mark.parametrize("scale", (1.0, 0.1, 0.01))
def test_every_loss_of_the_simulator_is_that_of_the_four_numbers(study, scale):
    every, records = 5, 300
    numbers, s, rates, loss = trained(study, [1e-4, 1e-3, 3e-3], scale, 64, every, records)
    assert (loss[-1] < 1e-2 * loss[0]).mean() > 0.9  # they learn
    exact = rank_one.loss(rank_one.descent(numbers, s, rates, every * np.arange(records)), s)
    assert (np.abs(loss - exact) / exact[0]).max() < 1e-4  # in single precision; measured: 1e-5


@pytest.mark.parametrize("scale", (1.0, 0.1, 0.01))
def test_small_steps_follow_the_flow_of_the_four_numbers(x64, scale):
    # 2e-6 is 1/5000 of the critical rate: at 3e-6 a small start is off by more than 1e-3.
    seeds, every, records = 64, 600, 150
    numbers, s, rates, loss = trained(RANK_1, [2e-6], scale, seeds, every, records)
    assert np.median(loss[-1] / loss[0]) < 0.3
    errors = []
    for finer in (1, 2):
        if finer == 2:
            *_, loss = trained(RANK_1, [1e-6], scale, seeds, 2 * every, records)
        flow = rank_one.loss(rank_one.flow(numbers, s, rates[0] * every * np.arange(records)), s)
        errors.append((np.abs(loss - flow) / flow[0]).max())
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.01)  # of first order in the rate, and nothing else is off


@pytest.mark.parametrize("steps", ([-1, 2], [0, 3, 3], [2, 1]))
def test_steps_that_do_not_increase_are_refused(steps):
    with pytest.raises(ValueError, match=r"^steps=\[.*\] is not allowed: must increase from 0 or later$"):
        rank_one.descent(np.ones((1, 4)), np.ones(1), 0.1, steps)


@pytest.mark.parametrize("rate", (0.0, 0.02))
def test_the_law_of_half_times_is_that_of_a_normal_number(rate):
    s, scale = 3.0, 1e-3
    z = np.array([0.01, 0.3, 1.0, 2.5])
    times = rank_one.half_time(z, s, scale, rate)
    np.testing.assert_allclose(rank_one.half_time_cdf(times, s, scale, rate), 2 * stats.norm.sf(z), rtol=1e-12)

    def moment(power, centre):
        density = lambda z: 2 * stats.norm.pdf(z) * (rank_one.half_time(z, s, scale, rate) - centre) ** power
        return sum(
            integrate.quad(density, *ends, epsabs=1e-12, limit=200)[0] for ends in ((0, 1e-3), (1e-3, 1), (1, 40))
        )

    mean, deviation = rank_one.half_time_moments(s, scale, rate)
    np.testing.assert_allclose([mean, deviation], [moment(1, 0), np.sqrt(moment(2, mean))], rtol=1e-8)


def test_a_half_time_is_that_of_a_balanced_mode():
    z, s, scale = np.array([0.1, 1.0, 2.0]), 3.0, 1e-4
    mode = theory.time_to_fraction(1 - np.sqrt(0.5), s, (scale * z) ** 2 / 2)
    np.testing.assert_allclose(rank_one.half_time(z, s, scale), mode, rtol=1e-8)


def half_times(loss: np.ndarray) -> np.ndarray:
    """The steps to half the first loss, `(S,)`, between the two recorded steps around it by a straight line."""
    after = (loss <= loss[0] / 2).argmax(axis=0)
    assert (after > 0).all()  # every seed gets there
    before, then = (np.take_along_axis(loss, at[None], axis=0)[0] for at in (after - 1, after))
    return after - 1 + (before - loss[0] / 2) / (before - then)


@pytest.mark.parametrize("scale", (0.03, 0.01))
def test_half_times_over_seeds_spread_by_their_law(scale):
    rate, level = 5e-4, 1e-3  # h s is 0.05, a step moves g t by as much; the level was set before the first look
    numbers, s, rates, loss = trained(RANK_1, [rate], scale, 2048, 1, 800)
    time = half_times(loss) * rate
    shares = rank_one.half_time_cdf(time, s, scale, rates)
    assert stats.kstest(shares, "uniform").pvalue > level
    # The same seeds refuse what is off by a little: the flow in place of steps, or a start of 1.2 times the scale.
    for wrong in (rank_one.half_time_cdf(time, s, scale), rank_one.half_time_cdf(time, s, 1.2 * scale, rates)):
        assert stats.kstest(wrong, "uniform").pvalue < level
    mean, deviation = rank_one.half_time_moments(s, scale, rates)
    standard = (time - mean) / deviation
    assert abs(standard.mean()) < 0.07 and abs(standard.std() - 1) < 0.08  # three standard errors of 2,048 seeds
    # Seed by seed, from where it starts: the spread over seeds is the start's and nothing else's.
    z = (numbers[:, 0] + numbers[:, 2]) / (np.sqrt(2) * scale)
    assert np.abs((time - rank_one.half_time(z, s, scale, rates)) / deviation).max() < 0.05
