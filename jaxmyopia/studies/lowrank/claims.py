# SPDX-License-Identifier: Apache-2.0
"""The six claims about low-rank learning. A claim that something shows is judged against half of the seeds: it stands
if most do."""

from collections.abc import Iterator, Sequence

from jaxmyopia.claims import Claim, Evidence, claim, paired, share
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.matching import OPTIMIZERS, at_matched_rates, best_rate, rate_of
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds

MARGIN = 0.5  # of a descent or plateau: what still counts as the same number on average
_RATE = ("learning_rate",)  # matched, so that the sides differ in it
LOSSES = {"square": "square", "cross_entropy": "cross-entropy"}


def two_plateaus(thresholds: Thresholds) -> Claim:
    """The thread's first observation."""

    @claim("At rank 2, cross-entropy shows two plateaus.", id="ce-two-plateaus")
    def pieces(trials: Trials) -> dict[str, Evidence]:
        found = {}
        for name, sides in at_matched_rates(trials.where(rank=2).where(loss="cross_entropy")).items():
            for optimizer, rows in zip(OPTIMIZERS, sides, strict=True):
                two = share(rows, thresholds.plateaus, lambda count: count == 2)
                two = two.named("share of seeds with exactly two plateaus")
                found[f"{optimizer}, {name} ({rate_of(rows)})"] = two.above(0.5)
        return found

    return pieces


def rank10_stuck(thresholds: Thresholds) -> Claim:
    """The thread's second."""

    @claim("With cross-entropy, rank 10 has trouble finding the zero-loss solution.", id="ce-rank10-stuck")
    def pieces(trials: Trials) -> dict[str, Evidence]:
        found = {}
        for optimizer, rows in _by_optimizer(trials.where(rank=10).where(loss="cross_entropy")):
            zero = share(rows, thresholds.at_zero, lambda is_zero: is_zero == 1)
            zero = zero.named("share of seeds whose final loss is zero")
            found[f"{optimizer}, best rate ({rate_of(rows)})"] = zero.below(0.5)
        return found

    return pieces


def full_rank_same(thresholds: Thresholds) -> Claim:
    """The thread's third."""

    @claim("At full rank, cross-entropy looks like square loss.", id="ce-full-rank-same")
    def pieces(trials: Trials) -> dict[str, Evidence]:
        wide, found = _full_rank(trials), {}
        sides = (dict(_by_optimizer(wide.where(loss=loss))) for loss in ("cross_entropy", "square"))
        cross_entropy, square = sides
        for optimizer in (name for name in OPTIMIZERS if name in cross_entropy and name in square):
            rows = cross_entropy[optimizer], square[optimizer]
            for measure in (thresholds.descents, thresholds.plateaus):
                difference = paired(*rows, measure, apart=_RATE)
                difference = difference.named("descents or plateaus, cross-entropy minus square loss")
                name = f"{optimizer}, {measure.name}, best rates ({rate_of(rows[0])}, {rate_of(rows[1])})"
                found[name] = difference.within(MARGIN)
        return found

    return pieces


def more_bumps(thresholds: Thresholds, id: str, text: str, ranks: Sequence[int]) -> Claim:
    """Bumps of Adam minus SGD's, over ranks that are matched each for itself."""

    @claim(text, id=id)
    def pieces(trials: Trials) -> dict[str, Evidence]:
        found = {}
        for loss, shown in LOSSES.items():
            several = trials.matching(loss=loss)
            matched: dict[str, list[tuple[Trials, Trials]]] = {}
            for rank in (rank for rank in ranks if len(several.matching(rank=rank))):
                for name, sides in at_matched_rates(several.matching(rank=rank)).items():
                    matched.setdefault(name, []).append(sides)
            for name, each in matched.items():
                sgd, adam = (first.joined(*rest) for first, *rest in zip(*each, strict=True))
                difference = paired(adam, sgd, thresholds.bumps, apart=_RATE)
                difference = difference.named("bumps a pair, Adam minus SGD, same seed, mean over the ranks")
                found[f"{shown}, {name}"] = difference.above(0)
        return found

    return pieces


def full_rank_plateau(thresholds: Thresholds) -> Claim:
    """The thread's observation of Adam under square loss."""

    @claim("With Adam and square loss, the full-rank case regains a plateau.", id="adam-full-rank-plateau")
    def pieces(trials: Trials) -> dict[str, Evidence]:
        found = {}
        for name, (sgd, adam) in at_matched_rates(_full_rank(trials).where(loss="square")).items():
            regained = share((adam, sgd), thresholds.plateaus, lambda a, s: (a > 0) & ~(s > 0), apart=_RATE)
            regained = regained.named("share of seeds with a plateau under Adam and none under SGD")
            found[f"{name} (sgd {rate_of(sgd)}, adam {rate_of(adam)})"] = regained.above(0.5)
        return found

    return pieces


def _full_rank(trials: Trials) -> Trials:
    return trials.where(rank=int(trials["n"].max()))


def _by_optimizer(cells: Trials) -> Iterator[tuple[str, Trials]]:
    """Each optimiser that was run, with its trials at its best rate."""
    for optimizer in OPTIMIZERS:
        rows = cells.matching(optimizer=optimizer)
        if len(rows):
            yield optimizer, rows.where(learning_rate=best_rate(rows))


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
