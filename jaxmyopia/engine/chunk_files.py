# SPDX-License-Identifier: Apache-2.0
"""The files of a chunk, written and read: rows and sketches in parquet, curves as .npy; nothing is ever unpickled."""

import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxmyopia.checks import RunError
from jaxmyopia.engine.manifest import damaged
from jaxmyopia.stats.sketch import Sketch

_AT_ONCE = 4096  # rows, up to which a file's columns are read together: one by one takes as long each
_IDENTITY = b"identity"  # in the metadata of a file of rows


@contextlib.contextmanager
def readable(path: pathlib.Path) -> Iterator[None]:
    """Within it, what cannot be read from a file of any shape raises a RunError that names the file."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # many kinds are raised for a damaged file
        damaged(path, " ".join(str(error).split())[:100] or type(error).__name__, "choose another folder")


def write_curve(path: str, curve: np.ndarray) -> None:
    """Writes curves `(T, trials, ...)` as a .npy file of this very name."""
    with open(path, "wb") as file:
        np.save(file, curve, allow_pickle=False)


def read_curves(paths: Sequence[pathlib.Path]) -> np.ndarray:
    """The curves of several chunks side by side, `(T, trials, ...)`.

    Raises:
      RunError: if one cannot be read.
    """
    pieces: list[np.ndarray] = []
    for path in paths:
        with readable(path):
            piece = np.load(path, allow_pickle=False)
            first = pieces[0] if pieces else piece
            if piece.ndim < 2 or (piece.shape[0], *piece.shape[2:]) != (first.shape[0], *first.shape[2:]):
                raise ValueError(f"its shape is {piece.shape}")
            pieces.append(piece)
    return np.concatenate(pieces, axis=1)


def write_sketch(path: str, sketch: Sketch) -> None:
    """Writes a sketch, groups `(T, columns)`, as a parquet file."""
    counts = {"group": sketch.group, "bucket": sketch.bucket, "count": sketch.count}
    pq.write_table(pa.table(counts, metadata={"shape": json.dumps(sketch.shape)}), path)


def read_sketch(path: pathlib.Path, columns: int | None = None) -> Sketch:
    """The sketch that a file holds.

    Args:
      path: of the file.
      columns: how many it must have, if that is known.

    Returns:
      Groups `(T, columns)`.

    Raises:
      RunError: if it cannot be read.
    """
    with readable(path):
        with pq.ParquetFile(path) as file:
            read = file.read()
        shape = json.loads((read.schema.metadata or {})[b"shape"])
        if not _is_shape(shape) or columns not in (None, shape[1]):
            raise ValueError(f"its shape is {shape}")
        groups = shape[0] * shape[1]
        group, bucket, count = (read[name].to_numpy() for name in ("group", "bucket", "count"))
        fine = all(each.dtype.kind in "iu" for each in (group, bucket, count)) and bucket.dtype == np.uint16
        if not fine or (len(group) and not 0 <= group.min() <= group.max() < groups) or (np.diff(group) < 0).any():
            raise ValueError("its groups are none of its shape")
        return Sketch(group, bucket, count, (shape[0], shape[1]))


def _is_shape(shape: object) -> bool:
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(each) is int and each > 0 for each in shape)):
        return False
    return shape[0] * shape[1] < 2**31


def write_rows(path: str, columns: Mapping[str, Any], identity: str) -> None:
    """Writes rows, columns `(rows,)`, as a parquet file that carries the identity of its run."""
    pq.write_table(pa.table(dict(columns), metadata={_IDENTITY: identity}), path)


def identity_in(path: pathlib.Path) -> str:
    """The identity that a file of rows carries; empty where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return (pq.read_schema(path).metadata or {}).get(_IDENTITY, b"").decode()
    return ""


@dataclasses.dataclass(frozen=True)
class RowsFile:
    """A file of rows whose columns `(rows,)` are read one by one: its footer, which says where they lie, was read."""

    path: pathlib.Path
    footer: pq.FileMetaData
    schema: pa.Schema

    @classmethod
    def at(cls, path: pathlib.Path) -> "RowsFile":
        """The file at a path.

        Raises:
          RunError: if it cannot be read, or lacks what all rows have.
        """
        with readable(path):
            footer = pq.read_metadata(path)
            schema = footer.schema.to_arrow_schema()
            for name in ("cell", "seed"):
                if not pa.types.is_integer(schema.field(name).type):
                    raise ValueError(f"its column {name} is of {schema.field(name).type}")
            return cls(path, footer, schema)

    def column(self, name: str) -> np.ndarray | int:
        """A column, `(rows,)`; where there is none, or a blank one, the number of rows.

        Raises:
          RunError: if it cannot be read.
        """
        if name not in self.schema.names or pa.types.is_null(self.schema.field(name).type):
            return self.footer.num_rows
        table = self._whole if self.footer.num_rows <= _AT_ONCE else self._read([name])
        return to_numpy(table[name])

    @functools.cached_property
    def _whole(self) -> pa.Table:
        return self._read(None)

    def _read(self, names: list[str] | None) -> pa.Table:
        # Not `read_table`, which takes the path for a data set and reads the footer again: eight times as long.
        with readable(self.path), pq.ParquetFile(self.path, metadata=self.footer) as file:
            return file.read(names)


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """A column of a parquet table, `(rows,)`; rows that have the same string share it."""
    if not pa.types.is_string(column.type):
        return column.to_numpy()
    encoded = column.combine_chunks().dictionary_encode()  # rows share their strings; None where there is none
    strings = np.array([*encoded.dictionary.to_pylist(), None], object)
    return strings[encoded.indices.fill_null(len(strings) - 1).to_numpy()]


def stacked(pieces: Sequence[np.ndarray | int]) -> np.ndarray:
    """One column from those of several tables, one below the other, each entry as it is.

    Numbers of several kinds, truth values among them, are given the kind that holds them all.

    >>> stacked([np.array([1, 2]), np.array([0.5]), 1])
    array([1. , 2. , 0.5, nan])

    Args:
      pieces: each a column `(rows,)`, or how many rows lack it: they hold NaN, or None where others hold a string.

    Returns:
      `(all rows,)`.
    """
    objects = any(isinstance(each, np.ndarray) and each.dtype == object for each in pieces)
    blank, kind = (None, object) if objects else (np.nan, None)
    return np.concatenate(
        [np.full(each, blank, kind) if isinstance(each, int) else np.asarray(each, kind) for each in pieces]
    )
