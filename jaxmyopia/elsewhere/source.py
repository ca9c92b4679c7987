# SPDX-License-Identifier: Apache-2.0
"""Where curves come from: a file, a DataFrame, a dict of arrays or an Arrow table, all read into the last of these."""

import csv
import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from jaxmyopia.checks import ArgumentError, require, user_path


@dataclasses.dataclass(frozen=True)
class Source:
    """A table as it came.

    `table`: its columns. `kind`, `name`: how it is called in messages, as in file='a.csv'. `headed`: whether its
    columns have names of their own; else the first is the step. `nan_is_empty`: whether NaN may also stand for an empty
    cell, as it does in a DataFrame; elsewhere an empty cell is a null, and NaN is a number that the run gave.
    """

    table: pa.Table
    kind: str
    name: str
    headed: bool = True
    nan_is_empty: bool = False

    def require(self, ok: bool, allowed: str) -> None:
        """Refuses the table unless `ok`; as `jaxmyopia.checks.require`."""
        require(ok, self.kind, self.name, allowed)

    @property
    def stem(self) -> str:
        """A file's name without folder and ending; of another table, "run"."""
        return pathlib.Path(self.name).stem if self.kind == "file" else "run"

    def numbers(self, column: str, hint: str = "") -> tuple[np.ndarray, np.ndarray]:
        """A column as floats `(rows,)`, and which of its cells are empty, `(rows,)`.

        Raises:
          ArgumentError: if a cell holds something else; it is shown, and the hint.
        """
        cells = self.table[column]
        try:
            values = _floats(cells)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            wrong = next((cell for cell in cells.to_pylist() if not _is_number(cell)), cells.type)
            self.require(False, f"must hold numbers in column {column!r}, but one is {wrong!r}{hint}")
        return values, np.asarray(cells.is_null(nan_is_null=self.nan_is_empty))

    def is_numeric(self, column: str) -> bool:
        """Whether all cells of a column are numbers or empty, and one at least is a number."""
        try:
            values = _floats(self.table[column])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            return False
        return bool(len(values) > self.table[column].null_count)

    def labels(self, column: str) -> np.ndarray:
        """A column as it is, numbers, truth values or text, `(rows,)`; an empty cell is NaN."""
        cells = self.table[column]
        if pa.types.is_dictionary(cells.type):
            cells = cells.cast(cells.type.value_type)
        kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        if any(kind(cells.type) for kind in kinds):
            return cells.to_numpy() if not cells.null_count else cells.cast(pa.float64(), safe=False).to_numpy()
        found = [np.nan if cell is None else str(cell) for cell in cells.to_pylist()]
        return np.asarray(found, object if cells.null_count else str)


def _floats(cells: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_temporal(cells.type):
        cells = cells.cast(pa.int64(), safe=False)
    return cells.cast(pa.float64(), safe=pa.types.is_string(cells.type)).to_numpy()


def _is_number(cell: object) -> bool:
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return cell is None
    return True


def read(given: Any) -> Source:
    """Reads what a user gives.

    Args:
      given: a path to `.csv`, `.npy` (the step, then a loss a run) or `.npz` (`step` `(T,)` and other arrays, `(T,)` or
        `(T, runs)`); such arrays by name; a DataFrame of pandas or another library; an Arrow table.

    Returns:
      The `Source`.

    Raises:
      ArgumentError: if it is something else, or the file is missing or damaged.
    """
    source = _of_file(user_path("file", given)) if isinstance(given, str | os.PathLike) else _of_table(given)
    names = source.table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    source.require(twice is None, f"must have columns of different names, but two are called {twice!r}")
    source.require(len(names) > 1, "must hold at least one curve beside the step")
    source.require(source.table.num_rows > 0, "must hold records, but it is empty")
    return source


def _of_file(path: pathlib.Path) -> Source:
    readers = {".csv": _csv, ".npy": _npy, ".npz": _npz}
    require(path.suffix in readers, "file", str(path), f"must end in one of {', '.join(readers)}")
    try:
        table, headed = readers[path.suffix](path)
    except OSError as error:
        raise ArgumentError("file", str(path), f"must be a file that can be read ({error.strerror})") from None
    except (ValueError, TypeError, EOFError, KeyError, csv.Error, zipfile.BadZipFile, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ArgumentError("file", str(path), f"must hold the step and losses, numbers all ({reason})") from None
    return Source(table, "file", str(path), headed)


def _of_table(given: Any) -> Source:
    from_pandas = type(given).__module__.split(".")[0] == "pandas" and hasattr(given, "reset_index")
    known = isinstance(given, Mapping) or hasattr(given, "__arrow_c_stream__") or from_pandas
    allowed = "must be a path, a DataFrame, a dict of arrays or an Arrow table"
    require(known, "table", type(given).__name__, allowed)
    try:
        if from_pandas:
            named = any(name is not None for name in given.index.names)  # such as a step, by which one has pivoted
            table = pa.Table.from_pandas(given.reset_index() if named else given, preserve_index=False)
        else:
            table = _of_arrays(given) if isinstance(given, Mapping) else pa.table(given)
    except (ValueError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ArgumentError("table", type(given).__name__, f"must hold the step and losses ({reason})") from None
    return Source(table, "table", type(given).__name__, nan_is_empty=from_pandas)


def _of_arrays(arrays: Mapping[str, Any]) -> pa.Table:
    """Columns of arrays `(T,)`, and of each column of those that are `(T, runs)`."""
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        if isinstance(array, list | tuple | range | pa.Array | pa.ChunkedArray):
            columns[str(name)] = array
            continue
        values = np.asarray(array)
        if values.ndim == 1:
            columns[str(name)] = values
        elif values.ndim == 0:
            raise ValueError(f"{name} is one number")
        else:
            columns |= {f"{name} {i}": column for i, column in enumerate(values.reshape(len(values), -1).T)}
    lengths = {name: len(column) for name, column in columns.items()}
    for name, length in lengths.items():
        first = next(iter(lengths))
        if length != lengths[first]:
            raise ValueError(f"{first} has {lengths[first]} records, and {name} {length}")
    return pa.table({name: pa.array(np.ascontiguousarray(c) if isinstance(c, np.ndarray) else c)
                     for name, c in columns.items()})  # fmt: skip


def _csv(path: pathlib.Path) -> tuple[pa.Table, bool]:
    with open(path, encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    if not first:
        raise ValueError("it is empty")
    comma = next((mark for mark in ",;\t" if mark in first), ",")
    cells = [cell.strip() for cell in next(csv.reader([first], delimiter=comma))]
    headed = not cells[0] or not all(_is_number(cell or None) for cell in cells)  # no step is empty
    # One block, so that the kind of a column is found from all of its cells.
    size = min(max(path.stat().st_size + 1, 1 << 20), (1 << 31) - 1)
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=size, autogenerate_column_names=not headed),
        parse_options=pyarrow.csv.ParseOptions(delimiter=comma),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )
    names = [name.strip() for name in table.column_names]
    return table.rename_columns(names if headed else _plain(len(names))), headed


def _npy(path: pathlib.Path) -> tuple[pa.Table, bool]:
    with path.open("rb") as file:  # np.load would take junk for a pickle, and give advice
        array = np.asarray(np.lib.format.read_array(file, allow_pickle=False), float)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError(f"its shape is {array.shape}")
    return _of_arrays(dict(zip(_plain(array.shape[1]), array.T, strict=True))), False


def _npz(path: pathlib.Path) -> tuple[pa.Table, bool]:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return _of_arrays(arrays), True


def _plain(columns: int) -> list[str]:
    return ["step", *(f"run {i}" for i in range(columns - 1))]
