# SPDX-License-Identifier: Apache-2.0
"""Claims about bumps: more under Adam than under SGD, at rank 1 too, and how common they are."""

import functools
from collections.abc import Sequence

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, paired, share
from jaxmyopia.claims.controls import planted
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank import controls
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.pieces import RATE, at_best_rate, at_matched
from jaxmyopia.studies.lowrank.plateau_claims import LOSSES, OPTIMIZERS

LEAST = 0.1  # of a bump a pair: the least excess that counts
MOST = 2  # greater counts are taken for this many, so that one wild seed cannot decide a mean, and equal ones bound it
COMMON, ALL = 0.25, 0.95  # shares of seeds: relatively common, and not in all cases


def more_bumps(thresholds: Thresholds, id: str, text: str, ranks: Sequence[int]) -> Claim:
    """Bumps of Adam minus SGD's, at each rank and loss, under each definition; a vector alone has no competition."""
    bumps = thresholds.bumps if min(ranks, default=2) > 1 else thresholds.bumps_by("inner", "cosine")

    def excess(sgd: Trials, adam: Trials) -> Evidence:
        capped = functools.partial(np.minimum, MOST)
        difference = paired(adam, sgd, bumps, capped, apart=RATE, range=(0, MOST))
        return difference.named("bumps a pair, Adam minus SGD, same seed").above(0, least=LEAST)

    passes = {"Adam at six hundred times the start's scale": lambda trials: excess(*controls.leaping(trials))}
    fails = {"two copies of SGD": lambda trials: excess(*controls.copies(controls.staircase(trials)))}

    @claim(text, id=id, passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        found: list[Evidence] = []
        for loss in LOSSES:
            for rank in ranks:
                mine = trials.matching(loss=loss, rank=rank)
                sgd, adam = (mine.matching(optimizer=name) for name in OPTIMIZERS)
                found += at_matched(sgd, adam, excess, loss=loss, rank=rank)
        return found

    return pieces


def bumps_common(thresholds: Thresholds) -> Claim:
    """How often a run of rank 2 shows a bump at all, at each optimiser's best rate."""

    def common(rows: Trials) -> Evidence:
        found = share(rows, thresholds.bumps, lambda bumps: bumps > 0)
        return found.named("share of seeds with a bump").above(COMMON)

    def not_in_all(rows: Trials) -> Evidence:
        found = share(rows, thresholds.bumps, lambda bumps: bumps > 0)
        return found.named("share of seeds with a bump").below(ALL)

    def both(rows: Trials) -> list[Evidence]:
        return [common(rows).at("relatively common"), not_in_all(rows).at("not in all")]

    def in_some(trials: Trials, every: int) -> Trials:
        """A bump in one of so many seeds."""
        shown = lambda rows: 1.0 * (rows["seed"] % every == 0)
        return planted(controls.staircase(trials), **dict.fromkeys(thresholds.bumps.columns, shown))

    passes = {"a planted bump in every second seed": lambda trials: both(in_some(trials, 2))}
    fails = {
        "a planted bump in every seed": lambda trials: both(in_some(trials, 1)),
        "a planted bump in one of ten": lambda trials: both(in_some(trials, 10)),
    }
    text = "At rank 2, bumps are not in all cases, but relatively common."

    @claim(text, id="bumps-common", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        narrow = trials.where(rank=2)
        found: list[Evidence] = []
        for loss in LOSSES:
            for name in OPTIMIZERS:
                mine, at = narrow.matching(loss=loss, optimizer=name), {"loss": loss, "optimizer": name}
                found += at_best_rate(mine, common, shown="relatively common", **at)
                found += at_best_rate(mine, not_in_all, shown="not in all", **at)
        return found

    return pieces
