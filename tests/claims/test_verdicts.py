# SPDX-License-Identifier: Apache-2.0
"""Every branch of the verdict rules, on intervals and samples made by hand, in both directions."""

import dataclasses
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxmyopia.claims.verdicts import MIN_SEEDS, Question, judge
from jaxmyopia.stats.estimates import of_mean, of_share
from jaxmyopia.stats.intervals import Interval

NAN = math.nan
OTHER = {"supported": "contradicted", "contradicted": "supported"}


def interval(low: float, high: float, n: int = 64) -> Interval:
    return Interval((low + high) / 2, low, high, n, "by hand")


def mirrored(found: Interval, null: float) -> Interval:
    estimate, low, high = (2 * null - x for x in (found.estimate, found.high, found.low))
    return dataclasses.replace(found, estimate=estimate, low=low, high=high)


# What an interval means for the claim "above 0 by at least 0.2", and for that of sameness within 0.2.
TABLE = [
    (0.3, 0.5, "supported", "contradicted"),
    (0.25, 9.0, "supported", "contradicted"),
    (0.1, 0.5, "inconclusive", "inconclusive"),  # real, but whether it is as large as was claimed is open
    (0.2, 0.5, "inconclusive", "inconclusive"),  # an end on the bar does not pass it
    (0.05, 0.15, "real but small", "supported"),
    (0.0, 0.15, "no difference", "supported"),  # an end on the null does not exclude it
    (-0.1, 0.15, "no difference", "supported"),
    (0.0, 0.0, "no difference", "supported"),
    (-0.2, 0.1, "inconclusive", "inconclusive"),
    (-0.1, 0.3, "inconclusive", "inconclusive"),
    (-0.5, 0.5, "inconclusive", "inconclusive"),
    (-0.1, -0.05, "no difference", "supported"),  # on the other side, but too little to count
    (-0.2, -0.05, "contradicted", "inconclusive"),
    (-0.5, -0.05, "contradicted", "inconclusive"),
    (-0.5, -0.3, "contradicted", "contradicted"),
    (NAN, NAN, "inconclusive", "inconclusive"),
]


@pytest.mark.parametrize(("low", "high", "above", "same"), TABLE)
def test_the_rules(low, high, above, same):
    found = interval(low, high)
    for null in (0.0, 0.5, -3.0):
        moved = interval(low + null, high + null)
        if 0.0 not in (low, high) and 0.2 not in (abs(low), abs(high)):  # sums round
            assert judge(Question(null, 1, 0.2), moved)[0] == above
            assert judge(Question(null, -1, 0.2), mirrored(moved, null))[0] == above
    assert judge(Question(0.0, 1, 0.2), found)[0] == above
    assert judge(Question(0.0, -1, 0.2), mirrored(found, 0.0))[0] == above
    assert judge(Question(0.0, 0, 0.2), found)[0] == same
    assert judge(Question(0.0, 0, 0.2), mirrored(found, 0.0))[0] == same


@pytest.mark.parametrize(("low", "high", "above", "same"), TABLE)
def test_few_seeds_decide_nothing_and_say_so(low, high, above, same):
    for question in (Question(0.0, 1, 0.2), Question(0.0, -1, 0.2), Question(0.0, 0, 0.2)):
        verdict, reason, _ = judge(question, interval(low, high, MIN_SEEDS - 1))
        assert verdict == "inconclusive" and f"{MIN_SEEDS - 1} seeds" in reason


@hypothesis.given(
    st.floats(-2, 2), st.floats(0, 2), st.sampled_from([0.0, 0.2]), st.sampled_from([-1, 1]), st.lists(st.floats(-2, 2))
)
def test_mirrored_samples_have_mirrored_verdicts(estimate, reach, least, direction, grid):
    main = interval(estimate - reach, estimate + reach)
    points = [interval(each - reach, each + reach) for each in grid]
    flipped = mirrored(main, 0.0), [mirrored(point, 0.0) for point in points]
    question = Question(0.0, direction, least)
    verdict, _, holds = judge(question, main, points)
    # The claim mirrored as well: the same verdict. The sample alone: the opposite, where no least effect is claimed.
    assert judge(Question(0.0, -direction, least), *flipped)[::2] == (verdict, holds)
    if not least:
        assert judge(question, *flipped)[::2] == (OTHER.get(verdict, verdict), holds)
    assert judge(Question(0.0, 0, 0.2), *flipped)[::2] == judge(Question(0.0, 0, 0.2), main, points)[::2]


@pytest.mark.parametrize(
    ("alike", "others", "decided"),
    [(4, 1, True), (8, 2, True), (7, 2, False), (3, 1, False), (5, 0, True), (0, 5, False)],
)
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.5), (-0.5, -0.3), (-0.1, 0.1), (0.05, 0.1)])
def test_80_percent_of_the_grid_must_decide_alike_whatever_it_is(alike, others, decided, low, high):
    question = Question(0.0, 1, 0.2)
    verdict = judge(question, interval(low, high))[0]
    grid = [interval(low, high)] * alike + [interval(-9.0, 9.0)] * others
    found, reason, holds = judge(question, interval(low, high), grid)
    assert found == (verdict if decided else "depends on the threshold")
    assert holds == alike / (alike + others) and f"{holds:.0%}" in reason


def test_the_grid_does_not_rescue_what_the_main_thresholds_leave_open():
    assert judge(Question(0.0, 1), interval(-0.1, 0.2), [interval(0.1, 0.2)] * 5)[0] == "inconclusive"


def test_seeds_that_are_all_equal_are_strong_evidence_of_no_difference():
    question = Question(0.0, 1, 0.1)
    for n, verdict in ((24, "inconclusive"), (1024, "no difference")):  # up to 3/n of all seeds may differ, by 2 each
        assert judge(question, of_mean(np.zeros(n), range=(-2, 2)).interval())[0] == verdict
    undefined = of_mean(np.zeros(1024)).interval()  # nothing is known of how far a seed may be off
    verdict, reason, _ = judge(question, undefined)
    assert verdict == "inconclusive" and "1024 seeds give 0" in reason


@hypothesis.given(st.integers(24, 200), st.floats(0, 1), st.floats(0.05, 0.95), st.sampled_from([-1, 0, 1]))
def test_the_p_value_is_the_level_at_which_something_is_decided(n, share, null, direction):
    found = of_share((np.arange(n) < round(share * n)).astype(float))
    question = Question(null, direction, 0.03)
    p_value = question.p_value(found)
    for slack, decided in ((1.001, True), (0.999, False)):
        alpha = min(max(p_value * slack, 1e-12), 1 - 1e-12)
        if 1e-9 < alpha < 0.999 and p_value < 1:
            assert (question.outcome(found.interval(1 - alpha)) != "inconclusive") == decided
