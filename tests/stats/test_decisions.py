# SPDX-License-Identifier: Apache-2.0
"""Shares of variance against closed forms and statsmodels; the joint test against slow loops and simulated errors."""

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from jaxmyopia.checks import ArgumentError
from jaxmyopia.stats.decisions import INTERACTIONS, NOISE, specification_test, variance_by_decision


def generator(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def grid(**values) -> list[dict]:
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def test_shares_of_an_additive_function_are_exact():
    factors = grid(x=[0, 1, 2], y=["a", "b"], z=[0.5, 1.5])
    effect = {"a": 0, "b": 3}
    estimates = np.array([5 + 2 * at["x"] + effect[at["y"]] for at in factors])
    found = variance_by_decision(factors, estimates)
    of_x, of_y = 4 * 2 / 3, 9 / 4
    expected = {"x": of_x / (of_x + of_y), "y": of_y / (of_x + of_y), "z": 0}
    for name, share in expected.items():
        assert (found[name].share, found[name].total) == (pytest.approx(share, abs=1e-12),) * 2
        assert math.isnan(found[name].noise)
    assert found[INTERACTIONS].share == pytest.approx(0, abs=1e-12)
    assert list(found) == ["x", "y", "z", INTERACTIONS, NOISE]


def test_a_pure_interaction_has_no_share_of_its_own():
    factors = grid(x=[-1, 1], y=[-1, 1], z=[1, 2, 3])
    found = variance_by_decision(factors, np.array([at["x"] * at["y"] for at in factors]))
    assert [found[name].share for name in "xyz"] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [found[name].total for name in "xyz"] == pytest.approx([1, 1, 0], abs=1e-12)
    assert found[INTERACTIONS].share == pytest.approx(1)


def test_indices_of_ishigami_s_kind_by_hand():
    # f = a + b c with independent levels -1, 1: V = 1 + 1, S_a = 1/2, T_b = T_c = 1/2.
    factors = grid(a=[-1, 1], b=[-1, 1], c=[-1, 1])
    found = variance_by_decision(factors, np.array([at["a"] + at["b"] * at["c"] for at in factors]))
    assert [found[name].share for name in "abc"] == pytest.approx([0.5, 0, 0], abs=1e-12)
    assert [found[name].total for name in "abc"] == pytest.approx([0.5, 0.5, 0.5])


def frame(factors, estimates) -> pd.DataFrame:
    return pd.DataFrame(factors).assign(value=estimates)


@pytest.mark.filterwarnings("ignore:divide by zero")  # the full model leaves nothing for its F tests
def test_a_balanced_grid_against_analysis_of_variance():
    factors = grid(x=[0, 1, 2, 3], y=["a", "b", "c"], z=[True, False])
    estimates = generator().normal(size=len(factors))
    table = anova_lm(ols("value ~ C(x) + C(y) + C(z)", frame(factors, estimates)).fit(), typ=2)["sum_sq"]
    full = anova_lm(ols("value ~ C(x) * C(y) * C(z)", frame(factors, estimates)).fit(), typ=1)["sum_sq"]
    found = variance_by_decision(factors, estimates)
    whole = np.var(estimates) * len(factors)
    for name in "xyz":
        assert found[name].share == pytest.approx(table[f"C({name})"] / whole)
        total = sum(value for term, value in full.items() if f"C({name})" in term)
        assert found[name].total == pytest.approx(total / whole)
    assert found[INTERACTIONS].share == pytest.approx(table["Residual"] / whole)


def shapley_by_orders(data: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """Each name's sequential sum of squares, averaged over all orders in which the names may enter a fit."""
    sums = dict.fromkeys(names, 0.0)
    orders = list(itertools.permutations(names))
    for order in orders:
        fitted = ols("value ~ " + " + ".join(f"C({name})" for name in order), data).fit()
        for name in names:
            sums[name] += anova_lm(fitted, typ=1)["sum_sq"][f"C({name})"] / len(orders)
    return sums


@pytest.mark.parametrize("seed", range(4))
def test_an_unbalanced_grid_against_sequential_fits_in_all_orders(seed):
    rng = generator(seed)
    factors = grid(x=[0, 1, 2], y=["a", "b", "c"], z=[0, 1])
    factors = [factors[k] for k in rng.permutation(len(factors))[:12]]
    estimates = rng.normal(size=12) + [at["x"] for at in factors]
    found, whole = variance_by_decision(factors, estimates), np.var(estimates) * 12
    for name, expected in shapley_by_orders(frame(factors, estimates), list("xyz")).items():
        assert found[name].share == pytest.approx(expected / whole)
        assert math.isnan(found[name].total)


@given(st.data())
@settings(max_examples=50)
def test_shares_add_up_and_do_not_depend_on_order_units_or_names_of_levels(data):
    rng = generator(data.draw(st.integers(0, 10**6)))
    factors = grid(x=[0, 1, 2], y=["a", "b"], z=[1.0, 2.0], w=["only"])
    kept = rng.permutation(len(factors))[: data.draw(st.integers(2, len(factors)))]
    factors, estimates = [factors[k] for k in kept], rng.normal(size=len(kept))
    found = variance_by_decision(factors, estimates, errors=rng.random(len(kept)))
    assert "w" not in found and all(each.share >= 0 for each in found.values())
    assert sum(each.share for name, each in found.items() if name != NOISE) == pytest.approx(1)
    assert sum(each.noise for name, each in found.items() if name != NOISE) == pytest.approx(found[NOISE].share)
    order = rng.permutation(len(kept))
    renamed = [{name: f"{value}!" for name, value in factors[k].items()} for k in order]
    again = variance_by_decision(renamed, 3 - 2 * estimates[order])
    for name in found:
        if name != NOISE:
            assert again[name].share == pytest.approx(found[name].share, abs=1e-9)


def test_choices_that_change_together_halve_what_they_explain():
    factors = [{"x": k % 3, "twin": str(k % 3), "y": k // 3} for k in range(6)]
    found = variance_by_decision(factors, np.array([at["x"] for at in factors]))
    assert (found["x"].share, found["twin"].share) == (pytest.approx(0.5), pytest.approx(0.5))


def test_the_noise_of_equal_errors_is_shared_by_degrees_of_freedom():
    factors = grid(x=[0, 1, 2, 3, 4], y=[0, 1, 2, 3])
    estimates = generator().normal(size=20)
    found = variance_by_decision(factors, estimates, errors=np.full(20, 0.3))
    unit = 0.09 / 20 / np.var(estimates)
    expected = {"x": 4 * unit, "y": 3 * unit, INTERACTIONS: 12 * unit, NOISE: 19 * unit}
    assert {name: each.noise for name, each in found.items()} == pytest.approx(expected)


def test_the_noise_of_seeds_is_what_estimates_vary_by_over_repeats():
    """The seeds share most of what they differ in, which moves all estimates alike: no noise in their spread."""
    rng, factors = generator(), grid(x=[0, 1], y=[0, 1, 2])
    told, spread = [], []
    for _ in range(400):
        values = 5 * rng.normal(size=40) + rng.normal(size=(6, 40)) * np.array([[1], [2], [1], [3], [1], [1]])
        found, variance = variance_by_decision(factors, values), np.var(values.mean(axis=1))
        told.append([found[name].noise * variance for name in ("x", "y", NOISE)])
        spread.append([found[name].share * variance for name in ("x", "y")] + [variance])
    mean = np.mean(told, axis=0)
    assert mean == pytest.approx(np.mean(spread, axis=0), abs=4 * np.std(spread, axis=0).max() / 20)
    assert mean[2] == pytest.approx((17 / 6) * (5 / 6) / 40, rel=0.05)


def test_seeds_left_out_and_estimates_that_lack():
    values = generator().normal(size=(4, 30)) + np.arange(4)[:, None]
    values[0, :5], values[3] = np.nan, np.nan
    factors = grid(x=[0, 1], y=[0, 1])
    means = np.array([values[0, 5:].mean(), *values[1:3].mean(axis=1)])
    found, expected = variance_by_decision(factors, values), variance_by_decision(factors[:3], means)
    assert [found[k].share for k in expected if k != NOISE] == pytest.approx(
        [expected[k].share for k in expected if k != NOISE]
    )


def test_what_cannot_be_decomposed():
    factors = grid(x=[0, 1], y=[0, 1])
    constant = variance_by_decision(factors, np.full(4, 0.1))
    assert all(math.isnan(each.share) for each in constant.values())
    with pytest.raises(ArgumentError, match="of which there are 4"):
        variance_by_decision(factors, np.zeros(3))
    with pytest.raises(ArgumentError, match="at least two"):
        variance_by_decision(factors, np.array([1, np.nan, np.nan, np.nan]))
    with pytest.raises(ArgumentError, match="name of a part"):
        variance_by_decision([{INTERACTIONS: k} for k in range(3)], np.arange(3))
    with pytest.raises(ArgumentError, match="at most 10"):
        many = generator().integers(0, 2, (50, 13))
        variance_by_decision([dict(enumerate(map(int, row))) for row in many], generator().normal(size=50))
    with pytest.raises(ArgumentError, match="errors"):
        variance_by_decision(factors, np.arange(4.0), errors=-np.ones(4))


def slow_test(values, null, direction, signs):
    """The three statistics, specification by specification with scipy's t test, for each row of signs."""
    found = []
    for flips in [np.ones(values.shape[1]), *signs]:
        estimates, significant = [], []
        for row in values:
            away = (flips * (row - null))[np.isfinite(row)]
            estimates.append(direction * away.mean())
            significant.append(stats.ttest_1samp(away, 0).pvalue < 0.05 and estimates[-1] > 0)
        found.append([np.median(estimates), np.mean(np.array(estimates) > 0), np.mean(significant)])
    seen, drawn = np.array(found[0]), np.array(found[1:])
    return seen, (1 + (drawn >= seen - 1e-12).sum(axis=0)) / (1 + len(drawn))


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_joint_test_against_a_slow_loop(direction, shift):
    values = generator().normal(2 + direction * shift, 1, 30) + 0.7 * generator(1).normal(size=(6, 30))
    values[2, :9] = np.nan
    found = specification_test(values, null=2, direction=direction, resamples=199, rng=generator(3))
    signs = 2.0 * generator(3).integers(0, 2, (199, 30), dtype=np.int8) - 1
    seen, p_values = slow_test(values, 2, direction, signs)
    assert (direction * (found.median - 2), found.claimed, found.significant) == pytest.approx(seen)
    assert (found.p_median, found.p_claimed, found.p_significant) == pytest.approx(p_values)
    assert (found.specifications, found.seeds) == (6, 30)


def test_where_there_is_nothing_the_joint_test_errs_as_often_as_it_says():
    """Specifications depend on one another, the noise has heavy tails: p is uniform, or above where it is discrete."""
    p_values, repeats = [], 400
    for seed in range(repeats):
        rng = generator(seed)
        values = rng.standard_t(3, size=25) + rng.normal(size=(7, 25)) * rng.random((7, 1))
        found = specification_test(values, resamples=99, rng=rng)
        p_values.append([found.p_median, found.p_claimed, found.p_significant])
    of_median, *discrete = np.transpose(p_values)
    error = 3.5 * math.sqrt(0.05 * 0.95 / repeats)
    assert (of_median <= 0.05).mean() == pytest.approx(0.05, abs=error)
    assert stats.kstest(of_median, "uniform").pvalue > 0.01
    assert all((each <= 0.05).mean() <= 0.05 + error for each in discrete)


def test_a_shift_is_found_and_one_in_the_other_direction_is_not():
    values = generator().normal(0.3, 0.2, 64) + generator(1).normal(size=(20, 64))
    found = specification_test(values, rng=generator(2))
    assert found.p_median == 0.001 and found.p_significant == 0.001
    assert found.claimed > 0.9 and found.significant > 0.3 and found.p_claimed == 0.001
    against = specification_test(values, direction=-1, rng=generator(2))
    assert (
        against.p_median > 0.99 and against.claimed < 0.1 and against.p_claimed > 0.99 and against.p_significant > 0.99
    )


def test_seeds_without_effect_give_no_evidence():
    found = specification_test(np.zeros((3, 30)), rng=generator())
    assert (found.median, found.claimed, found.significant) == (0, 0, 0)
    assert (found.p_median, found.p_claimed, found.p_significant) == (1, 1, 1)


def test_many_specifications_are_tested_fast():
    values = generator().normal(size=(200, 1024))
    start = time.process_time()
    specification_test(values, rng=generator())
    assert time.process_time() - start < 6  # 3 s on a core that has nothing else to do


def test_what_the_joint_test_refuses():
    with pytest.raises(ArgumentError, match="specifications, seeds"):
        specification_test(np.zeros(3), rng=generator())
    with pytest.raises(ArgumentError, match="direction=0"):
        specification_test(np.zeros((3, 3)), direction=0, rng=generator())
    with pytest.raises(ArgumentError, match="two seeds"):
        specification_test(np.full((3, 3), np.nan), rng=generator())
