# SPDX-License-Identifier: Apache-2.0
"""Finds the rows of a finished run that a claim or a figure is about."""

import dataclasses
import functools

import numpy as np

from jaxmyopia.claims.choosing import GUARD, choosing, judged
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.arms import arm, column, is_true
from jaxmyopia.studies.epochs.learners import LEARNERS
from jaxmyopia.studies.epochs.measures import GOOD, best_rate, worth
from jaxmyopia.studies.epochs.params import NEVER


@dataclasses.dataclass(frozen=True)
class Leak:
    """A leak: trials with it, and of its twin without it, in all arms.

    `name`: of the leak. `kind`: selection, trait or traces. `swapped`: with context swap; None of leaks that know none.
    `planted`: whether its agents were put in place of those that were trained.
    """

    name: str
    kind: str
    leaky: Trials
    twin: Trials
    swapped: Trials | None = None
    planted: bool = False


@dataclasses.dataclass(frozen=True)
class Rows:
    """A run's rows of the epoch environment, by what they are for; `(rows,)` each, empty where the run has none."""

    table: Trials

    @functools.cached_property
    def _alone(self) -> Trials:
        """Agents alone that see what is pending and not their cutoff."""
        found = self.table.keep(np.isin(self.table["learner"], LEARNERS)) if len(self.table) else self.table
        return found.keep(is_true(found, "show_pending") & ~is_true(found, "show_cutoff"))

    @functools.cached_property
    def _plain(self) -> Trials:
        """Of those, under a schedule that is known, without a penalty, where lures bind nobody."""
        known = np.isnan(column(self._alone, "hazard")) & np.isnan(column(self._alone, "penalty"))
        return self._alone.keep(known & ~is_true(self._alone, "lure_binds"))

    @functools.cached_property
    def trained(self) -> dict[str, Trials]:
        """By learner (with its optimiser, if there are several) its rows in the three arms, under every way to show the
        index, at its best rate; with several rates, those of the seeds that did not choose it."""
        return self._by_learner(self._plain.keep(np.isnan(column(self._plain, "flat_from"))), choose=True)

    @functools.cached_property
    def later(self) -> dict[str, Trials]:
        """By learner: of the recipe, and then as long under a flat schedule."""
        return self._by_learner(self._plain.keep(np.isfinite(column(self._plain, "flat_from"))))

    @functools.cached_property
    def bound(self) -> dict[str, Trials]:
        """By learner: trained where lures bind."""
        return self._by_learner(self._alone.keep(is_true(self._alone, "lure_binds")), choose=True)

    @functools.cached_property
    def penalties(self) -> dict[str, Trials]:
        """By learner: under a penalty in place of the cap."""
        return self._by_learner(self._alone.keep(np.isfinite(column(self._alone, "penalty"))))

    @functools.cached_property
    def hazards(self) -> dict[str, Trials]:
        """By learner: under a hidden random cutoff, also those that learned on without it."""
        return self._by_learner(self._alone.keep(np.isfinite(column(self._alone, "hazard"))))

    @functools.cached_property
    def transfer(self) -> dict[str, Trials]:
        """By code of the index: agents that see their cutoff."""
        shown = self.table.keep(is_true(self.table, "show_cutoff"))
        return {name: shown.matching(reveal_epoch=name) for name in shown.unique("reveal_epoch")} if len(shown) else {}

    def _by_learner(self, rows: Trials, *, choose: bool = False) -> dict[str, Trials]:
        pairs = dict.fromkeys(zip(rows["learner"].tolist(), rows["optimizer"].tolist(), strict=True))
        found = {}
        for learner, optimizer in pairs:
            mine = rows.matching(learner=learner, optimizer=optimizer)
            if choose and len(mine.unique("learning_rate")) > 1:
                asked = choosing(mine)
                shown = arm(asked, "short")
                mine = judged(mine.matching(learning_rate=best_rate(shown if len(shown) else asked)))
            several = sum(learner == other for other, _ in pairs) > 1
            found[f"{learner}, {optimizer}" if several else learner] = mine
        return found

    @functools.cached_property
    def leaks(self) -> list[Leak]:
        """Every leak of the run."""
        return [*self._selections(), *self._traits(), *self._traces()]

    def _selections(self) -> list[Leak]:
        rows = self.table.matching(learner="selection")
        found = []
        for size in rows.unique("population") if len(rows) else []:
            mine = rows.matching(population=size)
            for interval in (each for each in mine.unique("interval") if each):
                often = f"selection, {size:g} agents" + _apart(mine, "interval", interval, " every {:g}")
                leaky, twin, swapped = (
                    mine.matching(interval=each, swap=swap)
                    for each, swap in ((interval, 0.0), (0.0, 0.0), (interval, 1.0))
                )
                found.append(Leak(often, "selection", leaky, twin, swapped))
        return found

    def _traits(self) -> list[Leak]:
        rows = self.table.matching(learner="trait")
        if not len(rows):
            return []
        return [Leak("persistent trait", "trait", rows.matching(permuted=0.0), rows.matching(permuted=1.0))]

    def _traces(self) -> list[Leak]:
        blind = self.table.keep(np.isin(self.table["learner"], LEARNERS)) if len(self.table) else self.table
        blind = blind.keep(~is_true(blind, "show_pending") & np.isfinite(column(blind, "decay")))
        twin = blind.matching(decay=0.0) if len(blind) else blind
        decays = [each for each in blind.unique("decay") if each] if len(blind) else []
        return [Leak(f"critic, lambda {each:g}", "traces", blind.matching(decay=each), twin) for each in decays]


def _apart(rows: Trials, name: str, value: float, words: str) -> str:
    """Words that tell a value, where there are several besides 0."""
    return words.format(value) if sum(each != 0 for each in rows.unique(name)) > 1 else ""


def rows_of(table: Trials) -> Rows:
    """The `Rows` of a run's table; those of other studies are passed over."""
    return Rows(table.matching(study="epochs") if "study" in table.columns else table)


def went_flat(rows: Trials) -> np.ndarray:
    """Which trials learned on while the schedule was flat, `(rows,)`."""
    found = column(rows, "flat_from")
    return np.isfinite(found) & (found < NEVER)


def lacking(rows: Trials, of: str) -> str:
    """Why trials cannot be a premise: in words, how many seeds have not learned; empty where enough have.

    Args:
      rows: one a seed.
      of: what they are trials of.

    Returns:
      The reason.
    """
    share = float((worth(rows) >= GOOD).mean()) if len(rows) else 0.0
    return "" if share >= GUARD else f"{share:.0%} of seeds reach {GOOD:.0%} of the planner's value in {of}"
