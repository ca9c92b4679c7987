# SPDX-License-Identifier: Apache-2.0
"""Rules of where a claim holds, against planted ones and an enumeration of all rules by plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.regions import headline, separate

RATES, SCALES = [0.01, 0.03, 0.1, 0.3, 1.0], [0.003, 0.01, 0.03, 0.1, 0.3]
LOSSES = ["square", "cross_entropy", "hinge"]


def grid(**values) -> list[dict]:
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def told(rule, conditions):
    """The text of the rule that is found where a planted one decides, which it must repeat."""
    found = separate(conditions, [rule(**at) for at in conditions])
    assert found is not None and found.misplaced == 0
    assert [found.predicts(at) for at in conditions] == [rule(**at) for at in conditions]
    return found.text


def test_rules_are_told_in_plain_words():
    both = grid(learning_rate=RATES, init_scale=SCALES)
    rate = "learning_rate is at least 0.1"
    assert told(lambda learning_rate, init_scale: learning_rate >= 0.1, both) == rate
    assert told(lambda learning_rate, init_scale: init_scale <= 0.03, both) == "init_scale is at most 0.03"
    conjunction = lambda learning_rate, init_scale: learning_rate >= 0.1 and init_scale <= 0.03
    assert told(conjunction, both) == f"init_scale is at most 0.03 and {rate}"
    disjunction = lambda learning_rate, init_scale: learning_rate >= 0.3 or init_scale <= 0.01
    assert told(disjunction, both) == "init_scale is at most 0.01 or learning_rate is at least 0.3"
    ratio = lambda learning_rate, init_scale: learning_rate >= 0.5 * init_scale
    assert told(ratio, both) == "learning_rate is at least 0.58 times init_scale"  # sqrt(1/3), between 1/3 and 1
    losses = grid(loss=LOSSES, rank=[1, 2, 4, 8])
    assert told(lambda loss, rank: loss == "cross_entropy", losses) == "loss is cross_entropy"
    assert told(lambda loss, rank: loss != "hinge", losses) == "loss is not hinge"
    mixed = told(lambda loss, rank: loss == "hinge" and rank >= 4, losses)
    assert mixed == "loss is hinge and rank is at least 4"


def test_a_ratio_is_told_by_two_digits_that_still_separate():
    conditions = [{"x": x, "y": x / each} for x in (1.0, 2.0, 4.0) for each in (0.25, 0.9991, 0.9993, 3.0)]
    found = separate(conditions, [at["x"] / at["y"] > 0.9992 for at in conditions])
    assert (found.text, found.misplaced) == ("x is at least 0.9992 times y", 0)
    half = [{"x": x, "y": y} for x in (0.1, 0.3, 0.7) for y in (0.1, 0.3, 0.7)]
    assert separate(half, [at["x"] >= at["y"] for at in half]).text == "x is at least 0.65 times y"


def test_there_is_no_rule_where_there_is_nothing_to_separate():
    conditions = grid(x=[1, 2, 3], y=[1, 2, 3])
    assert separate(conditions, [True] * 9) is None and separate(conditions, [False] * 9) is None
    assert separate([], []) is None
    assert separate([{}, {}], [True, False]) is None
    crossed = grid(x=["a", "b"], y=["a", "b"])
    assert separate(crossed, [at["x"] == at["y"] for at in crossed]) is None
    with pytest.raises(ArgumentError, match="one a condition"):
        separate(conditions, [True])


def test_a_second_setting_must_explain_two_conditions_and_a_twentieth_of_them():
    corner = grid(x=[1, 2, 3], y=[1, 2, 3])
    assert separate(corner, [at["x"] == at["y"] == 3 for at in corner]) is None  # one better than "nowhere"
    stairs = lambda few: [at["x"] >= 3 and not (at["x"] == 3 and at["y"] <= few) for at in conditions]
    conditions = grid(x=[1, 2, 3, 4], y=list(range(1, 16)))  # 60: at least three
    assert separate(conditions, stairs(2)).text == "x is at least 3"
    assert separate(conditions, stairs(2)).misplaced == 2
    band = [at["x"] >= 3 and at["y"] <= 13 for at in conditions]
    assert separate(conditions, band).text == "x is at least 3 and y is at most 13"  # four better


def test_conditions_may_lack_a_setting():
    conditions = [{"optimizer": "sgd"}] * 3 + [{"optimizer": "adam", "beta": each} for each in (0.5, 0.9, 0.99)]
    found = separate(conditions, [False, False, False, False, True, True])
    assert found.text == "beta is at least 0.9" and not found.predicts({"optimizer": "sgd"})
    found = separate(conditions, [False] * 3 + [True] * 3)
    assert found.text == "beta is at least 0.5"
    assert separate([{"on": True}, {"on": False}], [True, False]).text == "on is True"


def bound(name, values):
    """Every bound on one setting, as functions."""
    for value in values:
        if isinstance(value, str):
            yield lambda at, v=value: at[name] == v
            yield lambda at, v=value: at[name] != v
        else:
            yield lambda at, v=value: at[name] >= v
            yield lambda at, v=value: at[name] <= v


def fewest_misplaced(conditions, holds) -> tuple[int, int]:
    """By the best rule on one setting or none, and by the best on two: by plain loops over all of them."""
    missed = lambda rule: sum(bool(rule(at)) != wanted for at, wanted in zip(conditions, holds, strict=True))
    values = {name: {at[name] for at in conditions} for name in ("x", "y")}
    one = {name: list(bound(name, values[name])) for name in values}
    simple = min(map(missed, [lambda at: True, lambda at: False, *one["x"], *one["y"]]))
    pairs = list(itertools.product(one["x"], one["y"]))
    double = [missed(lambda at, a=a, b=b: a(at) and b(at)) for a, b in pairs]
    double += [missed(lambda at, a=a, b=b: a(at) or b(at)) for a, b in pairs]
    if not any(isinstance(value, str) for each in values.values() for value in each):
        ratios = sorted({at["x"] / at["y"] for at in conditions})
        for c in (math.sqrt(a * b) for a, b in itertools.pairwise(ratios) if b > a * (1 + 1e-6)):
            double += [missed(lambda at, c=c: at["x"] >= c * at["y"]), missed(lambda at, c=c: at["x"] <= c * at["y"])]
    return simple, min(double)


NUMBERS = st.lists(st.sampled_from([0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0]), min_size=2, max_size=6, unique=True)
VALUES = st.one_of(NUMBERS, st.lists(st.sampled_from(LOSSES), min_size=2, max_size=3, unique=True))


@st.composite
def planted(draw):
    """Conditions on a grid, and which of them meet a rule drawn at random; whether it is on two settings."""
    x, y = draw(VALUES), draw(VALUES)
    conditions = grid(x=x, y=y)
    a, b = draw(st.sampled_from(list(bound("x", x)))), draw(st.sampled_from(list(bound("y", y))))
    kinds = ["x", "y", "and", "or"] + ([] if isinstance(x[0], str) or isinstance(y[0], str) else ["ratio"])
    kind, c = draw(st.sampled_from(kinds)), draw(st.sampled_from([0.02, 0.5, 1.7, 25]))
    rules = {
        "x": a, "y": b, "and": lambda at: a(at) and b(at), "or": lambda at: a(at) or b(at),
        "ratio": lambda at: at["x"] >= c * at["y"],
    }  # fmt: skip
    return conditions, [bool(rules[kind](at)) for at in conditions], kind not in "xy"


def gain(conditions) -> int:
    return max(2, math.ceil(len(conditions) / 20))


@given(planted())
@settings(max_examples=200)
def test_a_planted_rule_is_found_again(case):
    conditions, holds, double = case
    found = separate(conditions, holds)
    if len(set(holds)) == 1:
        assert found is None
        return
    simple, _ = fewest_misplaced(conditions, holds)
    if double and simple < gain(conditions):  # too little to be told by two settings
        assert (found.misplaced if found else min(sum(holds), holds.count(False))) == simple
        return
    assert found.misplaced == 0 and [found.predicts(at) for at in conditions] == holds
    assert (len(found.settings) == 1) == (simple == 0)


@given(planted(), st.integers(0, 10**6))
@settings(max_examples=200)
def test_noise_misplaces_no_more_than_it_flipped_and_no_rule_is_better(case, seed):
    conditions, holds, double = case
    rng = np.random.default_rng(seed)
    flipped = rng.random(len(holds)) < 0.05
    noisy = [bool(a != b) for a, b in zip(holds, flipped, strict=True)]
    found = separate(conditions, noisy)
    least = min(sum(noisy), noisy.count(False))
    misplaced = found.misplaced if found else least
    assert misplaced <= flipped.sum() + (gain(conditions) - 1 if double else 0)
    simple, best = fewest_misplaced(conditions, noisy)
    assert misplaced == (best if best <= simple - gain(conditions) else simple)
    assert (found is None) == (misplaced == least) or least == 0
    if found:
        wrong = sum(found.predicts(at) != wanted for at, wanted in zip(conditions, noisy, strict=True))
        assert wrong == found.misplaced < least


@given(planted(), st.randoms(use_true_random=False))
def test_the_order_of_conditions_and_of_their_settings_makes_no_difference(case, random):
    conditions, holds, _ = case
    order = random.sample(range(len(conditions)), len(conditions))
    turned = [dict(reversed(conditions[k].items())) for k in order]
    assert separate(turned, [holds[k] for k in order]) == separate(conditions, holds)


def test_the_headline_says_where():
    conditions = grid(learning_rate=RATES, init_scale=SCALES)
    verdicts = ["supported" if at["learning_rate"] >= 0.5 * at["init_scale"] else "contradicted" for at in conditions]
    rule = "where learning_rate is at least 0.58 times init_scale"
    assert headline(verdicts, conditions) == f"holds in 19 of 25 conditions: {rule}"
    verdicts[-1] = "no difference"  # 1 over 0.3
    assert headline(verdicts, conditions) == f"holds in 18 of 25 conditions: {rule} (1 misplaced)"
    verdicts[:2] = ["inconclusive", "not applicable"]
    expected = f"holds in 16 of 23 conditions that were decided (1 not applicable, 1 undecided): {rule} (1 misplaced)"
    assert headline(verdicts, conditions) == expected


def test_headlines_where_the_claim_holds_everywhere_or_nowhere():
    twelve = grid(x=[1, 2, 3], y=[1, 2, 3, 4])
    assert headline(["supported"] * 12, twelve) == "holds in all 12 conditions"
    verdicts = ["no difference"] * 5 + ["contradicted"] * 7
    against = "contradicted in 7, no difference in 5"
    assert headline(verdicts, twelve) == f"holds in none of 12 conditions: {against}"
    verdicts[-2:] = ["inconclusive"] * 2
    among = "10 conditions that were decided (2 undecided)"
    assert headline(verdicts, twelve) == f"holds in none of {among}: contradicted in 5, no difference in 5"
    one = "holds in the one condition that was decided (1 undecided)"
    assert headline(["inconclusive", "supported"], twelve[:2]) == one
    assert headline(["supported"] * 2, twelve[:2]) == "holds in both conditions"
    undecided = ["inconclusive", "inconclusive", "not judged"]
    assert headline(undecided, twelve[:3]) == "decided in none of 3 conditions: 2 undecided, 1 not judged"


def test_headlines_without_a_rule():
    nine = grid(x=[1, 2, 3], y=["a", "b", "c"])
    verdicts = ["real but small"] * 9
    verdicts[4] = "supported"
    assert headline(verdicts, nine) == "holds in 1 of 9 conditions: only where x is 2 and y is b"
    verdicts = ["supported"] * 9
    verdicts[4] = "contradicted"
    assert headline(verdicts, nine) == "holds in 8 of 9 conditions: everywhere but where x is 2 and y is b"
    crossed = grid(x=["a", "b"], y=["a", "b"])
    verdicts = ["supported", "contradicted", "contradicted", "supported"]
    assert headline(verdicts, crossed) == "holds in 2 of 4 conditions: no rule on one or two settings says where"
    assert headline(["supported", "contradicted"], [{}, {}]).endswith("no rule on one or two settings says where")


def test_headlines_of_one_condition():
    expected = {
        "supported": "holds",
        "contradicted": "does not hold: contradicted",
        "no difference": "does not hold: no difference",
        "real but small": "does not hold: real but small",
        "depends on the threshold": "does not hold: it depends on the threshold",
        "inconclusive": "undecided",
        "not applicable": "not applicable",
        "not judged": "not judged",
    }
    assert {verdict: headline([verdict], [{}]) for verdict in expected} == expected
