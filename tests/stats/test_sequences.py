# SPDX-License-Identifier: Apache-2.0
"""Bets and sequences: fair by enumeration and integration, and rarely wrong however one stops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from experiments.benchmarks import coverage
from jaxmyopia.stats import sequences
from jaxmyopia.stats.betting import STAKES, WEIGHTS, Bets
from jaxmyopia.stats.sequences import LEAST, VARIED, mean_sequence, share_sequence


def capital(values, mean: float) -> float:
    """By the definition, seed by seed."""
    total = 0.0
    for stake, weight in zip(STAKES, np.exp(WEIGHTS), strict=True):
        above = below = 1.0
        for value in values:
            above *= 1 - stake + stake * value / mean
            below *= 1 - stake + stake * (1 - value) / (1 - mean)
        total += weight * (above + below) / 2
    return total


@given(st.lists(st.sampled_from([0, 0.25, 0.4, 1]), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_the_capital_is_what_the_players_hold(values, mean):
    assert math.exp(Bets(np.array(values)).log_capital(mean)) == pytest.approx(capital(values, mean), rel=1e-9)
    assert Bets(np.array(values[::-1])).log_capital(mean) == Bets(np.array(values)).log_capital(mean)


def test_bets_against_the_truth_are_fair():
    # Over all samples of five seeds from a population of three values, the capital is one on average.
    values, chances = (0.1, 0.4, 1.0), (0.5, 0.3, 0.2)
    mean = float(np.dot(values, chances))
    total = 0.0
    for drawn in itertools.product(range(3), repeat=5):
        total += math.prod(chances[i] for i in drawn) * math.exp(Bets(np.array(values)[list(drawn)]).log_capital(mean))
    assert total == pytest.approx(1, rel=1e-12)


def test_the_ends_are_where_the_capital_reaches_its_bound():
    sample = np.random.default_rng(0).beta(1, 3, 50)
    low, high = Bets(sample).interval(0.05)
    assert capital(sample, low) == pytest.approx(20) == capital(sample, high)
    assert 0 < low < sample.mean() < high < 1
    none = mean_sequence(np.zeros(100), range=(0, 1)).interval()
    assert none.low == 0 and capital(np.zeros(100), none.high) == pytest.approx(20) and none.high < 0.05


def test_what_lies_outside_the_range_is_impossible():
    estimate = mean_sequence(np.array([0.0, 1.0, 0.5]), range=(0, 2))
    assert [estimate.p_value(value) for value in (-0.01, 0, 2, 2.01)] == [0, 0, 0, 0]
    assert mean_sequence(np.zeros(3), range=(0, 2)).p_value(0) == 1


def mixture(t: float, n: int) -> float:
    """Of numbers without skewness whose mean is t errors from zero, the evidence against zero."""
    return 1 / sequences._Mixture(t, n, error=1.0).p_value(0.0)


@pytest.mark.parametrize("n", [24, 100])
@pytest.mark.parametrize("t", [3.2, 5.0, 9.0])
def test_the_evidence_is_the_likelihood_ratio_of_a_normal_effect(t, n):
    # Mixed by integration over the effect, of the noncentral t that it gives.
    deviation = math.sqrt(sequences.VARIANCE)
    density = lambda effect: stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) * stats.norm.pdf(effect, scale=deviation)
    mixed, _ = integrate.quad(density, -9 * deviation, 9 * deviation, points=[t / math.sqrt(n)])
    assert mixture(t, n) == pytest.approx(mixed / stats.t.pdf(t, n - 1), rel=1e-6)


@pytest.mark.parametrize("n", [24, 128, 5000])
def test_the_ends_of_a_mixture_are_where_it_reaches_its_bound(n):
    estimate = sequences._Mixture(0.0, n, error=1.0)
    interval = estimate.interval(0.95)
    assert 1.9 < interval.high == -interval.low and estimate.p_value(interval.high) == pytest.approx(0.05)
    sure = estimate.interval(1 - 1e-9)  # of few seeds no t is so great
    assert math.isinf(sure.high) == (n == 24)


def test_the_mixture_is_narrowest_for_the_seeds_it_is_made_for(monkeypatch):
    reach = lambda: sequences._Mixture(0.0, 10**6, error=1.0).interval().high  # normal, but for 10^-6
    widths = {}
    for factor in (0.9, 1.0, 1.1):
        with monkeypatch.context() as patched:
            patched.setattr(sequences, "VARIANCE", factor * sequences.VARIANCE * 128 / 10**6)
            widths[factor] = reach()
    assert widths[1.0] < widths[0.9] and widths[1.0] < widths[1.1]


def test_a_sequence_without_a_range_waits_for_seeds_that_differ():
    rng = np.random.default_rng(0)
    few, rare = rng.normal(size=LEAST - 1), np.append(rng.normal(size=VARIED - 1), np.zeros(300))
    for sample, why in ((few, "31 of 31 seeds differ"), (rare, "15 of 315 seeds differ"), ([2.0] * 30, "all 30 seeds")):
        estimate = mean_sequence(np.array(sample))
        assert estimate.method == "none" and estimate.why.startswith(why) and estimate.p_value(9.0) == 1
    assert mean_sequence(np.append(few, 0.1)).method == "confidence sequence of t"
    assert mean_sequence(np.append(rare, 1.0)).method == "confidence sequence of t"
    assert mean_sequence(rare, range=(-9, 9)).method == "betting"
    assert share_sequence(np.zeros(0)).why == "there is no seed"
    assert mean_sequence(np.array([1.0, np.inf])).why.startswith("1 of 2 seeds give no finite value")


@pytest.mark.parametrize("name", ["lognormal", "4.5 % gamma", "beta 2, 5", "difference of shares"])
def test_the_simulation_runs_through_what_the_sequence_says(name):
    kind = coverage.SEQUENCES[name]
    samples = np.asarray(kind.draw(np.random.default_rng(4), (3, 700)), float)
    found = coverage.evidence(samples, kind)
    for row, n in itertools.product(range(3), (1, 5, 31, 32, 100, 700)):
        estimate = mean_sequence(samples[row, :n], range=kind.range)
        assert estimate.p_value(kind.truth) == pytest.approx(min(1, math.exp(-found[row, n - 1])), rel=1e-6)


# By chance a rate of 5 % is above 6.6 % in one simulation of a hundred.
@pytest.mark.parametrize("name", [name for name in coverage.SEQUENCES if "+ 50" not in name])
def test_looking_after_every_seed_errs_in_at_most_5_percent(name):
    wrong = coverage.stopped(coverage.SEQUENCES[name], 512, 1000, np.random.default_rng(1))["wrong"]
    print(f"excluded the truth at some number of seeds: {name} {wrong:.3f}")
    assert wrong <= 0.066
