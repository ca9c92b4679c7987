# SPDX-License-Identifier: Apache-2.0
"""Claims about curves over a setting: planted ones, what is left out or lost, conditions, premises and stopping."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.text import claims_json, claims_text
from jaxmyopia.measures import Derived
from jaxmyopia.stats.bands import SHAPES, of_shape
from jaxmyopia.stats.table import NoTrials, Trials

SEEDS, WIDTHS = 60, (2, 4, 6, 8, 12, 16)
VALLEY, EDGE = [0.0, 0.3, 0.05, 0.35, 0.3, 0.1], [0.0, 0.3, 0.05, 0.1, 0.3, 0.35]
MONOTONE = [0.0, 0.1, 0.2, 0.3, 0.35, 0.4]
TOTAL = Derived("total", lambda trials, factor: factor * trials.values("score"), factor=(1.0, 0.9, 1.1))


def table(*curves, spread=0.1, seeds=SEEDS, anytime=False, widths=WIDTHS, **columns) -> Trials:
    """Seeds around a curve at every width; of several curves, one a scale 0, 1, ...; rows in no order of the seeds."""
    rng = np.random.default_rng(3)
    shape = (len(curves), len(widths), seeds)
    score = np.array(curves)[:, :, None] + spread * rng.normal(size=shape) + rng.normal(size=(len(curves), 1, seeds))
    scale, width, seed = (each.ravel() for each in np.indices(shape))
    made = {"seed": seed, "hidden": np.array(widths)[width], "scale": scale.astype(float), "score": score.ravel()}
    made |= {"diverged": np.zeros(len(seed), bool)} | {name: make(made) for name, make in columns.items()}
    return Trials(made, (("hidden", "scale"),), anytime=anytime)


def changed(trials, where, **values) -> Trials:
    columns = {name: trials.columns[name].copy() for name in trials.columns}
    for name, value in values.items():
        columns[name][where(columns)] = value
    return dataclasses.replace(trials, columns=columns)


def valley(trials, shape="valley", **how):
    return jm.along(trials, "score", "hidden", shape, **how).above(0.02)


def test_a_planted_valley_is_found_where_it_lies_and_a_monotone_curve_has_none():
    piece = valley(table(VALLEY))
    assert piece.verdict == "supported" and piece.interval.method == "simultaneous band"
    assert piece.statistic == "deepest valley of mean score along hidden"
    assert piece.interval.low < 0.25 < piece.interval.high and piece.interval.n == SEEDS
    assert piece.details["lies at"] == {"first peak": 4.0, "valley": 6.0, "second peak": 8.0}
    assert valley(table(MONOTONE)).verdict == "contradicted"
    assert jm.along(table(MONOTONE), "score", "hidden", "fall").below(0.1).verdict == "supported"
    assert jm.along(table(MONOTONE), "score", "hidden", "rise").above(0.3).verdict == "supported"


def test_a_second_peak_at_the_edge_is_a_dip_and_no_valley():
    assert valley(table(EDGE)).verdict in ("inconclusive", "contradicted")
    assert valley(table(EDGE), "dip").verdict == "supported"


def test_the_details_hold_the_curve_with_a_band_at_all_points():
    piece = valley(table(VALLEY))
    found = json.loads(json.dumps(piece.details))
    assert found["at"] == list(WIDTHS) and found["axis"] == "hidden" and found["level of the band"] == 0.95
    score = table(VALLEY).columns["score"].reshape(len(WIDTHS), SEEDS)
    assert found["mean"] == pytest.approx(score.mean(axis=1).tolist())
    alone = [jm.mean(table(VALLEY).where(hidden=width), "score").within(9).interval for width in WIDTHS]
    for low, high, each in zip(found["low"], found["high"], alone, strict=True):
        assert low <= each.low and each.high <= high  # seeds' levels are shared: little is paid for six points


def test_prevalence_is_that_of_the_seeds_own_curves():
    trials = table(VALLEY, spread=0.2)
    score = trials.columns["score"].reshape(len(WIDTHS), SEEDS).T
    own = [SHAPES["valley"].of(row[None, :] - row[:, None]) for row in score]
    assert valley(trials).prevalence.estimate == np.mean(np.array(own) > 0.02)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_a_constant_a_seed_changes_nothing_and_backwards_a_rise_is_a_fall(root):
    trials = table(VALLEY)
    shift = np.random.default_rng(root).normal(size=SEEDS)[trials.columns["seed"]]
    moved = dataclasses.replace(trials, columns=trials.columns | {"score": trials.columns["score"] + 9 * shift})
    back = dataclasses.replace(moved, columns=moved.columns | {"hidden": -moved.columns["hidden"]})
    first, again = valley(trials), valley(moved)
    assert (again.interval.low, again.interval.high) == pytest.approx((first.interval.low, first.interval.high))
    rise, fall = (jm.along(each, "score", "hidden", name).above(0) for each, name in ((moved, "rise"), (back, "fall")))
    assert rise.interval.estimate == pytest.approx(fall.interval.estimate)
    assert (rise.interval.low, rise.interval.high) == pytest.approx((fall.interval.low, fall.interval.high), abs=0.01)
    assert rise.details["lies at"] == {"from": 2.0, "to": 8.0}
    assert fall.details["lies at"] == {"from": -8.0, "to": -2.0}


def test_a_point_that_is_undefined_is_left_out_and_a_seed_that_lacks_another_is_lost():
    trials = changed(table(MONOTONE), lambda c: (c["hidden"] == 2) & (c["seed"] % 10 == 0), score=np.nan)
    trials = changed(trials, lambda c: (c["hidden"] == 8) & (c["seed"] == 3), score=np.nan)
    trials = changed(trials, lambda c: (c["hidden"] == 6) & (c["seed"] == 4), diverged=True)
    piece = jm.along(trials, "score", "hidden", "rise").above(0.1)
    assert piece.details["at"] == list(WIDTHS[1:]) and piece.diverged == 2 and piece.interval.n == SEEDS - 2
    assert piece.details["left out, by the share without a value"] == [[2.0, 0.1]]
    assert piece.verdict == "supported" and piece.details["lies at"]["from"] == 4
    few = valley(changed(trials, lambda c: c["hidden"] == 4, score=np.nan))
    assert few.verdict == "inconclusive" and few.reason == "the curve is defined at 4 of 6 points, and a valley takes 5"
    # What diverged is no undefined point: it is lost, and of 60 seeds three may be.
    gone = valley(changed(table(VALLEY), lambda c: (c["hidden"] == 6) & (c["seed"] < 4), diverged=True))
    assert gone.verdict == "not judged" and gone.diverged == 4


def test_seeds_that_were_not_run_at_a_point_are_not_lost():
    trials = table(VALLEY)
    trials = trials.keep((trials.columns["hidden"] != 8) | (trials.columns["seed"] >= 20))
    piece = valley(trials)
    assert piece.interval.n == 40 and piece.diverged == 0 and piece.verdict == "supported"


def test_conditions_are_corrected_for_their_number():
    curves = [VALLEY, MONOTONE, [x / 2.5 for x in VALLEY], MONOTONE]

    @jm.claim("It dips between two peaks.")
    def dips(trials):
        return jm.along(trials, "score", "hidden", "valley").above(0.02)

    judged = dips.judge(table(*curves))
    verdicts = {piece.condition["scale"]: piece.verdict for piece in judged.evidence}
    assert verdicts[0.0] == "supported" and verdicts[1.0] == verdicts[3.0] == "contradicted"
    level = judged.conditions.level
    assert level == pytest.approx(1 - 0.05 * 3 / 4) or level == 0.95
    third = table(*curves).where(scale=2.0)
    score = third.columns["score"].reshape(len(WIDTHS), SEEDS).T
    wanted = of_shape(score, SHAPES["valley"]).interval(level)
    found = next(piece for piece in judged.evidence if piece.condition["scale"] == 2).interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert judged.specifications is None  # seeds' own valleys are no sample of that of the mean curve
    assert "holds in" in claims_text([judged]) and json.dumps(claims_json([judged]))
    averaged = dataclasses.replace(dips, over=("scale",)).judge(table(*curves))
    assert [piece.condition for piece in averaged.evidence] == [{}]
    assert averaged.evidence[0].details["mean"] == pytest.approx(
        table(*curves).columns["score"].reshape(4, 6, 60).mean(axis=(0, 2)).tolist()
    )


def test_a_grid_of_definitions_is_asked_throughout():
    piece = jm.along(table(VALLEY), TOTAL, "hidden", "valley").above(0.02)
    assert [point.thresholds["factor"] for point in piece.grid] == [1.0, 0.9, 1.1] and piece.holds == 1
    estimates = [point.estimate for point in piece.grid]
    assert np.array(estimates) / estimates[0] == pytest.approx([1, 0.9, 1.1])


def test_definitions_that_are_conditions_are_judged_apart():
    signed = Derived(
        "signed", lambda trials, sign: sign * trials.values("score"), conditions=("sign",), sign=(1.0, -1.0)
    )
    claim = jm.claim("It rises.")(lambda rows: jm.along(rows, signed, "hidden", "rise").above(0.3))
    found = {
        (each.condition["sign"], each.condition["scale"]): each
        for each in claim.judge(table(MONOTONE, VALLEY)).evidence
    }
    assert len(found) == 4 and found[1.0, 0.0].verdict == "supported" and found[-1.0, 0.0].verdict == "contradicted"
    assert found[-1.0, 0.0].details["mean"] == [-each for each in found[1.0, 0.0].details["mean"]]


def test_a_premise_is_asked_at_each_condition_by_itself():
    rises = lambda trials: jm.along(trials, "score", "hidden", "rise").above(0.2)

    @jm.claim("Where it rises it does not fall.")
    def no_fall(trials):
        return jm.along(trials, "score", "hidden", "fall", given=rises).below(0.1)

    unclear = [0.0, 0.0, 0.0, 0.0, 0.0, 0.2]
    judged = no_fall.judge(table(MONOTONE, [0.0] * 6, VALLEY, unclear))
    found = {piece.condition["scale"]: piece for piece in judged.evidence}
    verdicts = [found[scale].verdict for scale in (0.0, 1.0, 2.0, 3.0)]
    assert verdicts == ["supported", "not applicable", "contradicted", "inconclusive"]
    assert "the premise, largest rise of mean score along hidden above 0.2, is contradicted" in found[1.0].reason
    assert "is inconclusive" in found[3.0].reason and "the premise" in claims_text([judged])
    with pytest.raises(ArgumentError, match="given='bool' is not allowed: must give evidence"):
        jm.along(table(VALLEY), "score", "hidden", "fall", given=lambda trials: True).below(0.1)


def test_whenever_one_stops_the_interval_is_wider():
    fixed, always = valley(table(VALLEY)).interval, valley(table(VALLEY, anytime=True)).interval
    assert always.low < fixed.low and fixed.high < always.high and always.estimate == fixed.estimate
    assert valley(table(VALLEY, anytime=True)).verdict == "supported"
    assert valley(table(MONOTONE, anytime=True)).verdict == "contradicted"


def test_a_known_range_bounds_what_seeds_that_are_all_alike_may_hide():
    flat = changed(table(MONOTONE), lambda c: c["seed"] >= 0, score=0.5)
    assert "no known range" in valley(flat, "rise").reason
    piece = jm.along(flat, "score", "hidden", "rise", range=(0, 1)).below(0.2)
    assert piece.verdict == "supported" and 0.05 < piece.interval.high < 0.2
    with pytest.raises(ArgumentError, match="range"):
        jm.along(table(VALLEY), "score", "hidden", "rise", range=(0, 0.1))
    with pytest.raises(ArgumentError, match="null=2 is not allowed: must lie between -1 and 1"):
        jm.along(flat, "score", "hidden", "rise", range=(0, 1)).above(2)


def test_what_is_refused():
    trials = table(VALLEY)
    with pytest.raises(ArgumentError, match="shape='peak' is not allowed: must be one of dip, fall, rise, valley"):
        jm.along(trials, "score", "hidden", "peak")
    with pytest.raises(ArgumentError, match="axis='score' is not allowed: must be a setting of the trials: hidden"):
        jm.along(trials, "score", "score", "rise")
    named = dataclasses.replace(trials, columns=trials.columns | {"hidden": trials.columns["hidden"].astype(str)})
    with pytest.raises(ArgumentError, match="must be a setting that is a number"):
        jm.along(named, "score", "hidden", "rise")
    few = trials.keep(np.isin(trials.columns["hidden"], (2, 4, 6, 8)))
    with pytest.raises(NoTrials, match="must be as many for a valley, and there are 4"):
        jm.along(few, "score", "hidden", "valley")
    claim = jm.claim("It dips.")(lambda rows: jm.along(rows, "score", "hidden", "valley").above(0))
    assert claim.judge(few).reason == "the run lacks hidden='5 values'"
    with pytest.raises(ArgumentError, match="must ask for means or shares"):
        jm.how_many(claim, trials, effect=0.1)


def test_a_curve_without_a_point_that_is_defined_decides_nothing():
    found = valley(changed(table(MONOTONE), lambda c: c["hidden"] > 0, score=np.nan))
    assert found.verdict == "inconclusive" and "mean" not in found.details
