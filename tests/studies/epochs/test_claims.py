# SPDX-License-Identifier: Apache-2.0
"""The eight claims on tables made up so that the right verdicts are known."""

import itertools
import zlib

import numpy as np
import pytest

from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.claims import make_claims
from jaxmyopia.studies.epochs.measures import Thresholds, best_rate, intensity, lure_rate, runs_then_stops
from jaxmyopia.studies.epochs.params import NAMES, NEVER, code
from jaxmyopia.studies.epochs.sight_claims import tells

SEEDS, E, L, K = 160, 4, 4, 3
THRESHOLDS = Thresholds()
CLAIMS = {each.id: each for each in make_claims(THRESHOLDS)}
NEGATIVE, ZERO, FLAT = (code("schedule", name) for name in ("negative", "zero", "flat"))
EPOCH, RUN = code("credit", "epoch"), code("credit", "run")
INVEST, BORROW = code("lure", "invest"), code("lure", "borrow")
SETTINGS = {
    "study": "epochs", "learner": "ppo", "optimizer": "adam", "reveal_epoch": "one_hot", "show_pending": True,
    "show_cutoff": False, "lure_binds": False, "train_cutoffs": "", "population": np.nan, "epochs": E,
    "epoch_steps": L, "schedule": NEGATIVE, "lure": INVEST, "credit": RUN, "cutoff": float(K), "learning_rate": 0.1,
    "length": np.nan, "penalty": np.nan, "hazard": np.nan, "flat_from": np.nan, "debt": np.nan, "interval": np.nan,
    "swap": np.nan, "permuted": np.nan, "decay": np.nan,
}  # fmt: skip


def by_epoch(name, values):
    return {f"{name}_{i}": np.broadcast_to(np.asarray(x, float), SEEDS) for i, x in enumerate(values)}


def trial(*, stops=True, rate=0.0, learned=1.0, **changed):
    """Rows of one trial: by default an agent that runs until K and stops; `rate`: its lures a step, noisy."""
    running = np.array([1.0] * K + [0.0 if stops else 1.0] * (E - K))
    noise = np.random.default_rng(zlib.crc32(repr((rate, sorted(changed.items(), key=str))).encode())).uniform(
        -1e-3, 1e-3, SEEDS
    )
    lured = np.clip(rate + noise, 0, 1)
    rows = {"seed": np.arange(SEEDS), "diverged": np.zeros(SEEDS, bool), "value_share": learned}
    rows |= {"regret_epoch": 1.0 - learned, "best_epoch": 1.0} | SETTINGS
    rows |= by_epoch("running", running) | by_epoch("acting", running) | by_epoch("lured", [lured] * E)
    rows |= by_epoch("runs_to", [1] * 2 * E) | by_epoch("runs_past", [0] * 2 * E) | by_epoch("worth", [learned] * E)
    rows |= by_epoch("shifted", running) | by_epoch("frozen", running)
    rows |= changed
    return {name: np.array(np.broadcast_to(np.asarray(x), SEEDS)) for name, x in rows.items()}


def table_of(*trials):
    return Trials({name: np.concatenate([rows[name] for rows in trials]) for name in trials[0]}, (tuple(SETTINGS),))


def judged(name, *trials):
    return CLAIMS[name].judge(table_of(*trials))


def verdicts(name, *trials):
    return {piece.name: piece.verdict for piece in judged(name, *trials).evidence}


def three_arms(*, recipe=None, flat=None, short=None, **alike):
    """A trial of each arm."""
    return [
        trial(**(alike | (recipe or {}))),
        trial(**({"stops": False, "schedule": FLAT} | alike | (flat or {}))),
        trial(**({"schedule": FLAT, "length": float(K)} | alike | (short or {}))),
    ]


def test_running_and_stopping_with_the_index_alone_supports_the_first_two():
    trials = [*three_arms(), trial(reveal_epoch="masked", stops=False)]
    assert judged("runs-then-stops", *trials).verdict == "supported"
    assert judged("index-needed", *trials).verdict == "supported"


def test_who_never_stops_or_stops_without_the_index_contradicts_them():
    assert judged("runs-then-stops", *three_arms(recipe={"stops": False})).verdict == "contradicted"
    assert judged("index-needed", *three_arms(), trial(reveal_epoch="masked")).verdict == "contradicted"


def test_what_a_learner_does_not_learn_in_the_short_run_it_cannot_be_asked_under_the_recipe():
    found = judged("runs-then-stops", *three_arms(short={"learned": 0.5}))
    assert found.verdict == "not applicable" and "0% of seeds reach 95%" in found.evidence[0].reason
    # That it has not learned the recipe is no excuse: that is what is asked.
    assert judged("runs-then-stops", *three_arms(recipe={"learned": 0.5, "stops": False})).verdict == "contradicted"


