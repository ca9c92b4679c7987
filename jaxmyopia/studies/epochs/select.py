# SPDX-License-Identifier: Apache-2.0
"""Finds the rows of a finished run that a claim or a figure is about."""

import dataclasses

import numpy as np

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.measures import best_rate, cutoff_of
from jaxmyopia.studies.epochs.params import NAMES, code


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows that claims are about, by learner.

    `trained`: learner's name (with its optimiser, if there are several) to all its rows `(rows,)` at its best rate.
    `populations`: the rows of selection.
    """

    trained: dict[str, Trials]
    populations: Trials


def _column(table: Trials, name: str) -> np.ndarray:
    """A column `(rows,)`, all NaN if the run has none of it."""
    return table[name].astype(float) if name in table.columns else np.full(len(table), np.nan)


def arrange(table: Trials) -> Rows:
    """Sorts a run's rows by learner; those of other studies are passed over.

    Args:
      table: rows `(cells x trials,)`, as the runner writes them.

    Returns:
      The `Rows`.
    """
    table = table.where(study="epochs")
    if not len(table):
        return Rows(trained={}, populations=table)
    of_learners = table["learner"] != "selection"
    rows, trained = table.keep(of_learners), {}
    pairs = dict.fromkeys(zip(rows["learner"].tolist(), rows["optimizer"].tolist(), strict=True))
    for learner, optimizer in pairs:
        mine = rows.where(learner=learner, optimizer=optimizer)
        if "one_hot" in mine["reveal_epoch"]:
            mine = mine.where(learning_rate=best_rate(mine.where(reveal_epoch="one_hot")))
        several = sum(learner == other for other, _ in pairs) > 1
        trained[f"{learner}, {optimizer}" if several else learner] = mine
    return Rows(trained=trained, populations=table.keep(~of_learners))


def pick(rows: Trials, *, reveal: str = "one_hot", went_flat: bool = False, **names: str) -> Trials:
    """One trial of a learner's rows, one row a seed.

    Args:
      rows: of the learner, `(rows,)`.
      reveal: how the index is shown.
      went_flat: whether training went on under a flat schedule.
      **names: of schedule, lure and credit.

    Returns:
      The rows, `(S,)`; none if it was not run.
    """
    mine = rows.keep(np.isfinite(_column(rows, "flat_from")) == went_flat)
    return mine.where(reveal_epoch=reveal, **{setting: code(setting, name) for setting, name in names.items()})


def names_in(rows: Trials, setting: str) -> list[str]:
    """The names of a setting's values in rows of any shape `(rows,)`."""
    return [NAMES[setting][int(value)] for value in rows.unique(setting)]


def recipe_trials(rows: Trials, credit: str, *, reveal: str = "one_hot", went_flat: bool = False) -> dict[str, Trials]:
    """By lure, the rows `(S,)` of the recipe under a credit; only those that were run and have epochs past K."""
    found = {
        lure: pick(rows, reveal=reveal, went_flat=went_flat, schedule="negative", lure=lure, credit=credit)
        for lure in names_in(rows, "lure")
    }
    return {lure: trial for lure, trial in found.items() if len(trial) and cutoff_of(trial) < trial["epochs"][0]}
