# SPDX-License-Identifier: Apache-2.0
"""The six claims about low-rank learning. A claim that something shows is judged against half of the seeds: it stands
if most do. Rates are chosen on seeds that are not judged."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, not_applicable, paired, share
from jaxmyopia.claims.conditions import named
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank import controls
from jaxmyopia.studies.lowrank.matching import OPTIMIZERS, NoRate, at_matched_rates, best_rate, judged, rate_of
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds

MARGIN = 0.5  # of a descent: what still counts as the same number on average
LEAST = 0.1  # of a bump a pair: the least excess that counts
# Greater counts are taken for this many, so that one wild seed cannot decide a mean, and equal ones bound it.
MOST_DESCENTS, MOST_BUMPS = 4, 2
_RATE = ("learning_rate",)  # matched, so that the sides differ in it


def _matched(cells: Trials, make: Callable[[Trials, Trials], Evidence], **condition: Any) -> Iterator[Evidence]:
    """A piece of evidence at each pair of matched rates, or why there is none."""
    for matching, found in at_matched_rates(cells).items():
        name, condition["matching"] = named("", condition | {"matching": matching}), matching
        if isinstance(found, NoRate):
            yield not_applicable(found).at(name, **condition)
        else:
            yield make(*found).at(f"{name} (sgd {rate_of(found[0])}, adam {rate_of(found[1])})", **condition)


def two_plateaus(thresholds: Thresholds) -> Claim:
    """The thread's first observation."""

    def two(rows: Trials) -> Evidence:
        found = share(rows, thresholds.plateaus, lambda count: count == 2)
        return found.named("share of seeds with exactly two plateaus").above(0.5)

    passes = {"a staircase of two modes": lambda trials: two(controls.staircase(trials, modes=2))}
    fails = {"a staircase of one mode": lambda trials: two(controls.staircase(trials, modes=1))}

    @claim("At rank 2, cross-entropy shows two plateaus.", id="ce-two-plateaus", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        cells, found = trials.where(rank=2).where(loss="cross_entropy"), {}
        for matching, sides in at_matched_rates(cells).items():
            for place, optimizer in enumerate(OPTIMIZERS):
                at = {"optimizer": optimizer, "matching": matching}
                if isinstance(sides, NoRate):
                    found[matching, optimizer] = not_applicable(sides).at(f"{optimizer}, {matching}", **at)
                    continue
                rate = rate_of(sides[place])
                found.setdefault((rate, optimizer), two(sides[place]).at(f"{optimizer}, {matching} ({rate})", **at))
        return list(found.values())

    return pieces


def rank10_stuck(thresholds: Thresholds) -> Claim:
    """The thread's second."""

    def stuck(rows: Trials) -> Evidence:
        zero = share(rows, thresholds.at_zero, lambda is_zero: is_zero == 1)
        return zero.named("share of seeds whose loss is zero").below(0.5)

    passes = {"a rate 200 times too low": lambda trials: stuck(controls.staircase(trials, rate=controls.SLOW))}
    fails = {"a staircase that ends": lambda trials: stuck(controls.staircase(trials))}
    text = "With cross-entropy, rank 10 has trouble finding the zero-loss solution."

    @claim(text, id="ce-rank10-stuck", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        return list(_each_optimizer(trials.where(rank=10).where(loss="cross_entropy"), stuck))

    return pieces


def full_rank_same(thresholds: Thresholds) -> Claim:
    """The thread's third; plateaus lie between descents, and are the same fact."""

    def same_descents(a: Trials, b: Trials) -> Evidence:
        capped, most = functools.partial(np.minimum, MOST_DESCENTS), (0, MOST_DESCENTS)
        difference = paired(a, b, thresholds.descents, capped, apart=_RATE, range=most)
        return difference.named("descents, cross-entropy minus square loss").within(MARGIN)

    staircase = controls.staircase
    passes = {"one staircase at two rates": lambda t: same_descents(staircase(t), staircase(t, rate=controls.HALF))}
    fails = {"staircases of two modes and of one": lambda t: same_descents(staircase(t), staircase(t, modes=1))}

    @claim("At full rank, cross-entropy looks like square loss.", id="ce-full-rank-same", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        wide, found = _full_rank(trials), []
        losses = [wide.where(loss=loss) for loss in ("cross_entropy", "square")]
        for optimizer in OPTIMIZERS:
            cells = [cell.matching(optimizer=optimizer) for cell in losses]
            if not all(map(len, cells)):
                continue
            rates = [best_rate(cell) for cell in cells]
            missing = [rate for rate in rates if isinstance(rate, NoRate)]
            if missing:
                found.append(not_applicable(missing[0], optimizer=optimizer).at(optimizer))
                continue
            rows = [judged(cell.where(learning_rate=rate)) for cell, rate in zip(cells, rates, strict=True)]
            name = f"{optimizer}, best rates ({rate_of(rows[0])}, {rate_of(rows[1])})"
            found.append(same_descents(*rows).at(name, optimizer=optimizer))
        return found

    return pieces


def more_bumps(thresholds: Thresholds, id: str, text: str, ranks: Sequence[int]) -> Claim:
    """Bumps of Adam minus SGD's, at each rank and loss, under each definition; a vector alone has no competition."""
    bumps = thresholds.bumps if min(ranks, default=2) > 1 else thresholds.bumps_by("inner", "cosine")

    def excess(sgd: Trials, adam: Trials) -> Evidence:
        capped, most = functools.partial(np.minimum, MOST_BUMPS), (0, MOST_BUMPS)
        difference = paired(adam, sgd, bumps, capped, apart=_RATE, range=most)
        return difference.named("bumps a pair, Adam minus SGD, same seed").above(0, least=LEAST)

    passes = {"Adam at six hundred times the start's scale": lambda trials: excess(*controls.leaping(trials))}
    fails = {"two copies of SGD": lambda trials: excess(*controls.copies(controls.staircase(trials)))}

    @claim(text, id=id, passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        found: list[Evidence] = []
        for loss in ("square", "cross_entropy"):
            for rank in ranks:
                found += _matched(trials.matching(loss=loss, rank=rank), excess, loss=loss, rank=rank)
        return found

    return pieces


def full_rank_plateau(thresholds: Thresholds) -> Claim:
    """The thread's observation of Adam under square loss; it can be regained only where SGD has none."""

    def regained(sgd: Trials, adam: Trials) -> Evidence:
        has, lacks = lambda a, s: a > 0, lambda a, s: s == 0
        found = share((adam, sgd), thresholds.plateaus, has, given=lacks, apart=_RATE)
        return found.named("share with a plateau under Adam, of seeds with none under SGD").above(0.5)

    small, large = controls.staircase, controls.from_large_start
    passes = {"a small start in place of a large one": lambda trials: regained(large(trials), small(trials))}
    fails = {"two copies of SGD": lambda trials: regained(*controls.copies(large(trials)))}
    text = "With Adam and square loss, the full-rank case regains a plateau."

    @claim(text, id="adam-full-rank-plateau", passes=passes, fails=fails)
    def pieces(trials: Trials) -> list[Evidence]:
        return list(_matched(_full_rank(trials).where(loss="square"), regained))

    return pieces


def _full_rank(trials: Trials) -> Trials:
    return trials.where(rank=int(trials["n"].max()))


def _each_optimizer(cells: Trials, make: Callable[[Trials], Evidence]) -> Iterator[Evidence]:
    """A piece for each optimiser that was run, at its best rate."""
    for optimizer in OPTIMIZERS:
        rows = cells.matching(optimizer=optimizer)
        rate = best_rate(rows) if len(rows) else None
        if isinstance(rate, NoRate):
            yield not_applicable(rate, optimizer=optimizer).at(optimizer)
        elif rate is not None:
            piece = make(judged(rows.where(learning_rate=rate)))
            yield piece.at(f"{optimizer}, best rate ({rate:g})", optimizer=optimizer)


def make_claims(thresholds: Thresholds, ranks: Sequence[int]) -> list[Claim]:
    """The six claims.

    Args:
      thresholds: of the run.
      ranks: that were run; bumps are judged at those from 2 up to which alignments are recorded.

    Returns:
      The claims, in the order of the thread.
    """
    several = [rank for rank in ranks if 2 <= rank <= ALIGNMENT_RANK]
    more = "There are more bumps with Adam than with SGD (rank 2 and above)."
    at_rank1 = "Rank 1 with Adam was never checked: are there more bumps than with SGD there too?"
    return [
        two_plateaus(thresholds),
        rank10_stuck(thresholds),
        full_rank_same(thresholds),
        more_bumps(thresholds, "adam-more-bumps", more, several),
        more_bumps(thresholds, "adam-rank1", at_rank1, [1]),
        full_rank_plateau(thresholds),
    ]
