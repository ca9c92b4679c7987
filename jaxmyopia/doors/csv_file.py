# SPDX-License-Identifier: Apache-2.0
"""Columns as a CSV file, written whole or not at all; what is missing is an empty cell."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from jaxmyopia.checks import ArgumentError, RunError, user_path
from jaxmyopia.engine.files import atomic, make_folder


def write_csv(columns: Mapping[str, Any], path: str | os.PathLike) -> pathlib.Path:
    """Writes columns as CSV: texts in quotes, numbers in so many digits that they are read back to the bit.

    Args:
      columns: `(rows,)` each, by name; NaN and None are empty cells.
      path: of the file, which is replaced where there is one.

    Returns:
      The path.

    Raises:
      ArgumentError: if it is no path of a file.
      RunError: if it cannot be written.
    """
    from pyarrow import csv  # beside parquet nothing else needs it

    target = user_path("path", path)
    if target.is_dir():
        raise ArgumentError("path", str(path), "must be a file, but it is a folder")
    table = pa.table({name: _cells(column) for name, column in columns.items()})
    try:
        make_folder(target.parent)
        with atomic(target) as temporary:
            csv.write_csv(table, temporary)
    except OSError as error:
        raise RunError(f"{target} could not be written ({error.strerror or error})") from None
    return target


def _cells(column: Any) -> pa.Array:
    """A column as Arrow has it; of several kinds, in one column, as texts."""
    values = np.asarray(column, object) if isinstance(column, list) else column
    try:
        return pa.array(values, from_pandas=True)  # NaN is what a row lacks
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if each is None or each != each else str(each) for each in values.tolist()])
