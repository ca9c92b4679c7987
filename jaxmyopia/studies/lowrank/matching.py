# SPDX-License-Identifier: Apache-2.0
"""At which rates two optimisers are compared, and their bumps on the same seeds at those rates.

Rates are matched in two ways: each optimiser at its best rate (least median final loss; losses within float32's
noise are equal, and the shorter median time to half the first loss decides), and the pair of rates whose median times
to half the first loss are closest.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import bumps_column

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
        rows = table.where(learning_rate=rate)
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
        {rate: half_time(table.where(learning_rate=rate)) for rate in table.unique("learning_rate")} for table in (a, b)
    ]
    pairs = [pair for pair in itertools.product(*times) if np.isfinite(times[0][pair[0]] + times[1][pair[1]])]
    if pairs:
        # One step more on both sides: a half-time of 0 steps has a logarithm too.
        matched[MATCHINGS[1]] = min(
            pairs, key=lambda pair: abs(np.log((times[0][pair[0]] + 1) / (times[1][pair[1]] + 1)))
        )
    return matched


@dataclasses.dataclass(frozen=True)
class Bumps:
    """Bumps a pair of the same seeds under Adam and SGD.

    `seed`, `adam`, `sgd`: `(S,)`. `diverged`: pairs left out because one of the two diverged.
    """

    seed: np.ndarray
    adam: np.ndarray
    sgd: np.ndarray
    diverged: int


def bumps_by_rank(table: Trials, *, loss: str, ranks: Sequence[int], matching: str, delta: float) -> dict[int, Bumps]:
    """Bumps under Adam and SGD at matched rates.

    Args:
      table: rows `(cells x S x rates,)`.
      loss: which loss.
      ranks: which ranks; those without both optimisers are left out.
      matching: a name of `MATCHINGS`.
      delta: the threshold of a bump.

    Returns:
      The `Bumps` of each rank.
    """
    out = {}
    for rank in ranks:
        sgd, adam = (table.where(loss=loss, rank=rank, optimizer=optimizer) for optimizer in OPTIMIZERS)
        rates = match_rates(sgd, adam) if len(sgd) and len(adam) else {}
        if matching in rates:
            sgd, adam = sgd.where(learning_rate=rates[matching][0]), adam.where(learning_rate=rates[matching][1])
            counts = [rows.values(bumps_column(delta)) for rows in (adam, sgd)]
            whole = np.isfinite(counts).all(axis=0)
            out[rank] = Bumps(np.sort(adam["seed"])[whole], counts[0][whole], counts[1][whole], int((~whole).sum()))
    return out


def mean_difference_over_ranks(by_rank: dict[int, Bumps]) -> np.ndarray:
    """Adam minus SGD of each seed, averaged over the ranks.

    Args:
      by_rank: from `bumps_by_rank`.

    Returns:
      `(S,)`, for the seeds that every rank has.
    """
    common = sorted(set.intersection(*(set(bumps.seed.tolist()) for bumps in by_rank.values())))
    differences = [(bumps.adam - bumps.sgd)[np.isin(bumps.seed, common)] for bumps in by_rank.values()]
    return np.mean(differences, axis=0)
