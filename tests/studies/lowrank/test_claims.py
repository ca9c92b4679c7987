# SPDX-License-Identifier: Apache-2.0
"""The six claims on tables made by hand, whose verdicts are known; and the matching of rates."""

import itertools

import numpy as np
import pytest

from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.claims import make_claims
from jaxmyopia.studies.lowrank.matching import best_rate, match_rates
from jaxmyopia.studies.lowrank.measures import Thresholds

THRESHOLDS = Thresholds()
RATES = {"sgd": (0.1, 0.2), "adam": (0.01, 0.02)}
SEEDS = 40
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


def nothing(loss, optimizer, rank, rate, seeds):
    return {}


def test_where_nothing_differs_nothing_is_supported():
    assert verdicts(nothing) == {
        "ce-two-plateaus": "contradicted",
        "ce-rank10-stuck": "contradicted",
        "ce-full-rank-same": "inconclusive",  # counts of 40 seeds that are all the same bound nothing
        "adam-more-bumps": "inconclusive",
        "adam-rank1": "inconclusive",
        "adam-full-rank-plateau": "contradicted",
    }


def test_where_little_differs_sameness_is_supported():
    def summary(loss, optimizer, rank, rate, seeds):
        count = np.where(seeds == (loss == "square"), 2.0, 1.0)
        return plateaus(count) | dict.fromkeys(THRESHOLDS.descents.columns, count)

    assert verdicts(summary)["ce-full-rank-same"] == "supported"


def test_each_claim_is_supported_by_what_it_says():
    def summary(loss, optimizer, rank, rate, seeds):
        out = {}
        if loss == "cross_entropy" and rank == 2:
            out |= plateaus(np.where(seeds < 32, 2, 1))
        if loss == "cross_entropy" and rank == 10:
            out |= {"loss_ratio": np.where(seeds < 35, 0.2, 1e-6)}
        if loss == "square" and rank == N:
            out |= plateaus(np.where((seeds < 36) & (optimizer == "adam"), 1, 0))
        if rank <= 10:
            out |= bumps(0.3 + 0.1 * (seeds % 3) if optimizer == "adam" else 0.1 * (seeds % 2))
        return out

    found = verdicts(summary)
    assert found.pop("ce-full-rank-same") == "mixed"  # the plateaus of SGD differ, the descents do not
    assert set(found.values()) == {"supported"}


def test_more_bumps_under_one_loss_alone_are_mixed_and_fewer_contradict():
    def one_loss(loss, optimizer, rank, rate, seeds):
        return bumps((loss == "cross_entropy") * (optimizer == "adam") * (1 + seeds % 2))

    def fewer(loss, optimizer, rank, rate, seeds):
        return bumps((optimizer == "sgd") * (1 + seeds % 2))

    assert verdicts(one_loss)["adam-more-bumps"] == "mixed"
    assert verdicts(fewer)["adam-more-bumps"] == "contradicted"


def test_a_sign_that_turns_within_the_grid_is_mixed():
    def summary(loss, optimizer, rank, rate, seeds):
        signs = dict(zip(THRESHOLDS.bumps.columns, (1, -1, -1, 1, -1), strict=True))  # the main threshold first
        return {name: sign * (optimizer == "adam") * (1.0 + seeds % 2) for name, sign in signs.items()}

    assert verdicts(summary)["adam-more-bumps"] == "mixed"


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
        return plateaus(np.full(SEEDS, 2)) | bumps(seeds % 2) | {"diverged": (seeds < 12) & (optimizer == "adam")}

    claims = {each.id: each for each in judged(make_table(summary))}
    adam = next(piece for piece in claims["ce-two-plateaus"].evidence if piece.name.startswith("adam"))
    assert adam.interval.estimate == pytest.approx(28 / 40)
    assert adam.diverged == 12
    bump = claims["adam-rank1"].evidence[0]
    assert (bump.diverged, bump.interval.n) == (12, 28)


def test_the_best_rate_has_the_least_median_loss_and_noise_is_a_tie():
    def at(losses, half_times, diverged):
        columns = {"seed": np.tile(np.arange(3), 3), "learning_rate": np.repeat([0.1, 0.2, 0.4], 3)}
        columns |= {
            "loss_ratio": np.ravel(losses),
            "half_time": np.repeat(half_times, 3),
            "diverged": np.ravel(diverged),
        }
        return Trials(columns)

    fine = np.zeros((3, 3), bool)
    assert best_rate(at([[3, 3, 0], [2, 2, 9], [3, 1, 3]], [3.0, 2.0, 1.0], fine)) == 0.2
    assert best_rate(at([[1e-12] * 3, [1e-14] * 3, [1e-13] * 3], [3.0, 1.0, 2.0], fine)) == 0.2
    most_diverge = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 0]], bool)
    assert best_rate(at([[3] * 3, [2] * 3, [1] * 3], [3.0, 2.0, 1.0], most_diverge)) == 0.2


def test_half_times_are_matched_by_ratio_and_rates_that_never_get_there_are_left_out():
    def cell(times):
        rates = np.arange(1, len(times) + 1) / 10
        columns = {"seed": np.zeros(len(times)), "learning_rate": rates, "half_time": np.array(times)}
        return Trials(columns | {"loss_ratio": rates, "diverged": np.zeros(len(times), bool)})

    assert match_rates(cell([100.0, 31.0, 10.0]), cell([np.inf, 300.0, 28.0]))["equal half-times"] == (0.2, 0.3)
    assert "equal half-times" not in match_rates(cell([100.0]), cell([np.inf]))


def test_pooled_differences_belong_to_the_same_seed():
    def summary(loss, optimizer, rank, rate, seeds):
        return bumps((optimizer == "adam") * seeds * rank + 5.0)

    found = {each.id: each for each in judged(make_table(summary, ranks=(2, 4)))}["adam-more-bumps"]
    piece = next(piece for piece in found.evidence if piece.name == "square, best rates")
    assert piece.interval.estimate == pytest.approx(3.0 * np.arange(SEEDS).mean())  # (2 + 4) / 2 a seed
    assert piece.interval.n == SEEDS
