# SPDX-License-Identifier: Apache-2.0
"""The table of a run: one row a trial, which is one seed under one combination of settings."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxmyopia.checks import ArgumentError, RunError, require

if TYPE_CHECKING:
    from jaxmyopia.doors.scores import Scores


class Columns(Mapping[str, np.ndarray]):
    """Columns `(rows,)` that are made when they are asked for, and then kept: of a wide table few are needed."""

    def __init__(self, names: Iterable[str], make: Callable[[str], np.ndarray]):
        self._names, self._make = dict.fromkeys(names), make
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # a Mapping would make the column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Measured(Protocol):
    """What a table is asked by: a measure."""

    def of(self, trials: "Trials", choice: Mapping[str, Any] | None = None) -> np.ndarray:
        """Its numbers `(rows,)`, in the order of seeds."""


class NoTrials(ArgumentError):
    """A table was asked for trials that the run does not hold."""


@dataclasses.dataclass(frozen=True)
class Trials:
    """Columns `(rows,)` of equal length, a column `seed` among them. A column that a row lacks holds NaN there.

    `given`: for each number in the column `cell`, the columns that say what its trials were given; or those of all, as
    one entry. The others were measured: a name may be given in one study and measured in another. `anytime`: whether
    evidence from it is to hold whenever one stops adding seeds. `controls`: the cells whose trials are for the controls
    of claims alone.
    """

    columns: Mapping[str, np.ndarray]
    given: tuple[tuple[str, ...], ...] = ()
    anytime: bool = False
    controls: tuple[int, ...] = ()

    @property
    def main(self) -> "Trials":
        """The trials without those that are for controls alone."""
        if not self.controls:
            return self
        return dataclasses.replace(self.keep(~np.isin(self.columns["cell"], self.controls)), controls=())

    @property
    def of_controls(self) -> "Trials":
        """The trials that are for controls alone; refused with `NoTrials` where the run holds none."""
        if not self.controls:
            raise NoTrials("controls", (), "must be among the cells of the run")
        return dataclasses.replace(self.keep(np.isin(self.columns["cell"], self.controls)), controls=())

    def narrowed(self, **equals: object) -> "Trials":
        """The trials whose columns equal the values given, and all of those for controls; refuses as `where` does."""
        main = self.main.where(**equals)
        if not self.controls:
            return main
        return dataclasses.replace(main.joined(self.of_controls), controls=self.controls)

    @property
    def settings(self) -> tuple[str, ...]:
        """The columns that say what these trials were given."""
        if len(self.given) < 2:
            return self.given[0] if self.given else ()
        cells = np.unique(self.columns["cell"]).tolist()
        return tuple(dict.fromkeys(name for cell in cells for name in self.given[int(cell)]))

    def __len__(self) -> int:
        return len(self.columns["seed"])

    def __getitem__(self, what: "str | Measured") -> np.ndarray:
        if not isinstance(what, str):
            back = np.argsort(self._by_seed, kind="stable")
            return _measured(what).of(self)[back]
        self._require(what)
        return self.columns[what]

    def holding(self, what: "Measured") -> "Trials":
        """A table with the columns of a measure: this one, for a run has them all; curves from elsewhere make them."""
        del what
        return self

    def _require(self, name: str) -> None:
        near = [known for known in self.columns if known[:3] == name[:3]] or list(self.settings) or list(self.columns)
        require(name in self.columns, "column", name, f"must be a column of the table, such as {', '.join(near[:6])}")

    def where(self, **equals: object) -> "Trials":
        """The trials whose columns equal the values given; floats within float32's precision.

        Raises:
          ArgumentError: if a name is no column.
          NoTrials: if no trial matches; the message lists the values that there are.
        """
        found = self
        for name, value in equals.items():
            self._require(name)
            require(np.ndim(value) == 0, name, value, "must be one value; of several ask in turn")  # type: ignore[arg-type]
            found = found.matching(**{name: value})
            if not len(found):
                shown = list(dict.fromkeys(self.columns[name].tolist()))
                raise NoTrials(name, value, f"must be among this run's values: {', '.join(map(str, shown[:8]))}")
        return found

    def matching(self, **equals: object) -> "Trials":
        """As `where`, but none where none match."""
        keep = np.ones(len(self), bool)
        for name, value in equals.items():
            column = self.columns[name]
            if isinstance(value, float) and column.dtype.kind in "fiu":
                keep &= np.isclose(column, value, rtol=1e-5, atol=0)
            else:
                keep &= column == value
        return self.keep(keep)

    def keep(self, mask: np.ndarray) -> "Trials":
        """The rows where `mask`, `(rows,)`, is True."""
        if mask.all():  # a million rows are not copied for nothing
            return self
        return dataclasses.replace(self, columns=Columns(self.columns, lambda name: self.columns[name][mask]))

    def groups(self, names: Sequence[str]) -> dict[tuple[Any, ...], np.ndarray]:
        """The rows `(rows,)` of each combination of the columns named, as masks; in the order of their values, None
        where a row lacks one."""
        codes, values = [], []
        for name in names:
            column = self.columns[name]
            if column.dtype.kind == "O":
                column = column.astype(str)
            known, code = np.unique(column, return_inverse=True)
            values.append([None if value != value else value for value in known.tolist()])
            codes.append(code)
        places, group = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        group = group.reshape(-1)
        return {
            tuple(values[i][code] for i, code in enumerate(place)): group == number
            for number, place in enumerate(places.tolist())
        }

    def joined(self, *others: "Trials") -> "Trials":
        """These trials and those of others, which have the same columns."""
        every = (self, *others)
        make = lambda name: np.concatenate([each.columns[name] for each in every])
        return dataclasses.replace(self, columns=Columns(self.columns, make))

    def unique(self, name: str) -> list:
        """The sorted distinct values of a column."""
        return np.unique(self[name]).tolist()

    @property
    def _by_seed(self) -> np.ndarray:
        return np.argsort(self.columns["seed"], kind="stable")

    def values(self, what: "str | Measured", choice: Mapping[str, Any] | None = None) -> np.ndarray:
        """A column or a measure in the order of seeds, as floats `(rows,)`; NaN for a diverged trial.

        Args:
          what: a measure, or a column's name.
          choice: of the measure's thresholds, by default the main one.

        Returns:
          `(rows,)`, of trials in the order of their seeds.

        Raises:
          ArgumentError: if there is no such column, or the measure's grid lacks the choice.
        """
        if not isinstance(what, str):
            return _measured(what).of(self, choice)
        require(self[what].dtype.kind in "biuf", "column", what, "must be a column of numbers")
        column = self[what].astype(float)
        return np.where(self.columns["diverged"], np.nan, column)[self._by_seed]

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame; pandas is asked for here alone.

        Raises:
          RunError: if pandas is not installed.
        """
        try:
            import pandas  # an extra, not a requirement
        except ModuleNotFoundError:
            raise RunError("pandas is not installed: pip install pandas, or this package's extra [pandas]") from None
        return pandas.DataFrame({name: self.columns[name] for name in self.columns})

    def to_csv(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the table as CSV, a row a trial and the names of the columns above; NaN is an empty cell.

        Args:
          path: of the file, which is replaced where there is one.

        Returns:
          The path.

        Raises:
          ArgumentError: if it is no path.
          RunError: if it cannot be written.
        """
        from jaxmyopia.doors.csv_file import write_csv  # what a table needs to be judged comes without it

        return write_csv({name: self.columns[name] for name in self.columns}, path)

    def matrix(
        self, what: "str | Measured", by: str | Sequence[str], *, choice: Mapping[str, Any] | None = None
    ) -> "Scores":
        """A measure as matrices, seeds by conditions: what rliable and others that compare algorithms take.

        Args:
          what: a measure, or a column's name.
          by: the setting, or several, whose values are compared: an entry each.
          choice: of the measure's thresholds, by default the main one.

        Returns:
          The `Scores`: by the value of `by` (of several a tuple) an array `(runs, conditions)`, one row a seed, the
          same seeds and the same conditions in all; NaN where a trial diverged.

        Raises:
          ArgumentError: if there is no such measure or setting, a condition is there on one side alone, or no seed has
            them all.
        """
        from jaxmyopia.doors.scores import scores

        return scores(self, what, by, choice)


def require_trials(value: object) -> None:
    """Refuses what is no table of trials.

    Raises:
      ArgumentError: if it is none.
    """
    shown = value if isinstance(value, str | int | float | None) else type(value).__name__
    require(isinstance(value, Trials), "trials", shown, "must be trials of a run, such as trials.where(...)")


def _measured(what: Any) -> Measured:
    require(hasattr(what, "of"), "measure", what, "must be a measure, or the name of a column")
    return what
