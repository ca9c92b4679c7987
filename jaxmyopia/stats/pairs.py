# SPDX-License-Identifier: Apache-2.0
"""How the rows of a table pair, and one number a seed from one a trial."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.stats.table import Trials, require_trials


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Trials of two sides that belong together: places `a`, `b` `(pairs,)` in the order of each side's seeds, and the
    `seed` `(pairs,)` they share."""

    seed: np.ndarray
    a: np.ndarray
    b: np.ndarray


def pair(a: Trials, b: Trials, *, apart: Sequence[str] = (), over: Sequence[str] = ()) -> Pairs:
    """Pairs the trials of two sides that agree in seed and in every setting that does not tell the sides apart.

    A setting tells them apart if the two sides have none of its values in common, or if it is named in `apart`; where
    they have some in common and some not, it is refused by name: what was meant cannot be known.

    Args:
      a, b: the sides.
      apart: settings by which trials that belong together may differ.
      over: settings by which one side may hold several trials for one of the other; each makes a pair.

    Returns:
      The `Pairs`, in the order of seeds.

    Raises:
      ArgumentError: if a side holds several trials for one pair, the sides share some values of a setting alone, or
        there is no pair.
    """
    for each in (a, b):
        require_trials(each)
    names = [name for name in dict.fromkeys((*a.settings, *b.settings)) if name in a.columns and name in b.columns]
    shared = [name for name in names if name not in (*apart, *over) and _is_shared(a, b, name)]
    keys = _keys(a, b, ["seed", *shared])
    sides = [_Side(key, table) for key, table in zip(keys, (a, b), strict=True)]
    for side, name in zip(sides, ("first", "second"), strict=True):
        differing = [each for each in names if each not in (*shared, *over) and len(_distinct(side.table, each)) > 1]
        allowed = (
            f"must hold one trial a pair, but the {name} side has several; they differ in {differing or 'nothing'}"
        )
        require(bool(over) or not side.repeated, "paired", f"{len(side.table)} trials", allowed)
    one, other = sides if not sides[1].repeated else sides[::-1]
    require(not other.repeated, "over", tuple(over), "must leave one trial a pair on one side")
    place = np.minimum(np.searchsorted(other.sorted, one.key), len(other.sorted) - 1)
    found = other.sorted[place] == one.key if len(other.sorted) else np.zeros(len(one.key), bool)
    mine, its = np.flatnonzero(found), other.order[place[found]]
    sides_agree = f"must be sides that agree in {', '.join(['seed', *shared])} somewhere"
    require(len(mine) > 0, "paired", f"{len(a)} and {len(b)} trials", sides_agree)
    first, second = (mine, its) if one is sides[0] else (its, mine)
    return Pairs(seed=np.sort(one.table.columns["seed"], kind="stable")[mine], a=first, b=second)


class _Side:
    """One side's keys, in the order of its seeds, and sorted."""

    def __init__(self, key: np.ndarray, table: Trials):
        self.table, self.key = table, key
        self.order = np.argsort(key, kind="stable")
        self.sorted = key[self.order]
        self.repeated = bool(len(key)) and bool((self.sorted[1:] == self.sorted[:-1]).any())


def shared_settings(*sides: Trials) -> list[str]:
    """The settings that all sides have, in which trials of one side differ."""
    first, *others = sides
    names = [name for name in first.settings if all(name in each.settings for each in others)]
    return [name for name in names if all(len(_distinct(each, name)) > 1 for each in sides)]


def _distinct(trials: Trials, name: str) -> set[str]:
    column = trials.columns[name]
    return set(map(str, column if column.dtype == object else np.unique(column)))


def _is_shared(a: Trials, b: Trials, name: str) -> bool:
    """Whether a setting has the same values on both sides; if they have none in common it tells the sides apart."""
    first, second = _distinct(a, name), _distinct(b, name)
    allowed = (
        "must be the same on both sides, or have nothing in common; apart= names what may differ; one side alone has"
    )
    require(first == second or not first & second, name, sorted(first & second), f"{allowed} {sorted(first ^ second)}")
    return first == second


def _keys(a: Trials, b: Trials, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """One number a trial of either side, in the order of seeds, equal where all the columns named are."""
    key = np.zeros(len(a) + len(b), np.int64)
    for name in names:
        if name != "seed" and len(_distinct(a, name)) == 1:
            continue  # the same for all: it tells none apart
        both = np.concatenate([side.columns[name][side._by_seed] for side in (a, b)])
        _, code = np.unique(both if both.dtype != object else both.astype(str), return_inverse=True)
        _, key = np.unique(key * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    return key[: len(a)], key[len(a) :]


def over_seeds(
    seed: np.ndarray, values: np.ndarray, combine: Callable[..., np.ndarray] = np.mean
) -> tuple[np.ndarray, np.ndarray]:
    """One number a seed from one a trial.

    Args:
      seed: `(rows,)`, sorted.
      values: `(rows,)`; a seed of which one is NaN is left out, as is one that has fewer than the others.
      combine: the mean, or another reduction that takes `axis`.

    Returns:
      The numbers `(S,)` and their seeds `(S,)`, in their order.
    """
    seeds, starts, counts = np.unique(seed, return_index=True, return_counts=True)
    if not counts.size:
        return np.zeros(0), seeds
    whole = counts == counts.max()
    rows = starts[whole][:, None] + np.arange(counts.max())
    grouped = values[rows]
    known = ~np.isnan(grouped).any(axis=1)
    return combine(grouped[known], axis=1), seeds[whole][known]
