# SPDX-License-Identifier: Apache-2.0
"""Finds the rows of a finished run that a claim or a figure is about."""

import dataclasses

import numpy as np

from jaxmyopia.claims.choosing import choosing, judged
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.measures import best_rate
from jaxmyopia.studies.epochs.params import code


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows that claims are about, by learner.

    `trained`: learner's name (with its optimiser, if there are several) to all its rows `(rows,)` at its best rate;
    with several rates, those of the seeds that did not choose it.
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
    table = table.matching(study="epochs")
    if not len(table):
        return Rows(trained={}, populations=table)
    of_learners = table["learner"] != "selection"
    rows, trained = table.keep(of_learners), {}
    pairs = dict.fromkeys(zip(rows["learner"].tolist(), rows["optimizer"].tolist(), strict=True))
    for learner, optimizer in pairs:
        mine = rows.matching(learner=learner, optimizer=optimizer)
        if "one_hot" in mine["reveal_epoch"] and len(mine.unique("learning_rate")) > 1:
            rate = best_rate(choosing(mine.matching(reveal_epoch="one_hot")))
            mine = judged(mine.matching(learning_rate=rate))
        several = sum(learner == other for other, _ in pairs) > 1
        trained[f"{learner}, {optimizer}" if several else learner] = mine
    return Rows(trained=trained, populations=table.keep(~of_learners))


def pick(rows: Trials, *, reveal: str = "one_hot", went_flat: bool = False, **names: str) -> Trials:
    """A learner's trials under some settings; one a seed if all of schedule, lure and credit are named.

    Args:
      rows: of the learner, `(rows,)`.
      reveal: how the index is shown.
      went_flat: whether training went on under a flat schedule.
      **names: of schedule, lure and credit.

    Returns:
      The trials; none if they were not run.
    """
    mine = rows.keep(np.isfinite(_column(rows, "flat_from")) == went_flat)
    return mine.matching(reveal_epoch=reveal, **{setting: code(setting, name) for setting, name in names.items()})


def recipe(rows: Trials, credit: str, *, reveal: str = "one_hot", went_flat: bool = False) -> Trials:
    """The trials of the recipe under a credit and every lure; only those that have epochs past K, which may be none."""
    found = pick(rows, reveal=reveal, went_flat=went_flat, schedule="negative", credit=credit)
    return found.keep(found["cutoff"] < found["epochs"])