def test_each_lure_credit_and_cutoff_is_a_condition():
    others = three_arms(lure=BORROW, recipe={"stops": False})
    found = verdicts("runs-then-stops", *three_arms(), *others)
    assert found == {
        "ppo, run credit, invest, cutoff 3": "supported",
        "ppo, run credit, borrow, cutoff 3": "contradicted",
    }


def test_where_lures_bind_is_a_condition_with_the_guard_of_the_plain_runs():
    found = verdicts("runs-then-stops", *three_arms(), trial(lure_binds=True, stops=False))
    assert found == {
        "ppo, run credit, invest, cutoff 3, always": "supported",
        "ppo, run credit, invest, cutoff 3, not after lures": "contradicted",
    }


def selection(rates, *, swapped=0.0, twins=0.0):
    """Populations in the three arms with these lures a step if selected."""
    found = []
    for interval, swap, several in ((0.0, 0.0, (twins,) * 3), (10.0, 0.0, rates), (10.0, 1.0, (swapped,) * 3)):
        arms = (dict(zip(("recipe", "flat", "short"), ({"rate": rate} for rate in several), strict=True)),)
        own = {"learner": "selection", "population": 10.0, "reveal_epoch": "", "credit": EPOCH}
        found += three_arms(**arms[0], **own, interval=interval, swap=swap)
    return found


def traits(rates):
    return [
        each for permuted, several in ((0.0, rates), (1.0, (0.0,) * 3))
        for each in three_arms(
            **dict(zip(("recipe", "flat", "short"), ({"rate": rate} for rate in several), strict=True)),
            learner="trait", reveal_epoch="", permuted=permuted,
        )
    ]  # fmt: skip


def traces(rates):
    return [
        each for decay, several in ((0.95, rates), (0.0, (0.0,) * 3))
        for each in three_arms(
            **dict(zip(("recipe", "flat", "short"), ({"rate": rate} for rate in several), strict=True)),
            show_pending=False, decay=decay,
        )
    ]  # fmt: skip


LEAKS = {"selection": selection, "trait": traits, "traces": traces}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize(
    ("rates", "shortening", "blocks"),
    [
        ((0.3, 0.3, 0.3), "supported", "no difference"),
        ((0.3, 0.6, 0.3), "supported", "no difference"),  # below the flat run, as the short run is
        ((0.1, 0.6, 0.3), "contradicted", "supported"),
        ((0.6, 0.3, 0.6), "supported", "contradicted"),
        ((0.28, 0.3, 0.3), "supported", "real but small"),
    ],
)
def test_the_recipe_beside_the_flat_run_and_the_short_one(leak, rates, shortening, blocks):
    trials = LEAKS[leak](rates)
    assert judged("shortening-is-all", *trials).verdict == shortening
    assert judged("blocks-leaks", *trials).verdict == blocks


def test_a_leak_is_what_is_beyond_its_twin():
    """Recipe and flat run lure alike; but of the flat run all of it is the leak, of the recipe half."""
    trials = selection((0.6, 0.6, 0.6))
    trials[0] = trial(
        rate=0.3, learner="selection", population=10.0, reveal_epoch="", credit=EPOCH, interval=0.0, swap=0.0
    )
    pieces = {piece.condition["shown"]: piece for piece in judged("blocks-leaks", *trials).evidence}
    assert all(piece.interval.estimate == pytest.approx(-0.3, abs=1e-3) for piece in pieces.values())


@pytest.mark.parametrize("side", ["twin", "leaking agents that stop too early"])
def test_a_leak_cannot_be_asked_about_where_its_twin_has_not_learned_or_it_does_not_work(side):
    trials = traits((0.3, 0.3, 0.3))
    if side == "twin":
        trials[3] = trial(learner="trait", reveal_epoch="", permuted=1.0, learned=0.9)
    else:
        trials[0] = trial(learner="trait", reveal_epoch="", permuted=0.0, rate=0.3, **by_epoch("acting", [1, 0, 0, 0]))
    assert judged("shortening-is-all", *trials).verdict == "not applicable"
    assert judged("blocks-leaks", *trials).verdict == "not applicable"


def test_exposures_are_reported_beside_the_verdict():
    found = judged("blocks-leaks", *traits((0.3, 0.5, 0.3))).details["persistent trait"]["3"]
    assert [found[name]["steps"] for name in ("recipe", "flat", "short")] == [12, 16, 12]
    assert found["flat"]["intensity"] == pytest.approx(0.5, abs=1e-3) and found["flat"]["twin's"] < 1e-3


