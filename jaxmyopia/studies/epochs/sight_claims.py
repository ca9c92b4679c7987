# SPDX-License-Identifier: Apache-2.0
"""Two claims about where the recipe could tell sight, or change it: a penalty in place of the cap, a hidden cutoff."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, paired, share
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.arm_claims import Pieces, asked
from jaxmyopia.studies.epochs.arms import arm, column
from jaxmyopia.studies.epochs.calculations import penalty_borders
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.measures import IN_FIRST, Thresholds
from jaxmyopia.studies.epochs.params import NAMES, code
from jaxmyopia.studies.epochs.planned import planned
from jaxmyopia.studies.epochs.rows import lacking, rows_of, went_flat

_HAZARD_SIDES = ("less than without it", "less than in a run of two epochs", "less even once it is gone")
Agents = Callable[[Trials], Trials]


def _as_they_are(rows: Trials) -> Trials:
    return rows


def tells(lure: str, penalty: float, epoch_steps: int) -> bool:
    """Whether the planner stops on arrival at K under `epoch` credit and not under `run` credit."""
    past = {name: penalty_borders(LURES[lure], name, epoch_steps=epoch_steps) for name in ("epoch", "run")}
    return past["epoch"][2] < penalty < past["run"][2]


def stop_shows_myopia(thresholds: Thresholds) -> Claim:
    """By learner, lure, penalty and cutoff: of one seed trained under both credits, does the myopic one alone stop?"""

    def ask(
        trials: Trials, agents: Agents = _as_they_are, only: Callable[[str, float, int], bool] | None = None
    ) -> Pieces:
        found = []
        for learner, rows in rows_of(trials.main).penalties.items():
            for (lure, penalty, cutoff), mask in rows.groups(["lure", "penalty", "cutoff"]).items():
                mine, name = rows.keep(mask), NAMES["lure"][int(lure)]
                if only and not only(name, penalty, int(mine["epoch_steps"][0])):
                    continue
                sides = [agents(mine.matching(credit=code("credit", each))) for each in ("epoch", "run")]
                if not all(map(len, sides)):
                    continue
                at = {"learner": learner, "lure": name, "penalty": penalty, "cutoff": cutoff}
                whys = (
                    ["", ""]
                    if agents is planned
                    else [
                        lacking(side, f"its runs under {each} credit")
                        for side, each in zip(sides, ("epoch", "run"), strict=True)
                    ]
                )
                found.append(asked(whys[0] or whys[1], functools.partial(stop, *sides), **at))
        return found

    def stop(myopic: Trials, sighted: Trials) -> Evidence:
        alone = lambda myopic, sighted: (myopic == 1) & (sighted == 0)
        found = share((myopic, sighted), thresholds.stops_on_arrival, alone, apart=("credit",))
        return found.named(
            "share of seeds that stop on arrival at K under epoch credit and not under run credit"
        ).above(0.5)

    told = lambda want: lambda trials: ask(trials, planned, lambda *at: tells(*at) == want)
    text = "With a penalty instead of a cap, who stops at K is who was trained myopically."
    passes = {"the planner's agents at penalties that tell them apart": told(True)}
    fails = {"the planner's agents at penalties that do not": told(False)}
    return claim(text, id="stop-shows-myopia", passes=passes, fails=fails)(ask)


def uncertainty_shortens_sight(thresholds: Thresholds) -> Claim:
    """Under run credit, by learner, cap and hazard: `invest` in the first epoch, of agents that know that there will be
    more. Three parts: against no hazard, against the run of two epochs, and after as long without the hazard."""

    def ask(trials: Trials, agents: Agents = _as_they_are) -> Pieces:
        found = []
        for learner, rows in rows_of(trials.main).hazards.items():
            whole, short = rows.keep(np.isnan(column(rows, "length"))), arm(rows, "short")
            for schedule in whole.unique("schedule"):
                mine = whole.matching(schedule=schedule)
                hazards = [each for each in mine.unique("hazard") if each]
                found += [each for hazard in hazards for each in _at(learner, mine, short, hazard, agents)]
        return found

    def _at(learner: str, mine: Trials, short: Trials, hazard: float, agents: Agents) -> Pieces:
        later, here = mine.keep(went_flat(mine)), mine.keep(~went_flat(mine))
        with_it = here.matching(hazard=hazard)
        sides = (with_it, here.matching(hazard=0.0)), (with_it, short), (
            later.matching(hazard=hazard), later.matching(hazard=0.0)
        )  # fmt: skip
        why = lacking(with_it, "runs with the hazard") if agents is _as_they_are else ""
        at = {"learner": learner, "cap": NAMES["schedule"][int(mine["schedule"][0])], "hazard": hazard}
        return [
            asked(why, functools.partial(less, agents(one), agents(other)), shown=words, **at)
            for (one, other), words in zip(sides, _HAZARD_SIDES, strict=True) if len(one) and len(other)
        ]  # fmt: skip

    def less(one: Trials, other: Trials) -> Evidence:
        how: dict[str, Any] = {"apart": ("hazard", "schedule", "length", "cutoff", "flat_from")}
        found = paired(one, other, IN_FIRST, **how).named("lures a step in the first epoch, difference")
        return found.below(0, least=thresholds.lowered)

    def sighted(rows: Trials) -> Trials:
        return planned(rows, lambda rows: np.where(rows["hazard"] > 0, 0.0, 1.0))

    text = "With a hidden random cutoff agents invest less in the next epoch, and keep doing so when it is gone."
    passes = {"agents that are myopic for good where there was a hazard": functools.partial(ask, agents=sighted)}
    fails = {"the planner's agents": functools.partial(ask, agents=planned)}
    return claim(text, id="uncertainty-shortens-sight", passes=passes, fails=fails)(ask)
