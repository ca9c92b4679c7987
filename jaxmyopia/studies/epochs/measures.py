# SPDX-License-Identifier: Apache-2.0
"""What claims and figures read off a table of seeds: who stops when, and how often lures are taken."""

import dataclasses

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.flags import When, flag, has
from jaxmyopia.measures import Derived
from jaxmyopia.stats.table import Trials
from jaxmyopia.values import conform

GOOD = 0.95  # of the planner's value: what counts as having learned the task


_SHOWN = has("reveals", "one_hot", "scalar")
_LURED = When(
    "where --reveals has one_hot or --populations another number than 0",
    lambda sweep: "one_hot" in sweep.reveals or any(sweep.populations),
)


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where counting starts.

    `sure`: the probability with which an agent must run through every epoch before the cutoff, and must have stopped
    by the end of the cutoff's own, to count as one that runs and stops; in (0.5, 1). `lowered`: the least difference of
    lure rates that counts as a change, and the margin within which usefulness counts as equal; in (0, 1).
    """

    sure: float = flag(0.9, "Probability with which an agent must run until K, and then stop, to count.", when=_SHOWN)
    lowered: float = flag(0.05, "The least difference of lure rates that counts as a change.", when=_LURED)

    def __post_init__(self):
        conform(self)
        require(0.5 < self.sure < 1, "sure", self.sure, "must be between 0.5 and 1, both excluded")
        require(0 < self.lowered < 1, "lowered", self.lowered, "must be between 0 and 1, both excluded")

    def _grid(self) -> tuple[float, ...]:
        doubt = 1 - self.sure
        return (self.sure, *(round(1 - doubt * x, 6) for x in (0.1, 0.5, 2.0, 3.0) if doubt * x < 0.5))

    @property
    def runs_then_stops(self) -> Derived:
        """Whether a trial runs through all epochs before the cutoff and stops within it."""
        return Derived("runs_then_stops", runs_then_stops, range=(0, 1), sure=self._grid())

    @property
    def stops_where_unseen(self) -> Derived:
        """Whether a trial stops within the first epoch where that one shows an index that training never reached."""
        stops = lambda rows, sure: stops_where_unseen(rows) >= sure
        return Derived("stops_where_unseen", stops, range=(0, 1), sure=self._grid())


def by_epoch(rows: Trials, name: str) -> np.ndarray:
    """A measure that has one column an epoch.

    Args:
      rows: one row a seed.
      name: of the measure: `running`, `acting`, `lured`, `longer`, `masked`, `dropped`.

    Returns:
      `(S, E)` in the order of seeds; NaN for a diverged one.
    """
    count = sum(column.startswith(f"{name}_") for column in rows.columns)
    return np.stack([rows.values(f"{name}_{i}") for i in range(count)], axis=1)


def cutoff_of(rows: Trials) -> int:
    """The cutoff K, shape `()`, that all rows share."""
    (cutoff,) = rows.unique("cutoff")
    return int(cutoff)


def runs_then_stops(rows: Trials, sure: float) -> np.ndarray:
    """Which seeds run through all epochs before the cutoff and stop within it.

    Args:
      rows: one row a seed, a cutoff below E.
      sure: see `Thresholds`.

    Returns:
      `(S,)` bool; False for a diverged seed.
    """
    running, cutoff = by_epoch(rows, "running"), cutoff_of(rows)
    ran = running[:, cutoff - 1] >= sure if cutoff else np.ones(len(running), bool)
    return ran & (running[:, cutoff] <= 1 - sure)


def lure_rate(rows: Trials, first: int, last: int) -> np.ndarray:
    """Lures as a share of the steps that are acted in, over epochs `first` to `last - 1`.

    Args:
      rows: one row a seed.
      first, last: of the epochs.

    Returns:
      `(S,)`; NaN where none is acted in, and for a diverged seed.
    """
    acting, lured = (by_epoch(rows, name)[:, first:last].sum(axis=1) for name in ("acting", "lured"))
    return np.where(acting > 0, lured / np.where(acting > 0, acting, 1), np.nan)


def stops_where_unseen(rows: Trials) -> np.ndarray:
    """The probability to stop within the first epoch where that one shows an index that training never reached.

    Args:
      rows: one row a seed.

    Returns:
      `(S,)`, the mean over indices E to 2 E - 1.
    """
    dropped = by_epoch(rows, "dropped")
    return 1 - dropped[:, dropped.shape[1] // 2 :].mean(axis=1)


def best_rate(rows: Trials) -> float:
    """The learning rate at which most seeds reach `GOOD` of the planner's value, shape `()`; the least of equals."""

    def reached(rate: float) -> float:
        return float((rows.matching(learning_rate=rate).values("value_share") >= GOOD).mean())

    return max(sorted(rows.unique("learning_rate")), key=reached)


def _lures_before(rows: Trials) -> np.ndarray:
    return lure_rate(rows, 0, max(cutoff_of(rows) - 1, 1))


LURES_BEFORE = Derived("lures_before", _lures_before, range=(0, 1))  # the lure rate over the epochs before K - 1