def test_selection_undoes_it_where_it_raises_lures_and_context_swap_takes_them_back():
    assert judged("selection-undoes-it", *selection((0.3, 0.3, 0.3))).verdict == "supported"
    assert judged("selection-undoes-it", *selection((0.0, 0.0, 0.0))).verdict == "no difference"
    assert judged("selection-undoes-it", *selection((0.3, 0.3, 0.3), swapped=0.3)).verdict == "contradicted"
    found = judged("selection-undoes-it", *selection((0.3, 0.0, 0.3)))
    assert found.verdict == "depends on the condition" and "arm" in found.conditions.settings


def penalised(penalty, *, myopic, sighted, lure=INVEST):
    own = {"schedule": FLAT, "lure": lure, "penalty": penalty}
    return [trial(credit=EPOCH, stops=myopic, **own), trial(credit=RUN, stops=sighted, **own)]


def test_stopping_shows_myopia_where_the_myopic_agent_alone_stops_on_arrival():
    assert judged("stop-shows-myopia", *penalised(4.0, myopic=True, sighted=False)).verdict == "supported"
    assert judged("stop-shows-myopia", *penalised(12.0, myopic=True, sighted=True)).verdict == "contradicted"
    assert judged("stop-shows-myopia", *penalised(0.5, myopic=False, sighted=False)).verdict == "contradicted"
    step = by_epoch("acting", [1] * K + [1 / L] * (E - K))  # one step past K is not on arrival
    myopic, sighted = penalised(4.0, myopic=True, sighted=True)
    assert judged("stop-shows-myopia", myopic, sighted | trial_columns(step)).verdict == "supported"


def trial_columns(columns):
    return {name: np.array(values) for name, values in columns.items()}


@pytest.mark.parametrize(
    ("lure", "penalty", "want"),
    [
        ("invest", 0.9, False),
        ("invest", 1.1, True),
        ("invest", 8.9, True),
        ("invest", 9.1, False),
        ("borrow", 2, False),
    ],
)
def test_the_planner_tells_where_a_penalty_tells(lure, penalty, want):
    assert tells(lure, penalty, 4) == want


def hidden(cap, *, sighted, with_it, later):
    """Trials without a hazard, with one, and after it: lures a step in the first epoch."""
    own = {"schedule": cap, "cutoff": float(E)}
    several = [(0.0, NEVER, sighted), (0.8, NEVER, with_it), (0.0, 9.0, sighted), (0.8, 9.0, later)]
    found = [trial(hazard=hazard, flat_from=flat, rate=rate, **own) for hazard, flat, rate in several]
    return found


def of_two_epochs(rate):
    return trial(rate=rate, schedule=FLAT, cutoff=2.0, length=2.0, hazard=0.0, flat_from=NEVER)


def test_uncertainty_must_lower_investing_and_the_loss_must_last():
    name, short = "uncertainty-shortens-sight", of_two_epochs(1.0)
    assert judged(name, *hidden(ZERO, sighted=1.0, with_it=0.1, later=0.1), short).verdict == "supported"
    assert judged(name, *hidden(ZERO, sighted=1.0, with_it=0.1, later=1.0), short).verdict == "no difference"
    assert judged(name, *hidden(ZERO, sighted=1.0, with_it=1.0, later=1.0), short).verdict == "no difference"
    # As short a run would do the same.
    assert (
        judged(name, *hidden(ZERO, sighted=1.0, with_it=0.1, later=0.1), of_two_epochs(0.1)).verdict == "no difference"
    )
    both = [*hidden(ZERO, sighted=1.0, with_it=0.1, later=1.0), *hidden(NEGATIVE, sighted=1.0, with_it=0.1, later=0.1)]
    found = judged(name, *both, short)
    assert found.verdict == "depends on the condition" and "cap is negative" in found.headline


def shown(**changed):
    own = {"show_cutoff": True, "train_cutoffs": "1 3", "cutoff": 2.0, "reveal_epoch": "scalar"}
    return trial(**(own | changed))


