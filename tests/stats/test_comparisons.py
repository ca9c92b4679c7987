# SPDX-License-Identifier: Apache-2.0
"""Comparisons against enumeration, formulas by hand and simulated errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxmyopia.stats.comparisons import cliffs_delta, compare_paired, equivalence_test, holm, sign_flip_test


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def ends(interval) -> tuple[float, float]:
    return interval.low, interval.high


def enumerated_p(difference: np.ndarray) -> float:
    """The share of all sign patterns whose mean is at least as far from zero as the one seen."""
    signs = np.array(list(itertools.product([-1, 1], repeat=difference.size)))
    return float(np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9))


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("whole", [False, True])
def test_sign_flips_are_enumerated_for_few_seeds(shift, whole):
    difference = generator().normal(shift, 1, 8)
    difference = np.rint(2 * difference) if whole else difference
    assert sign_flip_test(difference, rng=generator()) == pytest.approx(enumerated_p(difference))


def test_sign_flips_are_sampled_for_more_seeds():
    difference = generator().normal(0.4, 1, 14)
    expected = enumerated_p(difference)
    assert 0.01 < expected < 0.2
    error = np.sqrt(expected * (1 - expected) / 4999)
    assert sign_flip_test(difference, rng=generator()) == pytest.approx(expected, abs=4 * error)


def test_sign_flips_where_nothing_can_be_said():
    assert sign_flip_test(np.zeros(20), rng=generator()) == 1
    assert sign_flip_test(np.array([3.0]), rng=generator()) == 1
    assert np.isnan(sign_flip_test(np.array([np.nan, 1, 2, 3]), rng=generator()))


def test_a_paired_comparison_counts_wins_and_ties():
    a, b = np.array([3.0, 2, 2, 5, 1, 4, 4, 4]), np.array([1.0, 2, 3, 1, 1, 1, 1, 1])
    compared = compare_paired(a, b, rng=generator(), resamples=999)
    assert compared.difference.estimate == pytest.approx(14 / 8)
    assert compared.superiority.estimate == pytest.approx((5 + 2 / 2) / 8)
    assert (compared.unequal.estimate, compared.unequal.method) == (6 / 8, "Wilson")
    assert compared.p_value == pytest.approx(enumerated_p(a - b))
    for interval in (compared.difference, compared.superiority, compared.unequal):
        assert interval.n == 8 and interval.low < interval.estimate < interval.high


def test_a_paired_comparison_turns_its_sign_when_swapped():
    rng = generator()
    a, b = rng.poisson(3, 30), rng.poisson(2, 30)
    one, other = compare_paired(a, b, rng=generator()), compare_paired(b, a, rng=generator())
    assert one.difference.estimate == -other.difference.estimate
    assert ends(one.difference) == pytest.approx((-other.difference.high, -other.difference.low))
    assert ends(one.superiority) == pytest.approx((1 - other.superiority.high, 1 - other.superiority.low))
    assert one.superiority.estimate > 0.5 > other.superiority.estimate
    assert one.unequal == other.unequal
    assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_a_paired_comparison_refuses_what_is_not_paired(shapes):
    with pytest.raises(ValueError, match=r"^a, b=.* is not allowed: two equal shapes \(S,\), S >= 1$"):
        compare_paired(*(np.ones(shape) for shape in shapes), rng=generator())


def test_one_pair_can_be_compared():
    compared = compare_paired(np.array([2.0]), np.array([1.0]), rng=generator())
    assert (compared.difference.estimate, compared.difference.n, compared.p_value) == (1, 1, 1)
    assert np.isnan(compared.difference.low) and np.isnan(compared.superiority.low)


SAMPLE = st.lists(st.integers(0, 5), min_size=2, max_size=9).map(lambda values: np.array(values, float))


@settings(max_examples=50)
@given(SAMPLE, SAMPLE)
def test_cliffs_delta_by_counting_pairs(a, b):
    above, below = a[:, None] > b, a[:, None] < b
    delta = cliffs_delta(a, b, rng=generator(), resamples=49)
    assert delta.estimate == pytest.approx(above.mean() - below.mean(), abs=1e-12)
    assert -1 <= delta.low <= delta.high <= 1
    assert delta.n == min(a.size, b.size)


def test_cliffs_delta_of_groups_apart_alike_and_of_other_sizes():
    few, many = np.arange(10.0), np.arange(15.0) + 20
    differing = 1 - 0.05 ** (1 / 10)  # of ten pairs of other seeds, none turned its sign
    for a, b, expected in ((many, few, 1), (few, many, -1), (0 * many + 1, 0 * few, 1)):
        delta = cliffs_delta(a, b, rng=generator(), resamples=99)
        assert (delta.estimate, delta.n) == (expected, 10)
        assert ends(delta) == pytest.approx(sorted((expected, expected * (1 - 2 * differing))))
    assert cliffs_delta(few, few, rng=generator(), resamples=99).estimate == pytest.approx(0, abs=1e-12)


def test_holm_by_hand():
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1; the last may not fall below the one before it.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.4, 0.9]), [1, 1, 1])
    np.testing.assert_allclose(holm([0.2]), [0.2])
    assert holm([]).shape == (0,)


@settings(max_examples=200)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    # Holm (1979): from the least p-value up, reject while p <= alpha / (hypotheses still standing).
    rejected = np.zeros(len(p_values), bool)
    for step, place in enumerate(np.argsort(p_values)):
        if p_values[place] * (len(p_values) - step) > alpha:
            break
        rejected[place] = True
    np.testing.assert_array_equal(holm(p_values) <= alpha, rejected)


@pytest.mark.parametrize("shift", [-0.6, 0.0, 0.3, 0.9])
def test_equivalence_by_the_formula(shift):
    difference, margin = generator().normal(shift, 1, 25), 0.5
    error = difference.std(ddof=1) / 5
    above = stats.t.sf((difference.mean() + margin) / error, 24)
    below = stats.t.cdf((difference.mean() - margin) / error, 24)
    test = equivalence_test(difference, margin, rng=generator(), resamples=999)
    assert test.p_value == pytest.approx(max(above, below))
    assert test.margin == margin
    assert test.difference.low < test.inner.low < difference.mean() < test.inner.high < test.difference.high
    assert (test.difference.level, test.inner.level) == (0.95, 0.9)


def test_equivalence_is_found_and_needs_both_sides():
    noise = generator().normal(0, 1, 100)
    noise -= noise.mean()
    assert equivalence_test(noise, 0.5, rng=generator()).equivalent
    assert not equivalence_test(noise, 0.1, rng=generator()).equivalent
    for shift in (-0.45, 0.45, -2, 2):
        assert not equivalence_test(noise + shift, 0.5, rng=generator()).equivalent


def test_equivalence_needs_the_interval_too():
    # One far value in twenty: by t, whose interval is symmetric, the mean is within; by BCa it may lie beyond.
    difference = np.append(np.linspace(-0.05, 0.05, 19), 1.5)
    test = equivalence_test(difference, 0.21, rng=generator())
    assert test.p_value < 0.05 and test.inner.high > 0.21 and not test.equivalent


@pytest.mark.parametrize(
    ("difference", "range", "p_value"),
    [
        ([0.0] * 24, (-1, 1), 0.5**24),  # half of the seeds would have to differ, by 1
        ([0.0] * 24, (-2, 2), 0.75**24),
        ([0.0] * 24, (-0.4, 0.4), 0),  # no difference that there can be is at the margin
        ([0.3] * 24, (-1, 1), (1 - 0.2 / 0.7) ** 24),
        ([0.3] * 8, (-1, 1), (1 - 0.2 / 0.7) ** 8),  # 0.068: too few seeds
        ([0.0] * 24, None, 1),
        ([0.5] * 20, (-1, 1), 1),
        ([-0.7] * 20, (-1, 1), 1),
        ([0.1], (-1, 1), 1),
        ([], (-1, 1), 1),
        ([0.0] * 24 + [np.inf], (-1, 1), np.nan),
    ],
)
def test_equivalence_without_variation(difference, range, p_value):
    test = equivalence_test(np.array(difference), 0.5, rng=generator(), range=range)
    assert test.p_value == pytest.approx(p_value, nan_ok=True)
    assert test.equivalent == (p_value < 0.05)


@pytest.mark.parametrize("range", [(-2, 2), None])
@pytest.mark.parametrize("n", [24, 64])
def test_rare_differences_are_not_taken_for_none(n, range):
    # One seed in ten differs by 2, so that the mean lies at a margin of 0.2; of samples of 24, 8 % hold zeros alone,
    # and all of these were found equivalent. What is expected is summed over how many differ.
    wrong = 0.0
    for differing in np.arange(n // 3):
        sample = np.repeat([2.0, 0.0], [differing, n - differing])
        test = equivalence_test(sample, 0.2, rng=generator(), resamples=199, range=range)
        wrong += stats.binom.pmf(differing, n, 0.1) * test.equivalent
    print(f"found equivalent at the margin, {n} seeds: {wrong:.3f}")
    assert wrong <= 0.05


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan")])
def test_equivalence_refuses_a_margin_that_is_not_positive(margin):
    with pytest.raises(ValueError, match=r"^margin=.* is not allowed: must be positive$"):
        equivalence_test(np.arange(5.0), margin, rng=generator())


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("data", ["normal", "counts"])
def test_equivalence_is_wrongly_found_at_the_margin_in_at_most_5_percent(data, side):
    rng, n, draws = np.random.default_rng(11), 64, 5000
    if data == "normal":
        differences = rng.normal(side * 0.5, 1, (draws, n))
    else:
        differences = side * (rng.poisson(1.5, (draws, n)) - rng.poisson(1.0, (draws, n)))
    # Only where both one-sided t tests reject can the answer be yes; the others need no bootstrap.
    t = (0.5 - side * differences.mean(axis=1)) / differences.std(axis=1, ddof=1) * np.sqrt(n)
    near = np.flatnonzero(t > stats.t.ppf(0.94, n - 1))
    wrong = sum(equivalence_test(differences[row], 0.5, rng=rng, resamples=199).equivalent for row in near)
    assert wrong / draws <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)
    assert wrong / draws >= 0.03  # a test that never says yes would pass, too
