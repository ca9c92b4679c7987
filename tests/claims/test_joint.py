# SPDX-License-Identifier: Apache-2.0
"""Where several claims hold at once: at some of what each depends on, with all parts of its sentence."""

import itertools

import jaxmyopia as jm
from jaxmyopia.claims.conditions import combine, whole
from jaxmyopia.claims.joint import joint
from jaxmyopia.claims.judged import Judgement


def judged(name: str, verdicts: dict[tuple[tuple[str, object], ...], str]) -> Judgement:
    """A claim with a piece at each condition, whose verdict is given."""
    pieces = []
    for condition, verdict in verdicts.items():
        piece = jm.not_applicable("of a test").at("", **dict(condition))
        object.__setattr__(piece, "verdict", verdict)
        pieces.append(piece)
    return Judgement(name, name, "inconclusive", "", evidence=tuple(pieces))


def at(**condition: object) -> tuple[tuple[str, object], ...]:
    return tuple(condition.items())


def holding(found) -> dict[tuple[object, ...], set[str]]:
    return {tuple(where.values()): {name for name, held in which.items() if held} for where, which in found.conditions}


SCALES, RATES = (1.0, 0.1), (0.3, 0.03)
EVERY = judged("every", {at(scale=s): "supported" for s in SCALES})


def test_one_rate_is_enough_for_who_used_it():
    some = judged("some", {at(scale=s, rate=r): "supported" if (s, r) == (0.1, 0.03) else "contradicted"
                           for s, r in itertools.product(SCALES, RATES)})  # fmt: skip
    found = joint([EVERY, some])
    assert holding(found) == {(1.0,): {"every"}, (0.1,): {"every", "some"}}
    assert found.headline.startswith("2 claims hold at once in 1 of the 2 conditions")


def test_all_parts_of_a_sentence_must_hold_at_one_rate():
    parts = {
        at(scale=s, rate=r, shown=part): "supported" if s == 0.1 or (part == "first") == (r == 0.3) else "contradicted"
        for s, r, part in itertools.product(SCALES, RATES, ("first", "second"))
    }
    assert holding(joint([EVERY, judged("parts", parts)])) == {(1.0,): {"every"}, (0.1,): {"every", "parts"}}
    half = judged("half", {key: verdict for key, verdict in parts.items() if dict(key)["rate"] == 0.3})
    lacking = judged("half", {at(scale=0.1, shown="first"): "supported", at(scale=1.0, shown="second"): "supported"})
    assert holding(joint([EVERY, half]))[(0.1,)] == {"every", "half"}
    assert holding(joint([EVERY, lacking])) == {(1.0,): {"every"}, (0.1,): {"every"}}


def test_a_claim_that_was_not_asked_by_a_setting_holds_at_all_of_its_values():
    budgets = judged("budgets", {at(scale=s, budget=b): "supported" if b == 1 else "inconclusive"
                                 for s, b in itertools.product(SCALES, (1, 0.5))})  # fmt: skip
    assert holding(joint([EVERY, budgets])) == {(s,): {"every", "budgets"} for s in SCALES}
    found = holding(joint([EVERY, budgets], by=("scale", "budget")))
    assert found == {(s, b): {"every"} | ({"budgets"} if b == 1 else set()) for s in SCALES for b in (1, 0.5)}
    assert joint([EVERY]) is None and joint([EVERY, budgets], by=("rate",)) is None


def test_where_nothing_holds_at_once_it_says_where_most_do():
    never = judged("never", {at(scale=s): "contradicted" for s in SCALES})
    half = judged("half", {at(scale=s): "supported" if s == 0.1 else "contradicted" for s in SCALES})
    assert joint([EVERY, never, half]).headline == (
        "3 claims hold at once in 0 of the 2 conditions that they share; at most 2 do (scale 0.1)"
    )


def test_a_sentence_of_several_parts_holds_at_a_condition_only_if_all_of_them_do():
    parts = {
        at(scale=1.0, shown="first"): "supported", at(scale=1.0, shown="second"): "contradicted",
        at(scale=0.1, shown="first"): "supported", at(scale=0.1, shown="second"): "supported",
        at(scale=0.3, shown="first"): "supported", at(scale=0.3, shown="second"): "inconclusive",
        at(scale=0.5, shown="first"): "supported",
        at(scale=0.7, shown="first"): "not applicable", at(scale=0.7, shown="second"): "not applicable",
    }  # fmt: skip
    found = whole(judged("parts", parts).evidence)
    assert {each.condition["scale"]: each.verdict for each in found} == {
        1.0: "contradicted", 0.1: "supported", 0.3: "inconclusive", 0.5: "inconclusive", 0.7: "not applicable",
    }  # fmt: skip
    alone = judged("alone", {at(scale=s): "supported" for s in SCALES}).evidence
    assert whole(alone) == list(alone)
    assert combine(found)[0] == "depends on the condition" and combine(whole(alone))[0] == "supported"
