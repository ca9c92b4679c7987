# SPDX-License-Identifier: Apache-2.0
"""Pieces of evidence at each scale of the start, at rates that are chosen on seeds that are not judged."""

from collections.abc import Callable, Iterator
from typing import Any

from jaxmyopia.claims import Evidence, not_applicable
from jaxmyopia.claims.conditions import named, split
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.matching import NoRate, at_matched_rates, best_rate, judged, rate_of, steady_rates

RATE = ("learning_rate",)  # chosen for each side, so that they differ in it
OF_ONE = Callable[[Trials], Evidence]
OF_TWO = Callable[[Trials, Trials], Evidence]


def only(piece: Evidence, **condition: Any) -> list[Evidence]:
    """Of a piece, split by its conditions, those parts with these values."""
    parts = split([piece])
    return [part for part in parts if all(part.condition.get(name) == value for name, value in condition.items())]


def by_scale(trials: Trials) -> Iterator[tuple[float, Trials]]:
    """The trials of each scale of the start, largest first; none where there are no trials."""
    for scale in sorted(trials.unique("init_scale"), reverse=True) if len(trials) else ():
        yield scale, trials.matching(init_scale=scale)


def at_steady_rates(rows: Trials, make: OF_ONE, **condition: Any) -> Iterator[Evidence]:
    """A piece at each rate and scale; one at which an optimiser is not steady is not applicable."""
    for scale, mine in by_scale(rows):
        steady = steady_rates(mine)
        why = steady if isinstance(steady, NoRate) else NoRate("seeds that choose diverge or show upticks there")
        for rate in mine.unique("learning_rate"):
            at = condition | {"init_scale": scale, "learning_rate": rate}
            fine = not isinstance(steady, NoRate) and rate in steady
            found = make(judged(mine.matching(learning_rate=rate))) if fine else not_applicable(why)
            yield found.at(named("", at), **at)


def beside_best(other: Trials, make: OF_TWO) -> OF_ONE:
    """Of the trials of one scale: they beside those of `other` from that scale, at its best steady rate there."""

    def make_one(rows: Trials) -> Evidence:
        theirs = other.matching(init_scale=float(rows["init_scale"][0]))
        rate = best_rate(theirs) if len(theirs) else NoRate("what it is compared with was not run")
        return (
            not_applicable(rate)
            if isinstance(rate, NoRate)
            else make(rows, judged(theirs.matching(learning_rate=rate)))
        )

    return make_one


def at_best_rate(rows: Trials, make: OF_ONE, **condition: Any) -> Iterator[Evidence]:
    """A piece at each scale, at the best steady rate."""
    for scale, mine in by_scale(rows):
        at, rate = condition | {"init_scale": scale}, best_rate(mine)
        if isinstance(rate, NoRate):
            yield not_applicable(rate).at(named("", at), **at)
        else:
            found = judged(mine.matching(learning_rate=rate))
            yield make(found).at(f"{named('', at)} (rate {rate:g})", **at)


def at_best_rates(one: Trials, other: Trials, make: OF_TWO, **condition: Any) -> Iterator[Evidence]:
    """A piece at each scale of two sides, each at its own best steady rate."""
    for scale, mine in by_scale(one):
        theirs, at = other.matching(init_scale=scale), condition | {"init_scale": scale}
        if not len(theirs):
            continue
        rates = [best_rate(mine), best_rate(theirs)]
        missing = [rate for rate in rates if isinstance(rate, NoRate)]
        if missing:
            yield not_applicable(missing[0]).at(named("", at), **at)
            continue
        sides = [judged(side.matching(learning_rate=rate)) for side, rate in zip((mine, theirs), rates, strict=True)]
        yield make(sides[0], sides[1]).at(f"{named('', at)} (rates {rate_of(sides[0])}, {rate_of(sides[1])})", **at)


def at_matched(one: Trials, other: Trials, make: OF_TWO, **condition: Any) -> Iterator[Evidence]:
    """A piece at each scale and pair of matched rates of two optimisers, or why there is none."""
    for scale, mine in by_scale(one):
        for matching, found in at_matched_rates(mine, other.matching(init_scale=scale)).items():
            at = condition | {"init_scale": scale, "matching": matching}
            if isinstance(found, NoRate):
                yield not_applicable(found).at(named("", at), **at)
            else:
                rates = ", ".join(f"{side['optimizer'][0]} {rate_of(side)}" for side in found)
                yield make(*found).at(f"{named('', at)} ({rates})", **at)
