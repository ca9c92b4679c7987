# SPDX-License-Identifier: Apache-2.0
"""The kit that evidence is built with, against numbers worked by hand and scipy; and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.judged import Judgement
from jaxmyopia.claims.text import claims_json, claims_text
from jaxmyopia.engine.schema import built, fault
from jaxmyopia.measures import Derived
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.table import Trials

SEEDS = 60
LARGE = Derived("large", lambda trials, least: trials.values("score") >= least, least=(3.0, 1.0, 5.0))

OF_SCALE = Derived("of_scale", lambda trials, init_scale: trials.values("score"), conditions=("init_scale",),
                   init_scale=(1.0, 2.0))  # fmt: skip


def table(score, *, optimizer="sgd", scales=(1.0,), diverged=()) -> Trials:
    """`score(seed, scale)` of seeds 0, 1, ... at every scale."""
    seed, scale = np.tile(np.arange(SEEDS), len(scales)), np.repeat(scales, SEEDS)
    columns = {"seed": seed, "init_scale": scale, "optimizer": np.full(len(seed), optimizer, object)}
    columns |= {"score": np.broadcast_to(score(seed, scale), len(seed)).astype(float)}
    return Trials(columns | {"diverged": np.isin(seed, diverged)}, (("optimizer", "init_scale"),))


def test_a_share_is_wilsons_over_seeds_and_a_diverged_seed_shows_nothing():
    piece = jm.share(table(lambda seed, scale: seed % 4, diverged=[3, 7]), "score", lambda score: score == 3).above(0.1)
    low, high = stats.binomtest(13, SEEDS).proportion_ci(method="wilson")
    interval = piece.interval
    assert (interval.estimate, interval.low, interval.high, interval.n) == (13 / SEEDS, low, high, SEEDS)
    assert (piece.verdict, piece.diverged, piece.null, piece.direction) == ("supported", 2, 0.1, 1)


def test_a_seed_with_several_trials_counts_once():
    trials = table(lambda seed, scale: (seed % 2) * (scale > 1), scales=(1.0, 2.0))
    shares = {
        combine: jm.share(trials, "score", lambda score: score > 0, combine=combine).above(0.5).interval
        for combine in (np.mean, np.min, np.max)
    }
    assert {combine: each.n for combine, each in shares.items()} == dict.fromkeys(shares, SEEDS)
    assert [each.estimate for each in shares.values()] == [0.25, 0.0, 0.5]
    assert [each.method for each in shares.values()] == ["skewness-corrected t", "Wilson", "Wilson"]


def test_a_share_of_two_sides_looks_at_both():
    one, other = table(lambda seed, scale: seed % 2), table(lambda seed, scale: seed % 3 == 0, optimizer="adam")
    piece = jm.share((one, other), "score", lambda a, b: (a == 1) & ~(b == 1)).below(0.9)
    assert piece.interval.estimate == pytest.approx(np.mean([s % 2 == 1 and s % 3 != 0 for s in range(SEEDS)]))


def test_a_mean_is_the_bootstraps_of_the_seeds_that_did_not_diverge():
    piece = jm.mean(table(lambda seed, scale: seed**0.5, diverged=range(10)), "score").above(1)
    wanted = of_mean(np.arange(10, SEEDS) ** 0.5).interval()
    assert piece.interval == wanted and piece.diverged == 10 and piece.grid == ()
    # Of 60 seeds three may be lost: what the others would have given is not known.
    assert piece.verdict == "not judged" and "17% of trials" in piece.reason
    assert jm.mean(table(lambda seed, scale: seed, diverged=range(3)), "score").above(1).verdict == "supported"
    shown = jm.mean(table(lambda seed, scale: seed), "score", lambda score: 2 * score).above(0)
    assert shown.interval.estimate == SEEDS - 1


def test_an_infinite_value_is_a_value():
    half_time = table(lambda seed, scale: np.where(seed % 3 == 0, np.inf, 20 + seed % 2))  # a third never get there
    other = table(lambda seed, scale: np.where(seed % 3 == 0, np.inf, 10.0), optimizer="adam")
    for piece in (jm.mean(half_time, "score").above(1), jm.paired(half_time, other, "score").above(1)):
        assert piece.verdict == "inconclusive" and piece.diverged == 0
        assert piece.reason == "20 of 60 seeds give no finite value: the mean is not defined"
    early = jm.mean(half_time, "score", lambda steps: steps < 100).above(0.8)
    assert (early.interval.estimate, early.verdict) == (pytest.approx(2 / 3), "contradicted")


NEVER = Derived("never", lambda trials: 0 * trials.values("score"), range=(0, 1))
NOTHING = table(lambda seed, scale: 0 * seed), table(lambda seed, scale: 0 * seed, optimizer="adam")


@pytest.mark.parametrize(
    ("quantity", "method", "high"),
    [
        (jm.share(NOTHING[0], "score", lambda score: score > 0), "Wilson", 0.0602),
        (jm.mean(NOTHING[0], NEVER), "Wilson", 0.0602),
        (jm.mean(NOTHING[0], "score", lambda score: score > 0), "Wilson", 0.0602),
        (jm.mean(NOTHING[0], "score", range=(0, 2)), "rule of three", 2 * 0.0487),
        (jm.paired(*NOTHING, NEVER), "rule of three", 0.0487),
        (jm.paired(*NOTHING, "score", lambda score: score > 0), "rule of three", 0.0487),
        (jm.paired(*NOTHING, "score", range=(0, 2)), "rule of three", 2 * 0.0487),
        (jm.mean(NOTHING[0], "score"), "none", np.nan),  # counts: one seed in ten may show two of them
        (jm.paired(*NOTHING, "score"), "none", np.nan),
    ],
)
def test_seeds_that_all_give_the_same_are_no_certainty(quantity, method, high):
    one_sided, within = quantity.below(0.1 if method != "none" else 0.3), quantity.within(0.1)
    for piece in (one_sided, within):
        assert piece.interval.method == method or (method, piece.interval.method) == ("Wilson", "rule of three")
        assert piece.verdict == ("inconclusive" if method == "none" else "supported")
    assert one_sided.interval.high == pytest.approx(high, abs=1e-4, nan_ok=True)


def test_a_paired_difference_is_that_of_the_same_seeds_under_the_same_settings():
    noise = np.random.default_rng(0).normal(size=SEEDS)
    a = table(lambda seed, scale: 10 * noise[seed] + scale + 0.5 * (seed % 2), scales=(2.0, 1.0), optimizer="adam")
    b = table(lambda seed, scale: 10 * noise[seed] + scale, scales=(1.0, 2.0), diverged=[5])
    piece = jm.paired(a, b, "score").above(0)
    rest = np.delete(0.5 * (np.arange(SEEDS) % 2), 5)
    assert piece.interval.estimate == pytest.approx(rest.mean()) and piece.interval.n == SEEDS - 1
    assert piece.diverged == 2 and piece.verdict == "supported"  # both of its pairs
    assert piece.details["P(a > b)"] == pytest.approx((1 + rest.astype(bool).mean()) / 2)


def test_the_grid_holds_every_choice_and_the_first_decides():
    trials = table(lambda seed, scale: 2 + 3 * (seed % 2))
    piece = jm.share(trials, LARGE, lambda large: large == 1).above(0.2)
    assert [point.thresholds for point in piece.grid] == list(LARGE.choices)
    assert [point.estimate for point in piece.grid] == [0.5, 1.0, 0.5]
    assert (piece.interval.estimate, piece.holds, piece.verdict) == (0.5, 1.0, "supported")
    turned = jm.share(trials, LARGE, lambda large: large == 1).below(0.7)
    assert turned.holds == pytest.approx(2 / 3) and turned.verdict == "depends on the threshold"


def test_a_least_effect_is_not_the_null():
    trials = table(lambda seed, scale: 0.3 + 0.01 * (seed % 3))
    piece = jm.mean(trials, "score").above(0, least=0.2)
    assert (piece.null, piece.least, piece.verdict) == (0, 0.2, "supported")
    assert jm.mean(trials, "score").above(0, least=0.5).verdict == "real but small"
    assert jm.mean(trials, "score").below(0, least=0.5).verdict == "no difference"
    assert jm.mean(trials, "score").below(0, least=0.2).verdict == "contradicted"
    fallen = jm.mean(trials, "score", lambda score: -score).below(0, least=0.2)
    assert (fallen.null, fallen.verdict) == (0, "supported")


def test_a_premise_leaves_out_the_seeds_for_which_it_fails_and_without_enough_of_them_nothing_is_asked():
    one, other = table(lambda seed, scale: seed % 2), table(lambda seed, scale: seed % 3, optimizer="adam")
    shown = lambda a, b: a == 1
    piece = jm.share((one, other), "score", shown, given=lambda a, b: b < 2).above(0.1)
    assert (piece.interval.n, piece.interval.estimate) == (40, 0.5)
    rare = jm.share((one, other), "score", shown, given=lambda a, b: (b == 2) & (a == 1)).above(0.1)
    assert (rare.verdict, rare.reason) == ("not applicable", "the premise holds for 10 of 60 seeds")


def test_a_premise_that_cannot_be_told_is_none_that_holds():
    trials = table(lambda seed, scale: 1 + seed % 2, diverged=range(20))
    for premise in (lambda score: score < 9, lambda score: ~(score >= 9)):
        piece = jm.share(trials, "score", lambda score: score > 0, given=premise).above(0.5)
        assert (piece.interval.n, piece.interval.estimate) == (SEEDS - 20, 1)


def test_prevalence_and_what_five_tries_show():
    piece = jm.share(table(lambda seed, scale: seed % 4), "score", lambda score: score == 3).above(0.5)
    assert piece.prevalence.estimate == 0.25 and piece.by_chance == pytest.approx(1 - 0.75**5)
    below = jm.share(table(lambda seed, scale: seed % 4), "score", lambda score: score == 3).below(0.5)
    assert below.prevalence.estimate == 0.75


def test_sameness_is_an_interval_within_the_margin():
    a, b = (
        table(lambda seed, scale: seed % 5),
        table(lambda seed, scale: seed % 5 + 0.1 * (-1) ** seed, optimizer="adam"),
    )
    piece = jm.same(a, b, "score", 0.2)
    assert (piece.verdict, piece.least, piece.null, piece.direction) == ("supported", 0.2, 0, 0)
    assert jm.same(a, table(lambda seed, scale: seed % 5 + 1 + seed % 2, optimizer="adam"), "score", 0.2).verdict == (
        "contradicted"
    )


def test_a_verdict_does_not_depend_on_what_was_judged_before():
    trials = table(lambda seed, scale: np.sin(seed))
    first = jm.mean(trials, "score").above(0)
    jm.mean(table(lambda seed, scale: seed), "score").above(0)
    assert jm.mean(trials, "score").above(0) == first


@jm.claim("It is large.", details=lambda trials: {"most": float(trials["score"].max())})
def it_is_large(trials):
    return {"large": jm.mean(trials, "score").above(1), "small": jm.mean(trials, "score").above(100)}


def test_a_claim_names_its_pieces_and_is_not_judged_where_trials_lack():
    judged = it_is_large.judge(table(lambda seed, scale: 2 + seed % 2))
    assert (it_is_large.id, judged.verdict, judged.details) == (
        "it-is-large",
        "depends on the condition",
        {"most": 3.0},
    )
    assert [piece.name for piece in judged.evidence] == ["large", "small"]
    lacking = jm.claim("Lion is larger.")(lambda trials: jm.mean(trials.where(optimizer="lion"), "score").above(0))
    judged = lacking.judge(table(lambda seed, scale: seed))
    assert (judged.verdict, judged.reason) == ("not judged", "the run lacks optimizer='lion'")
    nothing = jm.claim("Nothing.")(lambda trials: {}).judge(table(lambda seed, scale: seed))
    assert (nothing.verdict, nothing.headline) == ("not judged", f"not judged: {nothing.reason}") and nothing.reason


def test_pieces_without_a_name_are_told_apart():
    small = lambda t: jm.mean(t, "score").below(9)
    asked = lambda t: [larger(t), small(t), small(t).at(rank=2), jm.not_applicable("no rate passes", rank=3)]
    judged = jm.claim("It is.", id="it-is")(asked).judge(table(lambda seed, scale: 1 + seed % 2))
    assert [piece.name for piece in judged.evidence] == ["mean score (1)", "mean score (2)", "rank 2", "rank 3"]
    assert jm.claim("It is.", id="it-is")(lambda t: [larger(t)]).judge(_two_scales()).evidence[0].name == (
        "it-is, init_scale 1"
    )


def test_the_text_says_why_nothing_is_decided():
    few = table(lambda seed, scale: seed)
    few = few.keep(few["seed"] < 23)
    assert "n = 23" in claims_text([_larger().judge(few)]) and "fewer than 24" in claims_text([_larger().judge(few)])
    text = " ".join(claims_text([_larger().judge(table(lambda seed, scale: 1 + 0 * seed))]).split())
    assert "the measure has no known range that bounds what others may give" in text


def test_truth_values_make_conditions_that_survive_json():
    trials = table(lambda seed, scale: (scale > 1) & (seed % 5 > 0), scales=(1.0, 2.0))
    columns = {"odd": trials.columns["init_scale"] > 1, "name": trials.columns["init_scale"]}
    trials = Trials({**trials.columns, **columns}, (("odd", "name"),))
    judged = jm.claim("It is.")(lambda t: jm.share(t, "score", lambda score: score > 0).above(0.5)).judge(trials)
    assert judged.headline == "holds in 1 of 2 conditions: where name is at least 2"
    assert [piece.name for piece in judged.evidence] == ["<lambda>, odd False, name 1", "<lambda>, odd True, name 2"]
    entries = json.loads(json.dumps(claims_json([judged])))
    assert fault(entries, list[Judgement]) is None
    (read,) = built(entries, list[Judgement])
    assert [each.condition for each in read.evidence] == [each.condition for each in judged.evidence]


def larger(trials):
    return jm.mean(trials, "score").above(0)


def _larger(**declared):
    return jm.claim("It is.", **declared)(larger)


def _shown(trials, given):
    return jm.share(trials, "score", lambda score: score > 0, given=given).above(0.5)


def _two_scales():
    return table(lambda seed, scale: seed, scales=(1.0, 2.0))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda t: jm.share(t, "scores", lambda x: x > 0).above(0.5), "column='scores'"),
        (lambda t: jm.mean(t, LARGE).within(0), "margin=0"),
        (lambda t: jm.mean(t, "score").above(0, least=-1.0), "least=-1.0"),
        (lambda t: t.values(LARGE, {"least": 7.0}), "least=7.0"),
        (lambda t: t.values(LARGE, {"most": 3.0}), "most=3.0"),
        (lambda t: t.where(optimizr="sgd"), "column='optimizr'"),
        (lambda t: jm.paired(t, _two_scales(), "score"), "init_scale="),
        (lambda t: jm.paired(t, _two_scales(), "score", apart=("init_scale",)), "paired="),
        (lambda t: jm.share(t, "score", lambda x: 3 * x).above(0.5), "show="),
        (lambda t: jm.share(t, "score", lambda x: x > 0).below(50), "null=50"),
        (lambda t: jm.mean(t, "score").above(float("nan")), "null=nan"),
        (lambda t: jm.mean(t, "score").above("0"), "null='0'"),
        (lambda t: jm.mean(t, "score", range=(0, 1)).above(0), "range=(0.0, 1.0)"),
        (lambda t: jm.mean(t, "score", range=(1, 0)).above(0), "range=(1, 0)"),
        (lambda t: jm.mean(t, "score", range=(0, 100)).above(-1), "null=-1"),
        (lambda t: jm.Measure("m", len, range=(0, float("inf"))), "range=(0, inf)"),
        (lambda t: jm.paired(1, t, "score"), "trials=1"),
        (lambda t: jm.claim("It is.", id="it-is")(lambda trials: None).judge(t), "claim it-is='NoneType'"),
        (lambda t: jm.share((t, t, t), "score", lambda *x: x[0] > 0), "trials='3 sides'"),
        (lambda t: jm.claim(""), "text=''"),
        (lambda t: jm.claim("It is.")("no function"), "claim='no function'"),
        (lambda t: jm.claim("It is.", id="it-is")(lambda trials: 3).judge(t), "claim it-is='int'"),
        (lambda t: jm.claim("It is.", id="it-is")(lambda trials: {"a": 0.5}).judge(t), "claim it-is, a='float'"),
        (lambda t: _larger(over=["scale"]).judge(t), "over='scale'"),
        (lambda t: _larger(over=["score"]).judge(t), "over='score'"),
        (lambda t: _larger(over="init_scale"), "over='init_scale'"),
        (lambda t: _larger(passes=[larger]), "passes="),
        (lambda t: _larger(fails={"it": 3}), "fails="),
        (lambda t: _larger(id="../it"), "id='../it'"),
        (lambda t: _larger(id=""), "id=''"),
        (lambda t: _larger(details=lambda t: None).judge(t), "details='NoneType'"),
        (lambda t: _larger(details=lambda t: {"all": np.arange(3)}).judge(t), "details='dict'"),
        (lambda t: larger(t).at("rank", rank=[1, 2]), "rank=[1, 2]"),
        (lambda t: larger(t).at("rank", rank=None), "rank=None"),
        (lambda t: larger(t).at("rank", rank=float("nan")), "rank=nan"),
        (lambda t: jm.not_applicable("no rate passes", rank=None), "rank=None"),
        (
            lambda t: jm.claim("It is.", id="it-is")(lambda t: [larger(t).at("a"), larger(t).at("a")]).judge(t),
            "claim it-is, piece='a'",
        ),
        (lambda t: _larger(over=["least"]).judge(t), "over='least'"),
        (lambda t: jm.claim("It is.", over=["least"])(lambda t: jm.mean(t, LARGE).above(0)).judge(t), "over='least'"),
        (
            lambda t: jm.claim("It is.")(lambda t: jm.mean(t, OF_SCALE).above(0)).judge(_two_scales()),
            "conditions of of_scale='init_scale'",
        ),
        (lambda t: jm.share(t, "score", lambda x: x > 0).above(0.5, least=0.7), "least=0.7"),
        (lambda t: jm.share(t, "score", lambda x: x > 0).below(0.5, least=5), "least=5"),
        (lambda t: LARGE.at_budgets(1, 0.5), "at_budgets='large'"),
        (lambda t: jm.measures.upticks().at_budgets(1, 0.5).at_budgets(1, 0.5), "at_budgets='upticks'"),
        (lambda t: _shown(t, lambda score: score), "given="),
        (lambda t: _shown(t, lambda score: score[:3] > 0), "given="),
        (lambda t: jm.how_many(_larger(), t, effect=0.1, repeats=1.5), "repeats=1.5"),
        (lambda t: jm.how_many(_larger(), t, effect=0.1, root_seed=-1), "root_seed=-1"),
        (lambda t: jm.Measure("two words", len), "name='two words'"),
        (lambda t: jm.Measure("m", 3), "fn=3"),
        (lambda t: jm.Measure("m", len, by=()), "by=()"),
        (lambda t: jm.Measure("m", len, by=(0.1, 0.1 + 1e-12)), "by="),
        (lambda t: jm.Measure("m", len, by=float("nan")), "by=nan"),
        (lambda t: jm.Measure("m", len, by=None), "by=None"),
        (lambda t: jm.measures.plateaus(ratio=1.0), "ratio=1.0"),
        (lambda t: jm.measures.plateaus(fall=(0.02, 0.0)), "fall=0.0"),
        (lambda t: jm.measures.upticks(rise=1.0), "rise=1.0"),
        (lambda t: jm.measures.bumps(delta=0.1), "names=()"),
        (lambda t: jm.measures.bumps("align", delta=0), "delta=0"),
        (lambda t: jm.measures.time_to(share=0), "share=0"),
    ],
)
def test_what_is_wrong_takes_one_line_that_names_it(wrong, named):
    with pytest.raises(ArgumentError) as error:
        wrong(table(lambda seed, scale: seed))
    assert str(error.value).startswith(named), str(error.value)
    assert "\n" not in str(error.value) and error.value.allowed.startswith("must")


def test_evidence_is_frozen():
    piece = jm.mean(table(lambda seed, scale: seed), "score").above(0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        piece.verdict = "supported"
