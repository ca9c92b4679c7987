# SPDX-License-Identifier: Apache-2.0
"""The five claims on tables made up so that the right verdicts are known."""

import itertools

import numpy as np
import pytest

from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.claims import make_claims
from jaxmyopia.studies.epochs.measures import Thresholds, best_rate, lure_rate, runs_then_stops, stops_where_unseen
from jaxmyopia.studies.epochs.params import NAMES, code

SEEDS, E, K = 80, 4, 2
THRESHOLDS = Thresholds()


def columns(name, values):
    return {f"{name}_{i}": np.broadcast_to(np.asarray(x, float), SEEDS) for i, x in enumerate(values)}


def trial(**changed):
    """Rows of one trial: by default an agent that runs and stops, takes no lures, and stops where it saw nothing."""
    stops = changed.pop("stops", True)
    running = np.array([1, 1, 0, 0] if stops else [1, 1, 1, 1], float)
    rows = {
        "seed": np.arange(SEEDS), "diverged": np.zeros(SEEDS, bool), "study": "epochs", "learner": "ppo",
        "optimizer": "adam", "reveal_epoch": "one_hot", "population": np.nan, "epochs": E,
        "schedule": code("schedule", "negative"),
        "lure": code("lure", "invest"), "credit": code("credit", "run"), "cutoff": float(K), "learning_rate": 0.1,
        "flat_from": np.nan, "value_share": 1.0, "usefulness": 1.0, "interval": np.nan, "swap": np.nan,
    }  # fmt: skip
    rows |= columns("running", running) | columns("acting", running) | columns("lured", 0 * running)
    rows |= columns("longer", [*running, *running]) | columns("masked", running) | columns("dropped", [1, 1] + [0] * 6)
    rows |= changed
    return {
        name: value if isinstance(value, np.ndarray) and value.shape else np.full(SEEDS, value, np.asarray(value).dtype)
        for name, value in rows.items()
    }


def table_of(*trials):
    measured = (
        "seed",
        "diverged",
        "value_share",
        "usefulness",
        "running",
        "acting",
        "lured",
        "longer",
        "masked",
        "dropped",
    )
    settings = tuple(name for name in trials[0] if not name.startswith(measured))
    return Trials({name: np.concatenate([rows[name] for rows in trials]) for name in trials[0]}, (settings,))


def flat(**changed):
    return trial(schedule=code("schedule", "flat"), stops=False, **changed)


def population(interval, swap, rate):
    noise = np.random.default_rng(0).normal(0, 0.001, SEEDS)
    changed = columns("lured", [0] * E) | {"lured_0": rate + noise}
    own = {"learner": "selection", "population": 10.0, "interval": interval, "swap": swap, "reveal_epoch": ""}
    return trial(**(changed | own))


def recipe_and_rest(*, hidden_stops=False, flat_lures=0.5):
    lured = np.random.default_rng(1).uniform(max(flat_lures - 0.05, 0), flat_lures + 0.05, SEEDS)
    trials = [trial(), trial(reveal_epoch="masked", stops=hidden_stops), flat(lured_0=lured), trial(flat_from=5.0)]
    rates = {(0.0, 0.0): 0.02, (0.0, 1.0): 0.02, (10.0, 0.0): 0.3, (10.0, 1.0): 0.01}
    return trials + [population(interval, swap, rate) for (interval, swap), rate in rates.items()]


def verdicts(*trials):
    return {each.id: each.verdict for each in judge_all(make_claims(THRESHOLDS), table_of(*trials))}


def pieces(*trials):
    judged = judge_all(make_claims(THRESHOLDS), table_of(*trials))
    return {each.id: {piece.name: piece.verdict for piece in each.evidence} for each in judged}


def test_each_claim_is_supported_by_what_it_says():
    assert set(verdicts(*recipe_and_rest()).values()) == {"supported"}


