# SPDX-License-Identifier: Apache-2.0
"""The nine claims on tables made by hand, whose verdicts are known; and the matching of rates."""

import itertools
import types

import numpy as np
import pytest

from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.claims import make_claims
from jaxmyopia.studies.lowrank.matching import NoRate, at_matched_rates, best_rate, match_rates
from jaxmyopia.studies.lowrank.measures import Thresholds

THRESHOLDS = Thresholds()
OPTIMIZERS = ("sgd", "adam", "adamw")
RATES = {"sgd": (0.1, 0.2), "adam": (0.01, 0.02), "adamw": (0.01, 0.02)}
SEEDS = 16 + 64  # that choose, and that are judged
N = 20


def make_table(summary, ranks=(1, 2, 4, 10, N), optimizers=OPTIMIZERS, scales=(0.1,)):
    """A run's table; `summary(at, seeds)` gives the columns that matter, of the settings `at` of a cell."""
    parts = []
    every = itertools.product(("square", "cross_entropy"), optimizers, ranks, scales)
    for number, (loss, optimizer, rank, scale, rate) in enumerate(
        (*each, rate) for each in every for rate in RATES[each[1]]
    ):
        seeds = np.arange(SEEDS)
        at = {"n": N, "rank": rank, "loss": loss, "optimizer": optimizer, "learning_rate": rate, "init_scale": scale}
        at["weight_decay"] = 0.01 if optimizer == "adamw" else np.nan
        measured = {
            "diverged": False, "loss_ratio": 1e-6, "half_time": 1 / rate, "upticks": 0.0, "zero_time": 5 / rate,
        }  # fmt: skip
        measured |= bumps(0.0) | plateaus(1.0) | ends(1e-6) | dict.fromkeys(THRESHOLDS.descents.columns, 1.0)
        measured |= summary(types.SimpleNamespace(**at), seeds)
        columns = {"cell": number, **at, **measured}
        full = {name: np.broadcast_to(_column(value), SEEDS) for name, value in columns.items()}
        parts.append({"seed": seeds, **full})
    settings = ("n", "rank", "loss", "optimizer", "learning_rate", "init_scale", "weight_decay")
    return Trials({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, (settings,))


def _column(value):
    return np.array(value, object if isinstance(value, str) else None)


def plateaus(values):
    return dict.fromkeys(THRESHOLDS.plateaus.columns, np.asarray(values, float))


def bumps(values):
    return dict.fromkeys(THRESHOLDS.bumps.columns, np.asarray(values, float))


def ends(values):
    return dict.fromkeys(("loss_ratio", *THRESHOLDS.ratios), np.asarray(values, float))


def judged(table):
    return {each.id: each for each in judge_all(make_claims(THRESHOLDS, table.unique("rank")), table)}


def verdicts(summary, **settings):
    return {name: each.verdict for name, each in judged(make_table(summary, **settings)).items()}


def pieces(summary, claim, by, **settings):
    """The verdicts of a claim's pieces by what they are about: a set for each combination of settings."""
    found = {}
    for piece in judged(make_table(summary, **settings))[claim].evidence:
        found.setdefault(tuple(piece.condition.get(name) for name in by), set()).add(piece.verdict)
    return found


def nothing(at, seeds):
    return {}


def test_where_nothing_differs_nothing_is_supported():
    assert verdicts(nothing) == {
        "ce-two-plateaus": "contradicted",  # no seed shows two, though there are as many as under square loss
        "ce-rank10-stuck": "contradicted",  # all arrive
        "ce-full-rank-same": "supported",  # counts above 4 count as 4: 64 seeds that agree bound the others
        "adam-more-bumps": "no difference",
        "bumps-common": "contradicted",  # not in all, but in none: both parts must hold
        "adam-rank1": "no difference",
        "adam-full-rank-plateau": "not applicable",  # SGD has one in every seed
        "weight-decay": "no difference",  # the minimum is reached all the same
        "adamw-artefact": "contradicted",  # there is one under SGD
    }
    assert pieces(nothing, "weight-decay", ["shown"]) == {
        ("the minimum is not reached",): {"no difference"},
        ("the first decay is faster",): {"inconclusive"},
        ("as many plateaus",): {"supported"},
        ("as many bumps",): {"inconclusive"},
    }
    assert pieces(nothing, "ce-two-plateaus", ["shown"]) == {
        ("exactly two",): {"contradicted"}, ("two or more",): {"contradicted"},
        ("more than square loss",): {"no difference"},
    }  # fmt: skip


def test_each_claim_is_supported_by_what_it_says():
    def summary(at, seeds):
        out, most = {}, seeds < 74
        if at.rank == 2:
            out |= plateaus(np.where(most, 2, 1) if at.loss == "cross_entropy" else 0 * seeds)
        if at.rank == 10:
            out |= ends(np.where(most, 0.2, 1e-6)) if at.loss == "cross_entropy" else {}
        if at.rank == N:
            out |= plateaus(np.where(most & (at.optimizer == "adam"), 1, 0))
        if at.rank <= 10:
            out |= bumps(0.3 + 0.1 * (seeds % 3) if at.optimizer == "adam" else 0.1 * (seeds % 2))
        return out

    found = verdicts(summary)
    wanted = {"ce-two-plateaus", "ce-rank10-stuck", "ce-full-rank-same", "adam-more-bumps", "adam-rank1",
              "adam-full-rank-plateau"}  # fmt: skip
    assert {name for name, verdict in found.items() if verdict == "supported"} == wanted


def test_what_is_seen_under_adamw_alone_is_an_artefact_of_it():
    def summary(at, seeds):
        return plateaus(1.0 + seeds % 2 if at.optimizer == "adamw" else 0 * seeds)

    assert verdicts(summary, ranks=(2, 4))["adamw-artefact"] == "supported"
    under_both = pieces(lambda at, seeds: plateaus(1.0 + seeds % 2), "adamw-artefact", ["shown"], ranks=(2, 4))
    assert under_both == {("absent under SGD",): {"contradicted"}, ("more under AdamW",): {"no difference"}}


def test_weight_decay_is_judged_in_four_parts_at_the_rate_that_is_best_for_adam():
    def summary(at, seeds):
        if at.optimizer != "adamw":
            return {"half_time": np.full(SEEDS, 100.0), **ends(np.full(SEEDS, at.learning_rate / 1e5))}
        return {"half_time": 50.0 + seeds % 3, **ends(np.full(SEEDS, 0.2))}

    found = judged(make_table(summary, ranks=(2,)))["weight-decay"]
    assert {piece.verdict for piece in found.evidence} == {"supported"} and found.verdict == "supported"
    assert {piece.name.split("(rate ")[1] for piece in found.evidence} == {"0.01)"}
    faster = next(each for each in found.evidence if each.condition["shown"] == "the first decay is faster")
    assert faster.interval.estimate == pytest.approx(np.log2((50 + np.arange(16, 80) % 3) / 100).mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("decayed", "verdict"),
    [(1e-6, "supported"), (2e-8, "real but small"), (1e-8, "no difference"), (3e-10, "contradicted")],
)
def test_a_minimum_is_not_reached_where_decay_leaves_ten_times_the_loss(decayed, verdict):
    def summary(at, seeds):
        return ends(decayed * (1 + (seeds % 5 - 2) / 50) if at.optimizer == "adamw" else np.full(SEEDS, 1e-8))

    assert pieces(summary, "weight-decay", ["shown"], ranks=(2,))["the minimum is not reached",] == {verdict}


def test_bumps_in_every_second_seed_are_common_and_in_every_seed_are_not():
    def in_some(every):
        return lambda at, seeds: bumps(1.0 * (seeds % every == 0))

    assert verdicts(in_some(2), ranks=(2,))["bumps-common"] == "supported"
    assert pieces(in_some(1), "bumps-common", ["shown"], ranks=(2,)) == {
        ("relatively common",): {"supported"}, ("not in all",): {"inconclusive"}
    }  # fmt: skip


def test_more_bumps_under_one_loss_or_definition_alone_depend_on_it_and_fewer_contradict():
    def one_loss(at, seeds):
        return bumps((at.loss == "cross_entropy") * (at.optimizer == "adam") * (1 + seeds % 2))

    def one_definition(at, seeds):
        more = {True: (at.optimizer == "adam") * (1.0 + seeds % 2), False: 0.0 * seeds}
        choices = THRESHOLDS.bumps.choices
        return {THRESHOLDS.bumps.column(each): more[each["definition"] == "cosine"] for each in choices}

    def fewer(at, seeds):
        return bumps((at.optimizer == "sgd") * (1 + seeds % 2))

    assert verdicts(one_loss)["adam-more-bumps"] == "depends on the condition"
    wanted = {("square",): {"no difference"}, ("cross_entropy",): {"supported"}}
    assert pieces(one_loss, "adam-more-bumps", ["loss"], ranks=(2,)) == wanted
    by_definition = pieces(one_definition, "adam-more-bumps", ["definition"], ranks=(2,))
    assert by_definition == {("inner",): {"no difference"}, ("competition",): {"no difference"},
                             ("cosine",): {"supported"}}  # fmt: skip
    assert verdicts(fewer)["adam-more-bumps"] == "contradicted"


def test_a_sign_that_turns_within_the_grid_depends_on_the_threshold():
    def summary(at, seeds):
        signs = {0.1: "adam", 0.05: "sgd", 0.075: "sgd", 0.15: "adam", 0.2: "sgd"}
        choices = THRESHOLDS.bumps.choices
        return {THRESHOLDS.bumps.column(each): (signs[each["delta"]] == at.optimizer) * (1.0 + seeds % 2)
                for each in choices}  # fmt: skip

    assert verdicts(summary)["adam-more-bumps"] == "depends on the threshold"


@pytest.mark.parametrize(("axis", "main"), [("budget", 1.0), ("time", "linear")])
def test_budgets_and_clocks_are_conditions(axis, main):
    def summary(at, seeds):
        choices = THRESHOLDS.plateaus.choices
        two = {THRESHOLDS.plateaus.column(each): np.where(each[axis] == main, 2.0, 1.0) + 0 * seeds for each in choices}
        return two if at.rank == 2 and at.loss == "cross_entropy" else {}

    found = pieces(summary, "ce-two-plateaus", ["shown", axis])
    exactly = {key[1]: verdict for key, verdict in found.items() if key[0] == "exactly two"}
    others = {each[axis] for each in THRESHOLDS.plateaus.choices} - {main}
    assert exactly == {main: {"supported"}} | {each: {"contradicted"} for each in others}


def test_each_scale_and_rate_is_a_condition_and_one_that_is_not_steady_cannot_be_asked():
    def summary(at, seeds):
        shown = at.loss == "cross_entropy" and at.init_scale < 0.1
        wild = {"upticks": np.ones(SEEDS)} if at.learning_rate == 0.2 else {}
        return plateaus(np.where(seeds < 74, 2.0 if shown else 1.0, 1.0)) | wild

    found = pieces(summary, "ce-two-plateaus", ["shown", "init_scale", "learning_rate"], scales=(1.0, 0.01))
    exactly = {key[1:]: verdict for key, verdict in found.items() if key[0] == "exactly two"}
    assert exactly == {
        (1.0, 0.1): {"contradicted"}, (0.01, 0.1): {"supported"}, (1.0, 0.2): {"not applicable"},
        (0.01, 0.2): {"not applicable"}, (1.0, 0.01): {"contradicted"}, (0.01, 0.01): {"supported"},
        (1.0, 0.02): {"contradicted"}, (0.01, 0.02): {"supported"},
    }  # fmt: skip
    at_scales = pieces(summary, "adam-more-bumps", ["init_scale"], scales=(1.0, 0.01), ranks=(2,))
    assert set(at_scales) == {(1.0,), (0.01,)}


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"ranks": (1, 4)}, {"ce-two-plateaus", "ce-rank10-stuck", "bumps-common"}),
        (
            {"ranks": (2, 10), "optimizers": ("sgd",)},
            {"adam-more-bumps", "adam-rank1", "weight-decay", "adamw-artefact"},
        ),
        ({"ranks": (N,)}, {"adam-more-bumps", "adam-rank1"}),
    ],
)
def test_claims_without_their_cells_are_not_judged(settings, missing):
    found = verdicts(nothing, **settings)
    assert missing <= {name for name, verdict in found.items() if verdict == "not judged"}


