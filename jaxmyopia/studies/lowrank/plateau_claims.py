# SPDX-License-Identifier: Apache-2.0
"""Claims about plateaus and descents: two plateaus, full rank, what Adam regains, what AdamW is blamed for."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, paired, share
from jaxmyopia.claims.quantity import Quantity
from jaxmyopia.measures import Measure
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank import controls
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.pieces import RATE, at_best_rates, at_matched, at_steady_rates, beside_best, only

MARGIN = 0.5  # of a descent or a plateau: what still counts as the same number on average
LEAST = 0.25  # of a plateau: the least excess that counts
MOST = 4  # greater counts are taken for this many, so that one wild seed cannot decide a mean, and equal ones bound it
RARE = 0.1  # of seeds: what shows in fewer is called absent
LOSSES, OPTIMIZERS = ("square", "cross_entropy"), ("sgd", "adam")


def more(one: Trials, other: Trials, measure: Measure, **how: Any) -> Quantity:
    """How many more stages one side has, on the same seeds."""
    return paired(one, other, measure, functools.partial(np.minimum, MOST), range=(0, MOST), **how)


def two_plateaus(thresholds: Thresholds) -> Claim:
    """The thread's first observation, at each steady rate: how many seeds show it, and how it compares."""

    def exactly(rows: Trials) -> Evidence:
        found = share(rows, thresholds.plateaus, lambda count: count == 2)
        return found.named("share of seeds with exactly two plateaus").above(0.5)

    def at_least(rows: Trials) -> Evidence:
        found = share(rows, thresholds.plateaus, lambda count: count >= 2)
        return found.named("share of seeds with two plateaus or more").above(0.5)

    def excess(entropy: Trials, square: Trials) -> Evidence:
        found = more(entropy, square, thresholds.plateaus, apart=RATE)
        return found.named("plateaus, cross-entropy minus square loss").above(0, least=LEAST)

    def staircases(trials: Trials) -> list[Evidence]:
        two, three = (exactly(controls.staircase(trials, modes=modes)).at(f"{modes} modes") for modes in (2, 3))
        return [*only(two, time="linear"), *only(three, time="log")]

    passes = {"staircases of two modes, and of three in log time": staircases}
    fails = {"a staircase of one mode": lambda trials: exactly(controls.staircase(trials, modes=1)),
             "decays without a stage": lambda trials: at_least(controls.decay(trials))}  # fmt: skip

    @claim("At rank 2, cross-entropy shows two plateaus.", id="ce-two-plateaus", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        narrow = trials.where(rank=2)
        entropy = narrow.where(loss="cross_entropy")
        found: list[Evidence] = []
        for optimizer in OPTIMIZERS:
            mine = entropy.matching(optimizer=optimizer)
            found += at_steady_rates(mine, exactly, shown="exactly two", optimizer=optimizer)
            found += at_steady_rates(mine, at_least, shown="two or more", optimizer=optimizer)
            square = narrow.matching(loss="square", optimizer=optimizer)
            at = {"shown": "more than square loss", "optimizer": optimizer}
            found += at_steady_rates(mine, beside_best(square, excess), **at)
        return found

    return pieces


def full_rank_same(thresholds: Thresholds) -> Claim:
    """The thread's third; plateaus lie between descents, and are the same fact."""

    def same_descents(a: Trials, b: Trials) -> Evidence:
        found = more(a, b, thresholds.descents, apart=RATE)
        return found.named("descents, cross-entropy minus square loss").within(MARGIN)

    staircase = controls.staircase
    passes = {"one staircase at two rates": lambda t: same_descents(staircase(t), staircase(t, rate=controls.HALF))}
    fails = {"staircases of two modes and of one": lambda t: same_descents(staircase(t), staircase(t, modes=1))}
    text = "At full rank, cross-entropy looks like square loss."

    @claim(text, id="ce-full-rank-same", passes=passes, fails=fails, over=("time",))
    def pieces(trials: Trials) -> list[Evidence]:
        wide = _full_rank(trials)
        entropy, square = (wide.where(loss=loss) for loss in ("cross_entropy", "square"))
        found: list[Evidence] = []
        for name in OPTIMIZERS:
            mine, theirs = entropy.matching(optimizer=name), square.matching(optimizer=name)
            found += at_best_rates(mine, theirs, same_descents, optimizer=name)
        return found

    return pieces


def full_rank_plateau(thresholds: Thresholds) -> Claim:
    """The thread's observation of Adam under square loss; it can be regained only where SGD has none."""

    def regained(sgd: Trials, adam: Trials) -> Evidence:
        has, lacks = lambda a, s: a > 0, lambda a, s: s == 0
        found = share((adam, sgd), thresholds.plateaus, has, given=lacks, apart=RATE)
        return found.named("share with a plateau under Adam, of seeds with none under SGD").above(0.5)

    small, none = controls.staircase, controls.decay
    passes = {"a staircase in place of a decay": lambda trials: regained(none(trials), small(trials))}
    fails = {"two copies of SGD": lambda trials: regained(*controls.copies(none(trials)))}
    text = "With Adam and square loss, the full-rank case regains a plateau."

    @claim(text, id="adam-full-rank-plateau", passes=passes, fails=fails, over=("time",))
    def pieces(trials: Trials) -> list[Evidence]:
        square = _full_rank(trials).where(loss="square")
        sgd, adam = (square.matching(optimizer=name) for name in OPTIMIZERS)
        return list(at_matched(sgd, adam, regained))

    return pieces


def adamw_artefact(thresholds: Thresholds) -> Claim:
    """A reader's objection: what is seen under AdamW is not there under SGD."""

    def absent(rows: Trials) -> Evidence:
        found = share(rows, thresholds.plateaus, lambda count: count > 0)
        return found.named("share of seeds with a plateau under SGD").below(RARE)

    def excess(sgd: Trials, adamw: Trials) -> Evidence:
        found = more(adamw, sgd, thresholds.plateaus, apart=RATE)
        return found.named("plateaus, AdamW minus SGD, same seed").above(0, least=LEAST)

    def both(sgd: Trials, adamw: Trials) -> list[Evidence]:
        return [absent(sgd).at("absent under SGD"), excess(sgd, adamw).at("more under AdamW")]

    none, small = controls.decay, controls.staircase
    passes = {"a decay under SGD, a staircase under AdamW": lambda trials: both(none(trials), small(trials))}
    fails = {"two copies of SGD": lambda trials: both(*controls.copies(small(trials)))}
    text = "Phase changes are an artefact of AdamW and absent under SGD."

    @claim(text, id="adamw-artefact", passes=passes, fails=fails, over=("time", "budget"))
    def pieces(trials: Trials) -> list[Evidence]:
        adamw = trials.where(optimizer="adamw").matching(weight_decay=controls.DECAY)
        return _each_problem(trials.where(optimizer="sgd"), adamw, absent, excess)

    return pieces


def _each_problem(sgd: Trials, adamw: Trials, absent: Callable, excess: Callable) -> list[Evidence]:
    found: list[Evidence] = []
    for loss in LOSSES:
        for rank in sorted(sgd.unique("rank")):
            mine, theirs = (side.matching(loss=loss, rank=rank) for side in (sgd, adamw))
            at = {"loss": loss, "rank": rank}
            found += at_best_rates(mine, theirs, lambda s, w: absent(s), shown="absent under SGD", **at)
            found += at_best_rates(mine, theirs, excess, shown="more under AdamW", **at)
    return found


def _full_rank(trials: Trials) -> Trials:
    return trials.where(rank=int(trials["n"].max()))