def test_transfer_is_asked_at_new_cutoffs_at_wrong_indices_and_after_learning_on():
    trials = [shown(), *three_arms(), trial(flat_from=5.0, debt=0.0)]
    assert judged("survives-transfer", *trials).verdict == "supported"
    names = list(verdicts("survives-transfer", *trials))
    assert names == [
        "scalar, run credit, new cutoff, cutoff 2", "scalar, run credit, new cutoff, cutoff 4",
        "scalar, run credit, new cutoff, cutoff 5", "scalar, run credit, new cutoff, cutoff 7",
        "scalar, run credit, index too high by E", "scalar, run credit, index stays 0",
        "ppo, run credit, invest, cutoff 3, learning on, debt 0",
    ]  # fmt: skip
    lost = [
        shown(**by_epoch("runs_past", [0] * E + [1] * E)),
        *three_arms(),
        trial(flat_from=5.0, debt=0.0, stops=False),
    ]
    found = verdicts("survives-transfer", *lost)
    assert [found[name] for name in names] == [
        "supported",
        *["contradicted"] * 3,
        "supported",
        "supported",
        "contradicted",
    ]


def test_an_agent_that_has_not_learned_its_own_cutoffs_is_not_asked_about_new_ones():
    assert judged("survives-transfer", shown(learned=0.8)).verdict == "not applicable"


def test_controls_are_planted_agents_that_must_pass_and_fail():
    everything = [
        *three_arms(), trial(reveal_epoch="masked", stops=False), *selection((0.3, 0.3, 0.3)), *traits((0.3, 0.3, 0.3)),
        *penalised(4.0, myopic=True, sighted=False), *penalised(12.0, myopic=True, sighted=True), shown(),
        *hidden(ZERO, sighted=1.0, with_it=0.1, later=0.1), of_two_epochs(1.0),
    ]  # fmt: skip
    found = judge_all(list(CLAIMS.values()), table_of(*everything))
    assert [len(each.controls) for each in found] == [3, 2, 2, 2, 2, 2, 2, 2]
    assert {each.id: [control.came_out for control in each.controls] for each in found} == {
        each.id: ["held"] * len(each.controls) for each in found
    }


def test_what_was_not_run_is_not_judged():
    assert {each.judge(table_of(trial(learner="other"))).verdict for each in CLAIMS.values()} == {"not judged"}
    past = trial(cutoff=float(E))  # never a stop to be seen
    assert {each.judge(table_of(past)).verdict for each in CLAIMS.values()} == {"not judged"}


def test_a_seed_must_run_and_stop_and_a_diverged_one_does_neither():
    running = np.array([[1, 1, 1, 0], [1, 0.5, 0, 0], [1, 1, 1, 1], [1, 1, 0.95, 0.05]])
    rows = trial(diverged=np.arange(SEEDS) == 36)
    for i in range(E):
        rows[f"running_{i}"] = np.tile(running[:, i], SEEDS // 4)
    found = runs_then_stops(Trials(rows), 0.9)
    assert found[:4].tolist() == [1, 0, 0, 1] and np.nansum(found) == SEEDS / 2 - 1 and np.isnan(found[36])
    assert np.nansum(runs_then_stops(Trials(rows), 0.99)) == SEEDS / 4 - 1


def test_measures_by_hand():
    rows = Trials(trial(**by_epoch("acting", [1, 0.5, 0, 0]), **by_epoch("lured", [0.5, 0.5, 0, 0])))
    assert lure_rate(rows, 0, 2) == pytest.approx(np.full(SEEDS, 1 / 1.5))
    assert np.isnan(lure_rate(rows, 2, 4)).all()
    assert intensity(rows) == pytest.approx(np.full(SEEDS, 1 / 1.5))  # before epoch K - 1 = 2
    first = Trials(trial(cutoff=2.0, **by_epoch("acting", [1, 0.5, 0, 0]), **by_epoch("lured", [0.5, 0.5, 0, 0])))
    assert intensity(first) == pytest.approx(np.full(SEEDS, 0.5))


def test_a_rate_is_chosen_where_most_seeds_learn_the_short_run():
    rates = {0.1: 0.5, 0.2: 1.0, 0.3: 1.0}
    rows = table_of(*(trial(learning_rate=rate, learned=share) for rate, share in rates.items()))
    assert best_rate(rows) == 0.2
    several = itertools.chain.from_iterable(
        three_arms(learning_rate=rate, short={"learned": share}, recipe={"stops": share == 1})
        for rate, share in rates.items()
    )
    found = judged("runs-then-stops", *several)
    assert found.verdict == "supported" and found.evidence[0].interval.n == SEEDS - 16


@pytest.mark.parametrize("field", [{"sure": 0.5}, {"sure": 1.0}, {"lowered": 0.0}, {"lowered": 1.0}])
def test_thresholds_are_checked(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        Thresholds(**field)


def test_every_name_has_a_number():
    assert set(NAMES) == {"schedule", "lure", "credit", "baseline"}