def test_diverged_seeds_are_counted_and_a_diverged_seed_shows_no_plateaus():
    def summary(at, seeds):
        gone = (seeds >= 16) & (seeds < 28) & (at.optimizer == "adam")
        return plateaus(np.full(SEEDS, 2)) | bumps(seeds % 2) | {"diverged": gone}

    claims = judged(make_table(summary))
    adam = next(piece for piece in claims["ce-two-plateaus"].evidence if piece.condition["optimizer"] == "adam")
    assert adam.interval.estimate == pytest.approx(52 / 64)
    assert adam.diverged == 12
    bump = claims["adam-rank1"].evidence[0]
    assert (bump.diverged, bump.interval.n, bump.verdict) == (12, 52, "not judged")  # a mean of the others is another's


def cell(losses, half_times, *, wild=(), seeds=20):
    """A rate a place in the lists, 0.1, 0.2, ...; `wild`: the seed and place of trials that show an uptick."""
    place, seed = np.repeat(np.arange(len(losses)), seeds), np.tile(np.arange(seeds), len(losses))
    columns = {"seed": seed, "learning_rate": (place + 1) / 10, "loss_ratio": np.array(losses)[place]}
    columns |= {"half_time": np.array(half_times)[place], "diverged": np.zeros(len(seed), bool)}
    return Trials(columns | {"upticks": np.isin(seed * 100 + place, [s * 100 + p for s, p in wild]).astype(float)})


