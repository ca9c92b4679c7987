# SPDX-License-Identifier: Apache-2.0
"""At which rates two optimisers are compared.

A rate is steady if, of the seeds that choose, at least 95 % neither diverge nor show an uptick. Among steady rates they
are matched in two ways: each optimiser at its best rate (least median final loss; losses within float32's noise are
equal, and the shorter median time to half the first loss decides), and the pair of rates whose median times to half
the first loss are closest. What is then judged are other seeds.
"""

import itertools

import numpy as np

from jaxmyopia.claims.choosing import CHOOSING, GUARD, choosing, judged, passing
from jaxmyopia.stats.table import Trials

MATCHINGS = ("best rates", "equal half-times")
_NOISE = 1e-10  # final losses below this share of the first are rounding noise of float32


class NoRate(str):
    """Why there is no rate at which to compare."""


Sides = tuple[Trials, Trials]


def half_time(table: Trials) -> float:
    """The median step at which seeds reach half their first loss, inf for most that never do.

    Args:
      table: rows `(S,)` of one cell and rate.

    Returns:
      Steps.
    """
    return float(np.median(np.where(table["diverged"], np.inf, table["half_time"])))


def _badness(rows: Trials) -> tuple[float, float]:
    final = np.median(np.where(rows["diverged"], np.inf, rows["loss_ratio"]))
    return max(float(final), _NOISE), half_time(rows)


def _at(table: Trials, rate: float) -> Trials:
    return table.matching(learning_rate=rate)


def steady(trials: Trials) -> np.ndarray:
    """Which trials `(rows,)` neither diverge nor show an uptick."""
    return ~trials["diverged"].astype(bool) & ~(trials["upticks"] > 0)


def steady_rates(table: Trials) -> list[float] | NoRate:
    """The rates that are steady, by the seeds that choose.

    Args:
      table: rows `(S x rates,)` of one problem under one optimiser.

    Returns:
      The rates, or why there is none.
    """
    first = choosing(table)
    if len(first) == len(table):
        return NoRate(f"all seeds choose rates; those after the first {CHOOSING} are judged")
    unsteady = NoRate(f"at no rate are {GUARD:.0%} of the first {CHOOSING} seeds free of upticks and divergence")
    return passing(first, "learning_rate", steady) or unsteady


def best_rate(table: Trials) -> float | NoRate:
    """The best of the steady rates, by the seeds that choose; arguments as of `steady_rates`."""
    rates, first = steady_rates(table), choosing(table)
    return rates if isinstance(rates, NoRate) else min(rates, key=lambda rate: _badness(_at(first, rate)))


def shown_rate(table: Trials) -> float:
    """The rate at which a cell is drawn: its best steady one, or the best of all where there is none."""
    found = best_rate(table)
    rates = table.unique("learning_rate")
    return min(rates, key=lambda rate: _badness(_at(table, rate))) if isinstance(found, NoRate) else found


def match_rates(a: Trials, b: Trials) -> dict[str, tuple[float, float] | NoRate]:
    """The rates at which two optimisers are compared.

    Args:
      a, b: the rows `(S x rates,)` of two cells.

    Returns:
      By a name of `MATCHINGS`, a rate of a and one of b, or why there is none.
    """
    one, other = best_rate(a), best_rate(b)
    if isinstance(one, NoRate) or isinstance(other, NoRate):
        return dict.fromkeys(MATCHINGS, one if isinstance(one, NoRate) else NoRate(other))
    best = one, other
    times = [
        {rate: half_time(_at(first, rate)) for rate in passing(first, "learning_rate", steady)}
        for first in (choosing(a), choosing(b))
    ]
    pairs = [
        pair for pair in itertools.product(times[0], times[1]) if np.isfinite(times[0][pair[0]] + times[1][pair[1]])
    ]
    if not pairs:
        return {MATCHINGS[0]: best, MATCHINGS[1]: NoRate("at no steady rate do most seeds reach half the first loss")}
    # One step more on both sides: a half-time of 0 steps has a logarithm too.
    apart = lambda pair: abs(np.log((times[0][pair[0]] + 1) / (times[1][pair[1]] + 1)))
    return {MATCHINGS[0]: best, MATCHINGS[1]: min(pairs, key=apart)}


def at_matched_rates(one: Trials, other: Trials) -> dict[str, Sides | NoRate]:
    """The judged trials of two optimisers at each pair of matched rates.

    Args:
      one, other: trials of one problem at all rates, under an optimiser each.

    Returns:
      By a name of `MATCHINGS`, the trials of the one and those of the other, or why there are none; the first name
      alone where both mean the same rates; empty unless both optimisers were run.
    """
    if not (len(one) and len(other)):
        return {}
    found: dict[str, Sides | NoRate] = {}
    for rates, name in {rates: name for name, rates in reversed(match_rates(one, other).items())}.items():
        if isinstance(rates, NoRate):
            found[name] = rates
        else:
            found[name] = judged(_at(one, rates[0])), judged(_at(other, rates[1]))
    return dict(sorted(found.items()))


def rate_of(trials: Trials) -> str:
    """The learning rate that all trials share, as text."""
    return f"{trials['learning_rate'][0]:g}"
