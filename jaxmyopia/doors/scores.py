# SPDX-License-Identifier: Apache-2.0
"""A measure as one matrix, seeds by conditions, for each of those that are compared: what rliable takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.stats.table import Measured, Trials


class Scores(dict[Any, np.ndarray]):
    """Matrices `(runs, conditions)` by what is compared; a row is one seed, the same in all of them.

    `seeds`: `(runs,)`, of the rows. `conditions`: of the columns, the settings in which they differ.
    """

    def __init__(self, matrices: Mapping[Any, np.ndarray], seeds: np.ndarray, conditions: Sequence[dict[str, Any]]):
        super().__init__(matrices)
        self.seeds, self.conditions = seeds, list(conditions)


def scores(trials: Trials, what: str | Measured, by: str | Sequence[str], choice: Mapping[str, Any] | None) -> Scores:
    """The matrices of a table; see `Trials.matrix`."""
    names = (by,) if isinstance(by, str) else tuple(by)
    values = trials.values(what, choice)
    trials = trials.keep(np.ones(len(trials), bool))
    order = np.argsort(trials.columns["seed"], kind="stable")
    seed = trials.columns["seed"][order]
    varied = [name for name in trials.settings if name in trials.columns and len(trials.groups([name])) > 1]
    known = varied or list(trials.settings)
    for name in names:
        require(name in trials.settings, "by", name, f"must be a setting, such as {', '.join(known) or 'none here'}")
    require(len(names) > 0, "by", by, f"must be a setting, or several, such as {', '.join(known)}")
    others = [name for name in varied if name not in names]
    found: dict[Any, dict[tuple[Any, ...], np.ndarray]] = {}
    for place, rows in trials.groups([*names, *others]).items():
        key = place[0] if isinstance(by, str) else place[: len(names)]
        found.setdefault(key, {})[place[len(names) :]] = rows[order]
    conditions = _same(found, others)
    seeds = _shared_seeds(found, seed)
    matrices = {
        key: np.stack([values[rows][np.searchsorted(seed[rows], seeds)] for rows in by_condition.values()], axis=1)
        for key, by_condition in found.items()
    }
    return Scores(matrices, seeds, [dict(zip(others, each, strict=True)) for each in conditions])


def _same(found: Mapping[Any, Mapping[tuple[Any, ...], np.ndarray]], others: Sequence[str]) -> list[tuple[Any, ...]]:
    """The conditions, which are those of every side."""
    first, *rest = found.items()
    for key, mine in rest:
        apart = [each for each in (*first[1], *mine) if (each in first[1]) != (each in mine)]
        shown = ", ".join(f"{name} {value}" for name, value in zip(others, apart[0], strict=True)) if apart else ""
        allowed = f"must have the same conditions, but one alone has {shown}; select with where"
        require(not apart, "matrix", f"{first[0]} and {key}", allowed)
    return list(first[1])


def _shared_seeds(found: Mapping[Any, Mapping[tuple[Any, ...], np.ndarray]], seed: np.ndarray) -> np.ndarray:
    """The seeds that every side has under every condition, once each, in their order."""
    seeds = np.unique(seed)
    for mine in found.values():
        for rows in mine.values():
            here, counts = np.unique(seed[rows], return_counts=True)
            allowed = "must hold one trial a seed and condition; select one cell with where(cell=...)"
            require(bool((counts == 1).all()), "matrix", f"{int(counts.max(initial=0))} trials of a seed", allowed)
            seeds = np.intersect1d(seeds, here)
    require(len(seeds) > 0, "matrix", "0 seeds", "must have a seed that has all conditions")
    return seeds