def test_the_best_rate_has_the_least_median_loss_and_noise_is_a_tie():
    assert best_rate(cell([3.0, 2.0, 3.0], [3.0, 2.0, 1.0])) == 0.2
    assert best_rate(cell([1e-12, 1e-14, 1e-13], [3.0, 1.0, 2.0])) == 0.2


def test_a_rate_must_be_steady_and_is_chosen_by_seeds_that_are_not_judged():
    losses, times = [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]
    assert best_rate(cell(losses, times)) == pytest.approx(0.3)
    assert best_rate(cell(losses, times, wild=[(15, 2)])) == 0.2  # of 16 seeds one shows an uptick: fewer than 95 %
    assert best_rate(cell(losses, times, wild=[(16, 2)])) == pytest.approx(
        0.3
    )  # that seed is judged, and does not choose
    few = best_rate(cell(losses, times, seeds=16))
    assert isinstance(few, NoRate) and "those after the first 16 are judged" in few
    none = best_rate(cell(losses, times, wild=[(0, 0), (1, 1), (2, 2)]))
    assert isinstance(none, NoRate) and "95% of the first 16 seeds" in none


def test_half_times_are_matched_by_ratio_and_rates_that_never_get_there_are_left_out():
    def at(times):
        return cell(np.arange(1, len(times) + 1) / 10, times)

    assert match_rates(at([100.0, 31.0, 10.0]), at([np.inf, 300.0, 28.0]))["equal half-times"] == (
        0.2,
        pytest.approx(0.3),
    )
    assert isinstance(match_rates(at([100.0]), at([np.inf]))["equal half-times"], NoRate)


def test_matchings_that_mean_the_same_rates_count_once():
    def summary(at, seeds):
        return {"half_time": np.full(SEEDS, 7.0 if at.learning_rate == RATES[at.optimizer][0] else 9.0)}

    def sides(table):
        return [table.where(loss="square", rank=2, optimizer=name) for name in ("sgd", "adam")]

    assert list(at_matched_rates(*sides(make_table(nothing)))) == ["best rates", "equal half-times"]
    one = at_matched_rates(*sides(make_table(summary)))
    assert list(one) == ["best rates"]
    (sgd, adam) = one["best rates"]
    assert sgd["seed"].min() == adam["seed"].min() == 16
