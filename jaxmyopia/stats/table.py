# SPDX-License-Identifier: Apache-2.0
"""A table with one row per seed and cell, and the pairing of its rows by seed."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np


class Columns(Mapping[str, np.ndarray]):
    """Columns `(rows,)` that are made when they are asked for, and then kept: of a wide table few are needed."""

    def __init__(self, names: Iterable[str], make: Callable[[str], np.ndarray]):
        self._names, self._make, self._made = dict.fromkeys(names), make, {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclasses.dataclass(frozen=True)
class Trials:
    """Columns `(rows,)` of equal length, a column `seed` among them. A column that a row lacks holds NaN there."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["seed"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, **equals: object) -> "Trials":
        """The rows whose columns equal the values given; floats within float32's precision."""
        keep = np.ones(len(self), bool)
        for name, value in equals.items():
            column = self.columns[name]
            keep &= np.isclose(column, value, rtol=1e-5, atol=0) if isinstance(value, float) else column == value
        return self.keep(keep)

    def keep(self, mask: np.ndarray) -> "Trials":
        """The rows where `mask`, `(rows,)`, is True."""
        if mask.all():  # a million rows are not copied for nothing
            return self
        return Trials(Columns(self.columns, lambda name: self.columns[name][mask]))

    def unique(self, name: str) -> list:
        """The sorted distinct values of a column."""
        return np.unique(self.columns[name]).tolist()

    def values(self, name: str) -> np.ndarray:
        """A column in the order of its seeds, as floats `(rows,)`; NaN for a diverged seed."""
        order = np.argsort(self.columns["seed"], kind="stable")
        return np.where(self.columns["diverged"], np.nan, self.columns[name].astype(float))[order]


def paired(a: Trials, b: Trials, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Pairs a column of two cells by seed.

    Args:
      a, b: tables with one row a seed, `(rows,)` each.
      name: the column.

    Returns:
      Two arrays `(S,)` in the same order of seeds, and the number of pairs left out because a partner diverged.
    """
    common = np.intersect1d(a["seed"], b["seed"])
    x, y = (table.values(name)[np.isin(np.sort(table["seed"]), common)] for table in (a, b))
    whole = np.isfinite(x) & np.isfinite(y)
    return x[whole], y[whole], int((~whole).sum())
