# SPDX-License-Identifier: Apache-2.0
"""Two claims that are controls of the machinery: trained with the recipe, agents run until K and stop; by the index.

Whether a learner can be asked is told by the short run alone, in which there is nothing to be stopped for: that it
learns to work and to lure there says nothing of whether it stops where the recipe asks it to.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from jaxmyopia.claims import Claim, Evidence, claim, not_applicable, share
from jaxmyopia.claims.conditions import named
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.arms import arm
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.params import NAMES
from jaxmyopia.studies.epochs.planned import endless, memoryless, planned
from jaxmyopia.studies.epochs.rows import lacking, rows_of

Pieces = list[Evidence]


def asked(why: str, make: Callable[[], Evidence], **condition: Any) -> Evidence:
    """A piece under a condition; not applicable where there is a reason `why`."""
    return (not_applicable(why) if why else make()).at(named("", condition), **condition)


def each(rows: Trials) -> Iterator[tuple[dict[str, Any], Trials]]:
    """The trials of every lure, credit and cutoff, with what tells them apart."""
    for (lure, credit, cutoff), mask in rows.groups(["lure", "credit", "cutoff"]).items() if len(rows) else ():
        names = {"credit": f"{NAMES['credit'][int(credit)]} credit", "lure": NAMES["lure"][int(lure)]}
        yield names | {"cutoff": cutoff}, rows.keep(mask)


def like(rows: Trials, other: Trials) -> Trials:
    """Of other trials those under the lure, credit and cutoff that all rows share."""
    return other.matching(**{name: float(rows[name][0]) for name in ("lure", "credit", "cutoff")})


def learned(shown: Trials, short: Trials) -> str:
    """Why a learner cannot be asked about the recipe; empty where it has learned the short run."""
    return lacking(like(shown, short), "the run of K epochs")


def runs_then_stops(thresholds: Thresholds) -> Claim:
    """A control of the machinery: by learner, credit, lure and cutoff; and where lures bind."""

    def stop(rows: Trials) -> Evidence:
        stops = share(rows, thresholds.runs_then_stops, lambda stops: stops == 1)
        return stops.named("share of seeds that run until K and shut down in it").above(0.5)

    def pieces(trials: Trials) -> Pieces:
        found, rows = [], rows_of(trials)
        for binds, by_learner in ((False, rows.trained), (True, rows.bound)):
            for learner, mine in by_learner.items():
                short = arm(rows.trained[learner].matching(reveal_epoch="one_hot"), "short")
                for at, shown in each(arm(mine.matching(reveal_epoch="one_hot"), "recipe")):
                    more = {"shutdown": "not after lures" if binds else "always"} if rows.bound else {}
                    how = functools.partial(stop, shown)
                    found.append(asked(learned(shown, short), how, learner=learner, **at, **more))
        return found

    def of(agents: Callable[[Trials], Trials]) -> Callable[[Trials], Pieces]:
        def case(trials: Trials) -> Pieces:
            rows = rows_of(trials.main).trained.values()
            shown = [arm(mine.matching(reveal_epoch="one_hot"), "recipe") for mine in rows]
            return [stop(agents(mine)).at(mine["learner"][0]) for mine in shown if len(mine)]

        return case

    text = "Trained with the recipe, agents run until K and shut down."
    passes = {"the planner's agents": of(planned)}
    fails = {"the best agents without a memory": of(memoryless), "agents that never stop": of(endless)}
    return claim(text, id="runs-then-stops", passes=passes, fails=fails)(pieces)


def index_needed(thresholds: Thresholds) -> Claim:
    """Likewise: on the same seeds, with the index and without. What is pending could be a clock, too."""

    def stop(shown: Trials, hidden: Trials) -> Evidence:
        alone = lambda shown, hidden: (shown == 1) & (hidden == 0)
        stops = share((shown, hidden), thresholds.runs_then_stops, alone)
        return stops.named("share of seeds that run until K and shut down with the index and not without").above(0.5)

    def sides(trials: Trials) -> Iterator[tuple[str, Trials, Trials]]:
        for learner, mine in rows_of(trials).trained.items():
            shown, hidden = (
                arm(mine.matching(reveal_epoch=name), "recipe") for name in ("one_hot", "masked")
            )  # fmt: skip
            if len(shown) and len(hidden):
                yield learner, shown, hidden

    def pieces(trials: Trials) -> Pieces:
        found, trained = [], rows_of(trials).trained
        for learner, shown, hidden in sides(trials):
            short = arm(trained[learner].matching(reveal_epoch="one_hot"), "short")
            for at, mine in each(shown):
                how = functools.partial(stop, mine, like(mine, hidden))
                found.append(asked(learned(mine, short), how, learner=learner, **at))
        return found

    def of(with_index: Callable[[Trials], Trials], without: Callable[[Trials], Trials]) -> Callable[[Trials], Pieces]:
        def case(trials: Trials) -> Pieces:
            several = sides(trials.main)
            return [stop(with_index(shown), without(hidden)).at(learner) for learner, shown, hidden in several]

        return case

    text = "The epoch index is what makes that possible."
    passes = {"the planner's agents, that never stop without the index": of(planned, endless)}
    fails = {"the planner's agents, with the index and without": of(planned, planned)}
    return claim(text, id="index-needed", passes=passes, fails=fails)(pieces)
