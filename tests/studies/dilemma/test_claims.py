# SPDX-License-Identifier: Apache-2.0
"""The nine predictions on tables made by hand, whose verdicts are known."""

import itertools

import numpy as np
import pytest

from jaxmyopia.claims import judge_all, mean
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma import claims as dilemma
from jaxmyopia.studies.dilemma.measures import cooperative
from jaxmyopia.studies.neutrality import claims as neutrality
from jaxmyopia.studies.neutrality.sweep import REWARDS

SEEDS = 200
HALF, NONE, ALL = np.arange(SEEDS) % 2.0, np.zeros(SEEDS), np.ones(SEEDS)


def make_table(early, late, neutral, useful) -> Trials:
    """A run's table; `early` and `late` `(learner, seen, population, swap)` and the others `(reward)` give columns."""
    parts = []
    for learner, (population, seen, swap) in itertools.product(
        ("policy_gradient", "q_all_past", "q_running"), ((1, 0.0, 0.0), (1, 1.0, 0.0), (10, 0.0, 0.0), (10, 0.0, 1.0))
    ):
        columns = {"study": "dilemma", "learner": learner, "population": population, "seen": seen, "swap": swap}
        columns |= {"epsilon": 0.1}
        columns |= dict.fromkeys(cooperative().columns, early(learner, seen, population, swap))
        columns |= dict.fromkeys(cooperative(late=True).columns, late(learner, seen, population, swap))
        parts.append(columns)
    for reward, (repeat_discount, per_length) in REWARDS.items():
        columns = {"study": "neutrality", "optimizer": "sgd", "repeat_discount": repeat_discount}
        columns |= {"per_length": per_length, "neutrality": neutral(reward), "usefulness": useful(reward)}
        parts.append(columns | {"pressed": 0.3})
    # As in a folder's table: a column that a study lacks holds None where it is text, NaN where it is a number.
    names = dict.fromkeys(itertools.chain(*parts))
    texts = {"study", "learner", "optimizer"}
    whole = {
        name: np.concatenate(
            [np.broadcast_to(np.asarray(p.get(name, None if name in texts else np.nan)), SEEDS) for p in parts]
        )
        for name in names
    }
    rows = SEEDS * len(parts)
    columns = whole | {"seed": np.tile(np.arange(SEEDS), len(parts)), "diverged": np.zeros(rows, bool)}
    settings = (
        "study",
        "learner",
        "population",
        "seen",
        "swap",
        "epsilon",
        "optimizer",
        "repeat_discount",
        "per_length",
    )
    return Trials(columns, (settings,))


def judged(table: Trials):
    return judge_all([*dilemma.CLAIMS, *neutrality.CLAIMS], table)


def verdicts(*columns) -> dict[str, str]:
    return {each.id: each.verdict for each in judged(make_table(*columns))}


def test_each_prediction_is_supported_by_what_it_says():
    def early(learner, seen, population, swap):
        fails = learner.startswith("q_") and not seen and not swap
        return (0.2 + 0.1 * HALF if population > 1 else HALF) if fails else NONE

    def late(learner, *rest):
        return NONE if learner == "q_running" else early(learner, *rest)

    found = verdicts(early, late, lambda reward: 0.99 * ALL if reward == "DREST" else NONE, lambda _: ALL - 0.01 * HALF)
    assert len(found) == 9 and set(found.values()) == {"supported"}


def test_each_prediction_is_contradicted_by_its_contrary():
    def early(learner, seen, population, swap):
        if learner.startswith("q_") and not seen and population == 1:
            return NONE
        return 0.5 + 0.2 * HALF if swap else (0.4 - 0.2 * HALF if population > 1 else HALF)

    def late(learner, *rest):
        return ALL if learner == "q_running" else early(learner, *rest)

    useful = {"DREST": 0.5 * ALL}
    found = verdicts(early, late, lambda reward: NONE if reward == "DREST" else ALL, lambda r: useful.get(r, ALL))
    assert found.pop("past-keeps-it") == "depends on the condition"  # as few at the end as before: the same, but none
    assert len(found) == 8 and set(found.values()) == {"contradicted"}


@pytest.mark.parametrize("study", ("dilemma", "neutrality", "epochs"))
def test_what_was_not_run_is_not_judged(study):
    table = make_table(*[lambda *_: HALF] * 4)
    found = judged(table.keep(table["study"] == study))
    assert (
        len({each.id for each in found if each.verdict != "not judged"})
        == {"dilemma": 6, "neutrality": 3, "epochs": 0}[study]
    )


def test_a_share_of_runs_has_wilsons_interval_and_a_share_of_agents_that_of_a_mean():
    def interval(values):
        columns = {"seed": np.arange(SEEDS), "diverged": np.zeros(SEEDS, bool), "share": values}
        return mean(Trials(columns), "share", range=(0, 1)).below(0.05).interval

    assert interval(NONE).method == interval(HALF).method == "Wilson"
    assert interval(0.2 + 0.1 * HALF + 0.01 * (np.arange(SEEDS) % 3)).method == "skewness-corrected t"
    assert interval(NONE).high > 0
