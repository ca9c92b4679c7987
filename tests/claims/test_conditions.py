# SPDX-License-Identifier: Apache-2.0
"""Claims over conditions: what makes one, the correction for their number, planted truth, and controls."""

import collections
import itertools

import numpy as np
import pytest
from scipy import stats

import jaxmyopia as jm
from jaxmyopia.claims.conditions import RATE, corrected
from jaxmyopia.claims.controls import copies, planted
from jaxmyopia.measures import Derived
from jaxmyopia.stats.table import Trials

SCALES, RATES = (0.01, 0.03, 0.1, 0.3, 1.0), (0.001, 0.01, 0.1, 1.0)


def table(score, *, seeds=48, optimizers=("sgd",), scales=SCALES, rates=RATES) -> Trials:
    """`score(seed, optimizer, scale, rate)` at every combination."""
    combinations = list(itertools.product(optimizers, scales, rates))
    seed = np.tile(np.arange(seeds), len(combinations))
    optimizer, scale, rate = (np.repeat(np.array(column), seeds) for column in zip(*combinations, strict=True))
    columns = {"seed": seed, "optimizer": optimizer.astype(object), "init_scale": scale, "learning_rate": rate}
    columns |= {"score": np.asarray(score(seed, optimizer, scale, rate), float), "diverged": np.zeros(len(seed), bool)}
    return Trials(columns, (("optimizer", "init_scale", "learning_rate"),))


def region(scale, rate) -> np.ndarray:
    return (scale <= 0.1) & (rate >= 0.01)


@jm.claim("It shows.")
def it_shows(trials):
    return jm.share(trials, "score", lambda score: score > 0).above(0.5)


@jm.claim("Adam's is larger.")
def adam_is_larger(trials):
    return jm.paired(trials.where(optimizer="adam"), trials.where(optimizer="sgd"), "score").above(0, least=0.1)


def test_each_combination_of_the_settings_that_vary_is_a_condition():
    judged = it_shows.judge(table(lambda seed, optimizer, scale, rate: region(scale, rate)))
    assert len(judged.evidence) == 20 and judged.verdict == "depends on the condition"
    assert judged.conditions.settings == ("init_scale", "learning_rate")
    assert judged.conditions.verdicts == {"supported": 9, "contradicted": 11}
    for piece in judged.evidence:
        assert (piece.verdict == "supported") == region(piece.condition["init_scale"], piece.condition["learning_rate"])
        assert piece.interval.n == 48


def test_a_setting_that_tells_sides_apart_or_is_averaged_makes_none():
    trials = table(
        lambda seed, optimizer, scale, rate: (optimizer == "adam") * (1 + seed % 3), optimizers=("sgd", "adam")
    )
    assert len(adam_is_larger.judge(trials).evidence) == 20
    averaged = jm.claim("Adam's is larger.", over=("init_scale",))(adam_is_larger.pieces).judge(trials)
    assert [set(piece.condition) for piece in averaged.evidence] == [{"learning_rate"}] * 4
    one = jm.claim("Adam's is larger.", over=("init_scale", "learning_rate"))(adam_is_larger.pieces).judge(trials)
    assert one.verdict == "supported" and len(one.evidence) == 1 and one.evidence[0].condition == {}


def test_definitions_that_a_measure_calls_conditions_are_some():
    share = Derived("late", lambda rows, after, least: rows.values("score") > least * after, range=(0, 1),
                    conditions=("after",), after=(1.0, 0.5), least=(0.9, 0.8))  # fmt: skip
    trials = table(lambda seed, *_: np.full(len(seed), 0.7), scales=(1.0,), rates=(0.1,))
    judged = jm.claim("It is late.")(lambda t: jm.share(t, share, lambda x: x == 1).above(0.5)).judge(trials)
    assert [(piece.condition, piece.verdict) for piece in judged.evidence] == [
        ({"after": 1.0}, "contradicted"), ({"after": 0.5}, "supported")
    ]  # fmt: skip
    assert [len(piece.grid) for piece in judged.evidence] == [2, 2]  # thresholds alone


