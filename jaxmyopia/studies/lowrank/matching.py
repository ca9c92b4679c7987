# SPDX-License-Identifier: Apache-2.0
"""At which rates two optimisers are compared.

Rates are matched in two ways: each optimiser at its best rate (least median final loss; losses within float32's
noise are equal, and the shorter median time to half the first loss decides), and the pair of rates whose median times
to half the first loss are closest.
"""

import itertools

import numpy as np

from jaxmyopia.stats.table import Trials

OPTIMIZERS = ("sgd", "adam")
MATCHINGS = ("best rates", "equal half-times")
_NOISE = 1e-10  # final losses below this share of the first are rounding noise of float32


def half_time(table: Trials) -> float:
    """The median step at which seeds reach half their first loss, inf for most that never do.

    Args:
      table: rows `(S,)` of one cell and rate.

    Returns:
      Steps.
    """
    return float(np.median(np.where(table["diverged"], np.inf, table["half_time"])))


def best_rate(table: Trials) -> float:
    """The rate with the least median final loss.

    Args:
      table: rows `(S x rates,)` of one cell.

    Returns:
      The rate.
    """

    def badness(rate: float) -> tuple[float, float]:
        rows = table.matching(learning_rate=rate)
        final = np.median(np.where(rows["diverged"], np.inf, rows["loss_ratio"]))
        return max(float(final), _NOISE), half_time(rows)

    return min(table.unique("learning_rate"), key=badness)


def match_rates(a: Trials, b: Trials) -> dict[str, tuple[float, float]]:
    """The rates at which two optimisers are compared.

    Args:
      a, b: the rows `(S x rates,)` of two cells.

    Returns:
      By a name of `MATCHINGS`, a rate of a and one of b; no `equal half-times` where one never gets to half.
    """
    matched = {MATCHINGS[0]: (best_rate(a), best_rate(b))}
    times = [
        {rate: half_time(table.matching(learning_rate=rate)) for rate in table.unique("learning_rate")}
        for table in (a, b)
    ]
    pairs = [pair for pair in itertools.product(*times) if np.isfinite(times[0][pair[0]] + times[1][pair[1]])]
    if pairs:
        # One step more on both sides: a half-time of 0 steps has a logarithm too.
        matched[MATCHINGS[1]] = min(
            pairs, key=lambda pair: abs(np.log((times[0][pair[0]] + 1) / (times[1][pair[1]] + 1)))
        )
    return matched


def at_matched_rates(cells: Trials) -> dict[str, tuple[Trials, Trials]]:
    """SGD's and Adam's trials at each pair of matched rates.

    Args:
      cells: trials of one problem under all optimisers and rates.

    Returns:
      By a name of `MATCHINGS`, the trials of SGD and those of Adam; none unless both were run.
    """
    sgd, adam = (cells.matching(optimizer=optimizer) for optimizer in OPTIMIZERS)
    if not (len(sgd) and len(adam)):
        return {}
    rates = match_rates(sgd, adam).items()
    return {name: (sgd.matching(learning_rate=a), adam.matching(learning_rate=b)) for name, (a, b) in rates}


def rate_of(trials: Trials) -> str:
    """The learning rate that all trials share, as text."""
    return f"{trials['learning_rate'][0]:g}"