def test_each_claim_is_contradicted_by_the_opposite():
    same = [population(interval, swap, 0.02) for interval, swap in itertools.product((0.0, 10.0), (0.0, 1.0))]
    trials = [
        trial(stops=False, **columns("dropped", [1] * 8)), trial(reveal_epoch="masked"),
        flat(lured_0=np.zeros(SEEDS)), trial(flat_from=5.0, stops=False), *same,
    ]  # fmt: skip
    found = verdicts(*trials)
    # The recipe lowers nothing, and is as useful; selection changes nothing: there is nothing that a swap could undo.
    assert found.pop("avoids-cross-epoch") == "depends on the condition"
    assert found.pop("selection-undoes-it") == "no difference"
    assert set(found.values()) == {"contradicted"}


def test_stopping_without_the_index_contradicts_that_it_is_needed():
    assert verdicts(*recipe_and_rest(hidden_stops=True))["index-needed"] == "contradicted"


def test_fewer_lures_at_less_usefulness_are_not_what_was_claimed():
    trials = recipe_and_rest()
    trials[0] = trial(usefulness=np.random.default_rng(2).uniform(0.5, 0.6, SEEDS))
    assert pieces(*trials)["avoids-cross-epoch"] == {"ppo, invest": "supported", "ppo, usefulness": "contradicted"}


def test_a_difference_too_small_to_count_is_called_so():
    found = pieces(*recipe_and_rest(flat_lures=0.005))["avoids-cross-epoch"]["ppo, invest"]
    assert found == "real but small"  # uniform on [0, 0.055]: 0.027, where 0.05 is asked, and 0.01 at another choice


def test_a_learner_or_credit_that_does_not_show_it_is_a_condition():
    trials = *recipe_and_rest(), trial(credit=code("credit", "epoch"), stops=False)
    assert verdicts(*trials)["runs-then-stops"] == "depends on the condition"
    assert pieces(*trials)["runs-then-stops"] == {"ppo, run credit": "supported", "ppo, epoch credit": "contradicted"}


def test_controls_are_planted_agents_that_must_pass_and_fail():
    judged = judge_all(make_claims(THRESHOLDS), table_of(*recipe_and_rest()))
    assert [len(each.controls) for each in judged] == [2] * 5
    assert {control.came_out for each in judged for control in each.controls} == {"held"}


def test_what_was_not_run_is_not_judged():
    assert set(verdicts(flat()).values()) == {"not judged"}
    assert set(verdicts(trial(cutoff=float(E))).values()) == {"not judged"}  # never a stop to be seen


def test_a_seed_must_run_and_stop_and_a_diverged_one_does_neither():
    running = np.array([[1, 1, 0, 0], [1, 0.5, 0, 0], [1, 1, 1, 0], [1, 0.95, 0.05, 0]])
    rows = trial(diverged=np.arange(SEEDS) == 36)
    for i in range(E):
        rows[f"running_{i}"] = np.tile(running[:, i], SEEDS // 4)
    found = runs_then_stops(Trials(rows), 0.9)
    assert found[:4].tolist() == [True, False, False, True] and found.sum() == 39
    assert runs_then_stops(Trials(rows), 0.99).sum() == 19


def test_measures_by_hand():
    rows = Trials(trial(**columns("acting", [1, 0.5, 0, 0]), **columns("lured", [0.5, 0.5, 0, 0])))
    assert lure_rate(rows, 0, 2) == pytest.approx(np.full(SEEDS, 1 / 1.5))
    assert np.isnan(lure_rate(rows, 2, 4)).all()
    assert stops_where_unseen(Trials(trial(**columns("dropped", [1] * 4 + [0.2, 0.4, 0, 0]))))[0] == pytest.approx(0.85)
    worse = trial(learning_rate=0.5, value_share=np.where(np.arange(SEEDS) < 30, 1.0, 0.0))
    assert best_rate(table_of(trial(), worse)) == 0.1


@pytest.mark.parametrize("bad", [{"sure": 0.5}, {"sure": 1.2}, {"lowered": 0}, {"lowered": -1}])
def test_bad_thresholds_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        Thresholds(**bad)


def test_every_name_has_a_number():
    assert set(NAMES) == {"schedule", "lure", "credit", "baseline"}
