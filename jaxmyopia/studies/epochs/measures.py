# SPDX-License-Identifier: Apache-2.0
"""What claims and figures read off a table of seeds: who stops when, and how often lures are taken."""

import dataclasses
import functools

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.flags import When, flag
from jaxmyopia.measures import Derived
from jaxmyopia.stats.table import Trials
from jaxmyopia.values import conform

GOOD = 0.95  # of the planner's value: what counts as having learned the task


def _parts(*names: str) -> When:
    words = f"where --parts has {' or '.join(names)}"
    return When(words, lambda sweep: any(name in sweep.parts for name in names))


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where counting starts.

    `sure`: the probability with which an agent must run through every epoch before the cutoff, and must have stopped
    by the end of the cutoff's own, to count as one that runs and stops; in (0.5, 1). `lowered`: the least difference of
    lure rates that counts as a change, and the margin within which they count as equal; in (0, 1).
    """

    sure: float = flag(
        0.9, "Probability with which an agent must run until K, and then stop, to count.",
        when=_parts("recipe", "penalties", "transfer"),
    )  # fmt: skip
    lowered: float = flag(
        0.05, "The least difference of lure rates that counts as a change.", when=_parts("leaks", "hazards")
    )

    def __post_init__(self):
        conform(self)
        require(0.5 < self.sure < 1, "sure", self.sure, "must be between 0.5 and 1, both excluded")
        require(0 < self.lowered < 1, "lowered", self.lowered, "must be between 0 and 1, both excluded")

    def _measure(self, name: str, fn) -> Derived:
        doubt = 1 - self.sure
        grid = (self.sure, *(round(1 - doubt * x, 6) for x in (0.1, 0.5, 2.0, 3.0) if doubt * x < 0.5))
        return Derived(name, fn, range=(0, 1), sure=grid)

    @property
    def runs_then_stops(self) -> Derived:
        """Whether a trial runs through all epochs before the cutoff and stops within it."""
        return self._measure("runs_then_stops", runs_then_stops)

    @property
    def stops_on_arrival(self) -> Derived:
        """Whether a trial runs through all epochs before the cutoff and takes no step of it."""
        return self._measure("stops_on_arrival", stops_on_arrival)

    @property
    def ends(self) -> dict[str, Derived]:
        """Whether a trial has stopped by the end of a run in which the index shown is E too high, or stays 0."""
        return {name: self._measure(f"ends_{name}", functools.partial(ends, name)) for name in ("shifted", "frozen")}

    def stops_at(self, cutoff: int) -> Derived:
        """Whether a trial that is shown this cutoff runs until it and stops within it."""
        return self._measure(f"stops_at_{cutoff}", functools.partial(stops_at, cutoff))


def by_epoch(rows: Trials, name: str) -> np.ndarray:
    """A measure that has one column an epoch.

    Args:
      rows: one row a trial.
      name: of the measure: `running`, `acting`, `lured`, `longer`, `masked`, `dropped`.

    Returns:
      `(rows, E)` in the order of seeds; NaN for a diverged one.
    """
    count = sum(column.startswith(f"{name}_") and column[len(name) + 1 :].isdigit() for column in rows.columns)
    return np.stack([rows.values(f"{name}_{i}") for i in range(count)], axis=1)


def _cutoffs(rows: Trials) -> np.ndarray:
    """The cutoffs `(rows,)` in the order of seeds."""
    return rows["cutoff"][np.argsort(rows.columns["seed"], kind="stable")].astype(int)


def _at(values: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """Of values `(rows, E)`, each row's at its own epoch; NaN at E."""
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    return np.take_along_axis(padded, epochs[:, None], axis=1)[:, 0]


