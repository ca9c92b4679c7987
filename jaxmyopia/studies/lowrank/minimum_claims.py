# SPDX-License-Identifier: Apache-2.0
"""Claims about who reaches the minimum: rank 10 under cross-entropy, and what weight decay does."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, not_applicable, paired, share
from jaxmyopia.claims.conditions import named
from jaxmyopia.claims.controls import planted
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank import controls
from jaxmyopia.studies.lowrank.bump_claims import LEAST as LEAST_BUMPS
from jaxmyopia.studies.lowrank.bump_claims import MOST as MOST_BUMPS
from jaxmyopia.studies.lowrank.matching import NoRate, best_rate, judged
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, FINAL_RATIO, HALF_TIME, Thresholds
from jaxmyopia.studies.lowrank.pieces import OF_TWO, RATE, at_best_rate, at_best_rates, by_scale
from jaxmyopia.studies.lowrank.plateau_claims import LOSSES, MARGIN, OPTIMIZERS, more

TENFOLD = 1.0  # log10 of the final loss: the least excess that counts
LOWEST, HIGHEST = -10.0, 2.0  # log10 of a final loss over the first: below, rounding noise; above, all the same
FASTER = 0.1  # of a halving: the least gain in half-time that counts
MOST_HALVINGS = 4  # half-times further apart count as so far apart


def rank10_stuck(thresholds: Thresholds) -> Claim:
    """The thread's second: by itself, and beside rank 2."""

    def stuck(rows: Trials) -> Evidence:
        zero = share(rows, thresholds.at_zero, lambda is_zero: is_zero == 1)
        return zero.named("share of seeds whose loss is zero").below(0.5)

    def behind(ten: Trials, two: Trials) -> Evidence:
        difference = paired(ten, two, thresholds.at_zero, apart=RATE, range=(0, 1))
        return difference.named("share of seeds whose loss is zero, rank 10 minus rank 2").below(0)

    passes = {"a rate 200 times too low": lambda trials: stuck(controls.staircase(trials, rate=controls.SLOW))}
    fails = {"a staircase that ends": lambda trials: stuck(controls.staircase(trials))}
    text = "With cross-entropy, rank 10 has trouble finding the zero-loss solution."

    @claim(text, id="ce-rank10-stuck", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        entropy = trials.where(rank=10).where(loss="cross_entropy")
        found: list[Evidence] = []
        narrow = trials.matching(rank=2, loss="cross_entropy")
        for name in OPTIMIZERS:
            ten, two = (side.matching(optimizer=name) for side in (entropy, narrow))
            found += at_best_rate(ten, stuck, shown="fewer than half arrive", optimizer=name)
            found += at_best_rates(ten, two, behind, shown="fewer than at rank 2", optimizer=name)
        return found

    return pieces


def weight_decay(thresholds: Thresholds) -> Claim:
    """A reader's: three things that weight decay does, each judged of AdamW against Adam at the same rate."""
    asks: dict[str, OF_TWO] = {
        "the minimum is not reached": _not_reached,
        "the first decay is faster": _faster,
        "as many plateaus": functools.partial(_as_many_plateaus, thresholds),
        "as many bumps": functools.partial(_as_many_bumps, thresholds),
    }

    def each(adamw: Trials, adam: Trials) -> dict[str, Evidence]:
        return {name: ask(adamw, adam) for name, ask in asks.items()}

    text = "Weight decay keeps the loss from its minimum, speeds the first decay and changes nothing else."
    passes = {"planted: just so": lambda trials: each(*_just_so(trials, thresholds))}
    fails = {"two copies of Adam": lambda trials: each(*controls.copies(controls.leaping(trials)[1]))}

    @claim(text, id="weight-decay", passes=passes, fails=fails, over=("time", "budget", "definition"))
    def pieces(trials: Trials) -> list[Evidence]:
        decayed = trials.where(optimizer="adamw")
        found: list[Evidence] = []
        for loss in LOSSES:
            for rank in sorted(each for each in decayed.unique("rank") if each <= ALIGNMENT_RANK):
                adamw, adam = (
                    side.matching(loss=loss, rank=rank) for side in (decayed, trials.matching(optimizer="adam"))
                )
                for shown, ask in asks.items():
                    at = {"shown": shown, "loss": loss, "rank": rank}
                    found += _at_adams_rate(adamw, adam, ask, at)
        return found

    return pieces


def _at_adams_rate(adamw: Trials, adam: Trials, ask: OF_TWO, at: dict[str, Any]) -> Iterator[Evidence]:
    """A piece at each scale and strength of decay, at the rate that is best for Adam."""
    for scale, mine in by_scale(adam):
        rate = best_rate(mine)
        for decay in adamw.unique("weight_decay"):
            here = at | {"init_scale": scale, "weight_decay": decay}
            if isinstance(rate, NoRate):
                yield not_applicable(rate).at(named("", here), **here)
                continue
            theirs = judged(adamw.matching(weight_decay=decay, init_scale=scale, learning_rate=rate))
            if len(theirs):
                found = ask(theirs, judged(mine.matching(learning_rate=rate)))
                yield found.at(f"{named('', here)} (rate {rate:g})", **here)


def _not_reached(adamw: Trials, adam: Trials) -> Evidence:
    """What weight decay leaves above Adam's final loss, however small both are beside the first."""

    def decades(ratios: np.ndarray) -> np.ndarray:
        return np.log10(np.clip(ratios, 10.0**LOWEST, 10.0**HIGHEST))

    found = paired(adamw, adam, FINAL_RATIO, decades, range=(LOWEST, HIGHEST))
    return found.named("log10 of the final loss, AdamW minus Adam").above(0, least=TENFOLD)


def _faster(adamw: Trials, adam: Trials) -> Evidence:
    middle = np.log2(np.concatenate([adam.values(HALF_TIME), [1.0]]).clip(1, 1e9)).mean()

    def octaves(times: np.ndarray) -> np.ndarray:
        return np.clip(np.log2(np.clip(times, 1, 1e9)) - middle, -MOST_HALVINGS, MOST_HALVINGS)

    found = paired(adamw, adam, HALF_TIME, octaves, range=(-MOST_HALVINGS, MOST_HALVINGS))
    return found.named("log2 of the time to half the first loss, AdamW minus Adam").below(0, least=FASTER)


def _as_many_plateaus(thresholds: Thresholds, adamw: Trials, adam: Trials) -> Evidence:
    return more(adamw, adam, thresholds.plateaus).named("plateaus, AdamW minus Adam").within(MARGIN)


def _as_many_bumps(thresholds: Thresholds, adamw: Trials, adam: Trials) -> Evidence:
    capped = functools.partial(np.minimum, MOST_BUMPS)
    found = paired(adamw, adam, thresholds.bumps, capped, range=(0, MOST_BUMPS))
    return found.named("bumps a pair, AdamW minus Adam").within(LEAST_BUMPS)


def _just_so(trials: Trials, thresholds: Thresholds) -> tuple[Trials, Trials]:
    """Adam's trials, and the same with a loss that stays above zero, in half the time to its half."""
    adam = controls.leaping(trials)[1]
    zero = dict.fromkeys((FINAL_RATIO.column(), *thresholds.ratios), 0.0)
    same = dict.fromkeys((*thresholds.bumps.columns, *thresholds.plateaus.columns), 1.0)
    reached = planted(adam, half_time=200.0, **zero, **same)
    return planted(adam, half_time=100.0, **dict.fromkeys(zero, 0.5), **same), reached
