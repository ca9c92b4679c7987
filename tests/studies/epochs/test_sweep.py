# SPDX-License-Identifier: Apache-2.0
"""The cells of the myopia sweep: every comparison has its short run, and nothing is left to run unsaid."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.params import NEVER, code
from jaxmyopia.studies.epochs.parts import Hazards, Leaks, Penalties, Transfer
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.studies.epochs.sweep import PARTS, PRESETS, Sweep

SMALL = Sweep(
    epochs=6, cutoff=(1, 2, 4), seeds=24, learners=("reinforce", "qlearning"),
    leaks=Leaks(populations=(4, 0), traces=(0.5, 0.9)), transfer=Transfer(codes=("scalar", "digits"), debts=(0.0, 2.0)),
)  # fmt: skip


def arms_of(cell):
    """The arms of a cell's combinations: cutoff, and recipe, flat or short."""
    names = [name for name, _ in cell.sweep]
    found = set()
    for values in cell.combinations:
        at = dict(zip(names, values, strict=True))
        short = "length" in at
        assert not short or (at["length"] == at["cutoff"] and at["schedule"] == code("schedule", "flat"))
        found.add((at["cutoff"], "short" if short else "recipe" if at["schedule"] == 0 else "flat"))
    return found


@functools.cache
def cells_of(part, sweep=SMALL):
    return dataclasses.replace(sweep, parts=(part,)).cells()


@pytest.mark.parametrize("learner", ["selection", "trait", "ppo"])
def test_every_leak_is_run_in_three_arms_wherever_there_is_an_epoch_before_the_last(learner):
    mine = [cell for cell in cells_of("leaks") if cell.study.settings()["learner"] == learner]
    found = set().union(*map(arms_of, mine))
    assert found == set(itertools.product((2.0, 4.0), ("recipe", "flat", "short")))


def test_each_learner_is_run_in_three_arms_and_without_the_index_under_the_recipe_alone():
    found = {}
    for cell in cells_of("recipe"):
        settings = cell.study.settings()
        found.setdefault((settings["learner"], settings["reveal_epoch"]), set()).update(arms_of(cell))
    every = set(itertools.product((1.0, 2.0, 4.0), ("recipe", "flat", "short")))
    recipe = {(cutoff, "recipe") for cutoff in (1.0, 2.0, 4.0)}
    assert found == {(name, reveal): every if reveal == "one_hot" else recipe
                     for name in ("reinforce", "qlearning") for reveal in ("one_hot", "masked")}  # fmt: skip


def test_parts_share_the_programs_of_the_recipe():
    plain = {cell.study for cell in cells_of("recipe")}
    assert {cell.study for part in ("penalties", "hazards") for cell in cells_of(part)} <= plain


def test_q_learning_takes_plain_steps_whatever_the_others_do_and_no_rewards_by_chance():
    assert SMALL.trained() == [("reinforce", "adam"), ("qlearning", "sgd")]
    several = dataclasses.replace(SMALL, optimizers=("adam", "lion"))
    assert several.trained() == [("reinforce", "adam"), ("reinforce", "lion"), ("qlearning", "sgd")]
    assert {cell.study.settings()["learner"] for cell in cells_of("hazards")} == {"reinforce"}


def test_a_hazard_is_run_with_it_after_it_and_without_it():
    long, short = cells_of("hazards")
    assert dict(long.sweep)["hazard"] == (0.0, *SMALL.hazards.hazards)
    budget = SMALL.budget("reinforce")
    assert dict(long.sweep)["flat_from"] == (budget, NEVER) and long.steps == short.steps == 2 * budget
    assert dict(short.sweep)["length"] == (2.0,)


def test_cutoffs_of_training_are_below_the_runs_end_and_leave_some_out():
    shown = [cell for cell in cells_of("transfer") if cell.study.settings()["show_cutoff"]]
    assert {cell.study.settings()["train_cutoffs"] for cell in shown} == {"1 2 4 5"}
    assert {dict(cell.sweep)["cutoff"] for cell in shown} == {(3.0,)}
    later = [cell for cell in cells_of("transfer") if not cell.study.settings()["show_cutoff"]]
    assert {dict(cell.sweep)["debt"] for cell in later} == {(0.0, 2.0)}


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("leaks", {"cutoff": (1,)}), ("penalties", {"cutoff": (0, 6)}), ("penalties", {"penalties": Penalties(())}),
        ("hazards", {"hazards": Hazards(())}), ("leaks", {"leaks": Leaks(leaks=())}),
    ],
)  # fmt: skip
def test_a_sweep_of_nothing_is_refused(part, changed):
    with pytest.raises(ValueError, match="must leave something to run"):
        cells_of(part, dataclasses.replace(SMALL, **changed))


def test_presets_run_every_part():
    for sweep in PRESETS.values():
        assert sweep.parts == PARTS and all(cells_of(part, sweep) for part in PARTS)


def test_optimistic_q_learning_learns_what_pays_later():
    """Under run credit lures pay in the next epoch: one who starts without hope stops looking."""
    shares = {}
    for optimism in (0.0, 3.0):
        study = Myopia(
            epochs=4, epoch_steps=3, learner="qlearning", policy="table", optimizer="sgd",
            settings_of_learner=Settings(runs_a_batch=32, optimism=optimism),
        )  # fmt: skip
        found = jm.run(
            study, seeds=24, steps=200, records=4, progress=False, keep_curves=0, schedule=0.0, lure=1.0, credit=1.0,
            cutoff=3.0, learning_rate=0.9,
        )  # fmt: skip
        shares[optimism] = float(np.mean(found.trials["value_share"] >= 0.95))
    assert shares[3.0] == 1 and shares[0.0] < 0.5
