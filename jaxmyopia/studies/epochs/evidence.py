# SPDX-License-Identifier: Apache-2.0
"""The two kinds of evidence that claims about myopia rest on: shares of seeds, and changes of a rate."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxmyopia.claims.verdicts import Evidence, GridPoint, judge
from jaxmyopia.stats.intervals import RESAMPLES, Interval, bca_mean, wilson
from jaxmyopia.studies.epochs.measures import Thresholds

_GRID_RESAMPLES = 999


def _share(hits: np.ndarray) -> Interval:
    return wilson(int(hits.sum()), hits.size)


def _evidence(
    name: str,
    statistic: str,
    measure: Callable[[float, int], Interval],
    grid: Sequence[float],
    main: float,
    threshold: str,
    *,
    null: float | Callable[[float], float],
    direction: int,
    diverged: int,
) -> Evidence:
    """Measures at the main threshold and over its grid, and judges; `measure(threshold, resamples)`.

    Where the null is itself the threshold (a least difference), the grid holds what is beyond each of its values.
    """
    interval, points = measure(main, RESAMPLES), []
    null_of = null if callable(null) else lambda _: null
    for choice in grid:
        found, shift = measure(choice, _GRID_RESAMPLES), null_of(main) - null_of(choice)
        points.append(GridPoint({threshold: choice}, found.estimate + shift, found.low + shift, found.high + shift))
    verdict, reason, holds = judge(interval, null=null_of(main), direction=direction, grid=points)
    return Evidence(
        name=name, statistic=statistic, interval=interval, null=null_of(main), direction=direction, grid=tuple(points),
        holds=holds, verdict=verdict, reason=reason, diverged=diverged,
    )  # fmt: skip


def share_evidence(
    name: str, statistic: str, hits: Callable[[float], np.ndarray], thresholds: Thresholds, diverged: int
) -> Evidence:
    """Evidence that most seeds show something: their share against one half; `hits(sure)` is `(S,)` bool."""
    return _evidence(
        name, statistic, lambda sure, _: _share(hits(sure)), thresholds.sure_grid(), thresholds.sure, "sure",
        null=0.5, direction=1, diverged=diverged,
    )  # fmt: skip


def change_evidence(
    name: str, statistic: str, difference: np.ndarray, direction: int, thresholds: Thresholds, rng: np.random.Generator
) -> Evidence:
    """Evidence that a lure rate changes by at least `lowered`: the mean paired difference `(S,)` against it."""
    whole = difference[np.isfinite(difference)]
    return _evidence(
        name, statistic, lambda _, resamples: bca_mean(whole, rng=rng, resamples=resamples), thresholds.lowered_grid(),
        thresholds.lowered, "lowered", null=lambda least: direction * least, direction=direction,
        diverged=len(difference) - len(whole),
    )  # fmt: skip
