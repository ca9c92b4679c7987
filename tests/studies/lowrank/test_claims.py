# SPDX-License-Identifier: Apache-2.0
"""The six claims on tables made by hand, whose verdicts are known; and the matching of rates."""

import itertools

import numpy as np
import pytest

from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.claims import make_claims
from jaxmyopia.studies.lowrank.matching import NoRate, at_matched_rates, best_rate, match_rates
from jaxmyopia.studies.lowrank.measures import Thresholds

THRESHOLDS = Thresholds()
RATES = {"sgd": (0.1, 0.2), "adam": (0.01, 0.02)}
SEEDS = 16 + 64  # that choose, and that are judged
N = 20


def make_table(summary, ranks=(1, 2, 4, 10, N), optimizers=("sgd", "adam")):
    """A run's table; `summary(loss, optimizer, rank, rate, seeds)` gives the columns that matter."""
    parts = []
    for loss, optimizer, rank in itertools.product(("square", "cross_entropy"), optimizers, ranks):
        for rate in RATES[optimizer]:
            seeds = np.arange(SEEDS)
            columns = {
                "seed": seeds,
                "n": np.full(SEEDS, N),
                "rank": np.full(SEEDS, rank),
                "loss": np.full(SEEDS, loss, object),
                "optimizer": np.full(SEEDS, optimizer, object),
                "learning_rate": np.full(SEEDS, rate),
                "diverged": np.zeros(SEEDS, bool),
                "loss_ratio": np.full(SEEDS, 1e-6),
                "half_time": np.full(SEEDS, 1 / rate),
                "upticks": np.zeros(SEEDS),
            }
            columns |= bumps(np.zeros(SEEDS)) | plateaus(np.ones(SEEDS))
            columns |= dict.fromkeys(THRESHOLDS.descents.columns, np.ones(SEEDS))
            columns |= {f"loss_ratio_{share}": columns["loss_ratio"] for share in ("quarter", "half")}
            columns |= summary(loss, optimizer, rank, rate, seeds)
            parts.append(columns)
    settings = ("n", "rank", "loss", "optimizer", "learning_rate")
    return Trials({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, (settings,))


def plateaus(values):
    return dict.fromkeys(THRESHOLDS.plateaus.columns, np.asarray(values, float))


def bumps(values):
    return dict.fromkeys(THRESHOLDS.bumps.columns, np.asarray(values, float))


def judged(table):
    return judge_all(make_claims(THRESHOLDS, table.unique("rank")), table)


def verdicts(summary, **settings):
    return {each.id: each.verdict for each in judged(make_table(summary, **settings))}


def pieces(summary, claim, **settings):
    """The verdicts of a claim's pieces at the whole budget, by what they are about."""
    (found,) = (each for each in judged(make_table(summary, **settings)) if each.id == claim)
    at_the_end = (piece for piece in found.evidence if piece.condition.get("budget", 1) == 1)
    return {piece.name.partition(" (")[0].partition(", budget")[0]: piece.verdict for piece in at_the_end}


def nothing(loss, optimizer, rank, rate, seeds):
    return {}


def test_where_nothing_differs_nothing_is_supported():
    assert verdicts(nothing) == {
        "ce-two-plateaus": "contradicted",
        "ce-rank10-stuck": "contradicted",
        "ce-full-rank-same": "supported",  # counts above 4 count as 4: 64 seeds that agree bound the others
        "adam-more-bumps": "no difference",
        "adam-rank1": "no difference",
        "adam-full-rank-plateau": "not applicable",  # SGD has one in every seed
    }


def test_each_claim_is_supported_by_what_it_says():
    def summary(loss, optimizer, rank, rate, seeds):
        out = {}
        if loss == "cross_entropy" and rank == 2:
            out |= plateaus(np.where(seeds < 60, 2, 1))
        if loss == "cross_entropy" and rank == 10:
            stuck = np.where(seeds < 60, 0.2, 1e-6)
            out |= dict.fromkeys(("loss_ratio", "loss_ratio_quarter", "loss_ratio_half"), stuck)
        if loss == "square" and rank == N:
            out |= plateaus(np.where((seeds < 60) & (optimizer == "adam"), 1, 0))
        if rank <= 10:
            out |= bumps(0.3 + 0.1 * (seeds % 3) if optimizer == "adam" else 0.1 * (seeds % 2))
        return out

    assert set(verdicts(summary).values()) == {"supported"}


def test_more_bumps_under_one_loss_alone_depend_on_it_and_fewer_contradict():
    def one_loss(loss, optimizer, rank, rate, seeds):
        return bumps((loss == "cross_entropy") * (optimizer == "adam") * (1 + seeds % 2))

    def fewer(loss, optimizer, rank, rate, seeds):
        return bumps((optimizer == "sgd") * (1 + seeds % 2))

    assert verdicts(one_loss)["adam-more-bumps"] == "depends on the condition"
    found = pieces(one_loss, "adam-more-bumps", ranks=(2,))
    wanted = {"square": "no difference", "cross_entropy": "supported"}
    matchings = ("best rates", "equal half-times")
    assert found == {f"{loss}, rank 2, {each}": verdict for loss, verdict in wanted.items() for each in matchings}
    assert verdicts(fewer)["adam-more-bumps"] == "contradicted"


def test_a_sign_that_turns_within_the_grid_depends_on_the_threshold():
    def summary(loss, optimizer, rank, rate, seeds):
        signs = {0.1: 1, 0.05: -1, 0.075: -1, 0.15: 1, 0.2: -1}
        more = {
            delta: (sign > 0) * (optimizer == "adam") + (sign < 0) * (optimizer == "sgd")
            for delta, sign in signs.items()
        }
        choices = THRESHOLDS.bumps.choices
        return {THRESHOLDS.bumps.column(each): more[each["delta"]] * (1.0 + seeds % 2) for each in choices}

    assert verdicts(summary)["adam-more-bumps"] == "depends on the threshold"


def test_budgets_are_conditions():
    def summary(loss, optimizer, rank, rate, seeds):
        choices = THRESHOLDS.plateaus.choices
        late = {
            THRESHOLDS.plateaus.column(each): np.where(each["budget"] == 1, 2.0, 1.0) + 0 * seeds for each in choices
        }
        return late if rank == 2 else {}

    (found,) = (each for each in judged(make_table(summary)) if each.id == "ce-two-plateaus")
    by_budget = {}
    for piece in found.evidence:
        by_budget.setdefault(piece.condition["budget"], set()).add(piece.verdict)
    assert by_budget == {1.0: {"supported"}, 0.5: {"contradicted"}, 0.25: {"contradicted"}}


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"ranks": (1, 4)}, {"ce-two-plateaus", "ce-rank10-stuck"}),
        ({"ranks": (2, 10), "optimizers": ("sgd",)}, {"ce-two-plateaus", "adam-more-bumps", "adam-rank1"}),
        ({"ranks": (N,)}, {"adam-more-bumps", "adam-rank1"}),
    ],
)
def test_claims_without_their_cells_are_not_judged(settings, missing):
    found = verdicts(nothing, **settings)
    assert missing <= {name for name, verdict in found.items() if verdict == "not judged"}


def test_diverged_seeds_are_counted_and_a_diverged_seed_shows_no_plateaus():
    def summary(loss, optimizer, rank, rate, seeds):
        gone = (seeds >= 16) & (seeds < 28) & (optimizer == "adam")
        return plateaus(np.full(SEEDS, 2)) | bumps(seeds % 2) | {"diverged": gone}

    claims = {each.id: each for each in judged(make_table(summary))}
    adam = next(piece for piece in claims["ce-two-plateaus"].evidence if piece.name.startswith("adam"))
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
    def summary(loss, optimizer, rank, rate, seeds):
        return {"half_time": np.full(SEEDS, 7.0 if rate == RATES[optimizer][0] else 9.0)}

    assert list(at_matched_rates(make_table(nothing).where(loss="square", rank=2))) == [
        "best rates",
        "equal half-times",
    ]
    one = make_table(summary).where(loss="square", rank=2)
    assert list(at_matched_rates(one)) == ["best rates"]
    (sgd, adam) = at_matched_rates(one)["best rates"]
    assert sgd["seed"].min() == adam["seed"].min() == 16