def _known(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """What is shown, as numbers; NaN where the values that show it are."""
    return np.where(np.isnan(values), np.nan, shown.astype(float))


def _ran(running: np.ndarray, cutoffs: np.ndarray, sure: float) -> np.ndarray:
    return (_at(running, np.maximum(cutoffs - 1, 0)) >= sure) | (cutoffs == 0)


def runs_then_stops(rows: Trials, sure: float) -> np.ndarray:
    """Which trials run through all epochs before the cutoff and stop within it.

    Args:
      rows: one row a trial, cutoffs below E.
      sure: see `Thresholds`.

    Returns:
      `(rows,)`, 1 or 0, in the order of seeds; NaN for a diverged one.
    """
    running, cutoffs = by_epoch(rows, "running"), _cutoffs(rows)
    past = _at(running, cutoffs)
    return _known(past, _ran(running, cutoffs, sure) & (past <= 1 - sure))


def stops_on_arrival(rows: Trials, sure: float) -> np.ndarray:
    """Which trials run through all epochs before the cutoff and take no step of it: fewer than 1 - `sure` on average.

    Args:
      rows: one row a trial, cutoffs below E.
      sure: see `Thresholds`.

    Returns:
      `(rows,)`, 1 or 0, in the order of seeds; NaN for a diverged one.
    """
    running, acting, cutoffs = by_epoch(rows, "running"), by_epoch(rows, "acting"), _cutoffs(rows)
    steps = _at(acting, cutoffs) * rows.values("epoch_steps")
    return _known(steps, _ran(running, cutoffs, sure) & (steps <= 1 - sure))


def stops_at(cutoff: int, rows: Trials, sure: float) -> np.ndarray:
    """Which trials that are shown a cutoff run until it and stop within it; `(rows,)`, 1 or 0."""
    past = rows.values(f"runs_past_{cutoff}")
    return _known(past, (rows.values(f"runs_to_{cutoff}") >= sure) & (past <= 1 - sure))


def ends(name: str, rows: Trials, sure: float) -> np.ndarray:
    """Which trials have stopped by the end of the run, of a measure by epoch; `(rows,)`, 1 or 0."""
    last = by_epoch(rows, name)[:, -1]
    return _known(last, last <= 1 - sure)


def lure_rate(rows: Trials, first: int, last: int) -> np.ndarray:
    """Lures as a share of the steps that are acted in, over epochs `first` to `last - 1`.

    Args:
      rows: one row a trial.
      first, last: of the epochs.

    Returns:
      `(rows,)`, in the order of seeds; NaN where none is acted in, and for a diverged one.
    """
    acting, lured = (by_epoch(rows, name)[:, first:last].sum(axis=1) for name in ("acting", "lured"))
    return np.where(acting > 0, lured / np.where(acting > 0, acting, 1), np.nan)


def intensity(rows: Trials) -> np.ndarray:
    """Lures as a share of the steps acted in before epoch K - 1: of a lure in K - 1 nothing comes in the run.

    Args:
      rows: one row a trial, cutoffs of at least 2.

    Returns:
      `(rows,)`, in the order of seeds; NaN where it is not defined, and for a diverged one.
    """
    acting, lured = by_epoch(rows, "acting"), by_epoch(rows, "lured")
    before = np.arange(acting.shape[1]) < _cutoffs(rows)[:, None] - 1
    acted = np.where(before, acting, 0).sum(axis=1)
    return np.where(acted > 0, np.where(before, lured, 0).sum(axis=1) / np.where(acted > 0, acted, 1), np.nan)


def exposure(rows: Trials) -> np.ndarray:
    """Steps acted in over the run, `(rows,)`."""
    return by_epoch(rows, "acting").sum(axis=1) * rows.values("epoch_steps")


def acts(rows: Trials) -> np.ndarray:
    """The share of the steps before epoch K that are acted in, `(rows,)` in the order of seeds."""
    acting = by_epoch(rows, "acting")
    before = np.arange(acting.shape[1]) < _cutoffs(rows)[:, None]
    return np.where(before, acting, 0).sum(axis=1) / before.sum(axis=1)


def worth(rows: Trials) -> np.ndarray:
    """What a trial reaches of the planner's value under its own credit, `(rows,)` in the order of seeds.

    Of agents that do not see what is pending, under `epoch` credit, which is what their twin without a leak learns by;
    of agents that are shown cutoffs, the mean over those of training.
    """
    shown = rows["train_cutoffs"][0] if len(rows) and "train_cutoffs" in rows.columns else ""
    if isinstance(shown, str) and shown:
        return np.mean([rows.values(f"worth_{k}") for k in shown.split()], axis=0)
    if "show_pending" in rows.columns and len(rows) and rows["show_pending"][0] in (False, 0):
        return 1 - rows.values("regret_epoch") / rows.values("best_epoch")
    return rows.values("value_share")


def best_rate(rows: Trials) -> float:
    """The learning rate at which most seeds reach `GOOD` of the planner's value, shape `()`; the least of equals."""

    def reached(rate: float) -> float:
        return float((rows.matching(learning_rate=rate).values("value_share") >= GOOD).mean())

    return max(sorted(rows.unique("learning_rate")), key=reached)


INTENSITY = Derived("intensity", intensity, range=(0, 1))
IN_FIRST = Derived("in_first", lambda rows: lure_rate(rows, 0, 1), range=(0, 1))  # the rate of the first epoch