def test_the_correction_is_benjamini_and_hochbergs():
    rng = np.random.default_rng(1)
    effects = np.repeat([0.0, 0.3, 0.6], 20)
    pieces = [jm.mean(_sample(rng.normal(effect, 1, 40)), "score").above(0) for effect in effects]
    found, level = corrected(pieces)
    p_values = np.array([piece.p_value for piece in pieces])
    rejected = stats.false_discovery_control(p_values) <= RATE
    assert [piece.verdict in ("supported", "contradicted") for piece in found] == rejected.tolist()
    assert level == pytest.approx(1 - RATE * rejected.sum() / len(pieces)) and 5 < rejected.sum() < 50
    assert {piece.interval.level for piece in found} == {level}


def _sample(values) -> Trials:
    rows = {"seed": np.arange(len(values)), "score": values, "diverged": np.zeros(len(values), bool)}
    return Trials(rows)


@pytest.mark.slow
def test_planted_truth_is_recovered_and_at_most_one_discovery_in_twenty_is_false():
    true = [region(scale, rate) for scale, rate in itertools.product(SCALES, RATES)]
    false, discoveries, recovered, rules, misplaced = 0, 0, 0, [], []
    for repeat in range(200):
        rng = np.random.default_rng(repeat)

        def score(seed, optimizer, scale, rate, rng=rng):
            return rng.normal(size=len(seed)) + 1.5 * region(scale, rate) * (optimizer == "adam")

        judged = jm.claim("Adam's is larger.")(
            lambda t: jm.paired(t.where(optimizer="adam"), t.where(optimizer="sgd"), "score").above(0, least=0.5)
        ).judge(table(score, seeds=80, optimizers=("sgd", "adam")))
        wrong = ("supported", "contradicted", "real but small")
        shown = np.array([piece.verdict in wrong for piece in judged.evidence])
        discoveries, false = discoveries + shown.sum(), false + (shown & ~np.array(true)).sum()
        recovered += (shown & true).sum() / sum(true) / 200
        rules.append(judged.conditions.rule)
        misplaced.append(judged.conditions.misplaced)
    named = collections.Counter(rules)
    print(f"{false} of {discoveries} discoveries false, {recovered:.1%} of the region found, {dict(named)}")
    assert false <= (0.05 + 2 * np.sqrt(0.05 * 0.95 / discoveries)) * discoveries
    assert recovered > 0.95
    planted_rule = "init_scale is at most 0.1 and learning_rate is at least 0.01"
    assert named[planted_rule] > 100 and named.most_common(1)[0][0] == planted_rule
    assert np.mean(misplaced) < 1


def test_controls_run_with_the_claim_and_a_failing_one_leaves_it_without_a_verdict():
    def larger(trials):
        return jm.paired(trials.where(optimizer="adam"), trials.where(optimizer="sgd"), "score").above(0, least=0.1)

    def score(seed, optimizer, scale, rate):
        return seed % 3 + (optimizer == "adam") * (1 + seed % 2)

    trials = table(score, optimizers=("sgd", "adam"), scales=(1.0,), rates=(0.1,))
    alike = {"two copies of SGD": lambda t: jm.paired(*copies(t.where(optimizer="sgd")), "score").above(0, least=0.1)}
    up = {"a planted excess": lambda t: larger(planted(t, score=lambda rows: (rows["optimizer"] == "adam") * 1.0))}
    judged = jm.claim("Adam's is larger.", passes=up, fails=alike)(larger).judge(trials)
    assert judged.verdict == "supported"
    assert {each.name: each.came_out for each in judged.controls} == {
        "a planted excess must pass": "undecided",  # all seeds show the same excess, and nothing bounds the others
        "two copies of SGD must fail": "held",
    }
    wrong = jm.claim("Adam's is larger.", fails=up | {"itself": larger})(larger).judge(trials)
    assert wrong.verdict == "not judged" and "itself must fail" in wrong.headline
    assert {each.name: each.came_out for each in wrong.controls}["itself must fail"] == "failed"


def test_copies_are_two_sides_of_other_seeds():
    even, odd = copies(_sample(np.arange(21.0)))
    assert len(even) == len(odd) + 1 == 11 and even["score"].tolist() == list(range(0, 21, 2))
    assert (even["seed"][:10] == odd["seed"]).all()
    assert jm.paired(even, odd, "score").above(0).interval.estimate == -1
