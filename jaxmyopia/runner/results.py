# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what lies where, written so that a reader never sees half a file.

  manifest.json          resolved configuration, versions, devices, timing, git revision, status
  seeds/part-*.parquet   one row per seed and cell: ids, settings, every summary, `diverged`
  curves/part-*.npy      `loss` of every lane `(T, lanes)`, other observables of the first seeds `(T, lanes, ...)`
  claims.json            claims with their verdicts
  figures/, report.html  see `jaxmyopia.report`

A part is some blocks of one cell. It is finished once its parquet file stands, which is written last.
"""

import contextlib
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxmyopia.checks import require
from jaxmyopia.runner.run import Part
from jaxmyopia.stats.table import SeedTable

_PART = re.compile(r"part-(\d+)-(\d+)\.parquet")
_ENTRIES = {"manifest.json", "seeds", "curves", "claims.json", "figures", "report.html"}


@contextlib.contextmanager
def _atomic(path: pathlib.Path) -> Iterator[str]:
    """Gives a temporary name beside `path`, renamed to it on success, gone on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        os.chmod(name, 0o644)
        yield name
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def _differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """The leaves in which two JSON values differ, as `path: old, now new`."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = (dict(enumerate(value)) for value in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield f"{path}: {json.dumps(old)}, now {json.dumps(new)}"


def _json_value(value: object) -> object:
    """Numbers of numpy as Python's, and NaN and infinities (which JSON lacks) as null."""
    if isinstance(value, dict):
        return {key: _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


class RunFolder:
    """A run's folder, open for one configuration.

    Args:
      path: the folder; made if it is not there.
      config: the resolved configuration, JSON values; what decides every byte of the table.

    Raises:
      ValueError: if the folder holds another configuration or other files, is a file, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, object]):
        require(str(path) != "", "out", path, "must be a folder")
        self.path = pathlib.Path(path)
        self.config = json.loads(json.dumps(config))
        try:
            self._open()
        except OSError as error:
            raise ValueError(
                f"out={str(path)!r} is not allowed: must be a folder that can be written ({error.strerror})"
            ) from None

    def _open(self) -> None:
        names = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        if any(not name.startswith(".") for name in names):  # a killed writer leaves dot files
            foreign = ", ".join(sorted(set(names) - _ENTRIES)[:3]) or "no manifest.json"
            ours = "manifest.json" in names
            require(ours, "out", str(self.path), f"must be a new folder or that of a run, but it holds {foreign}")
            # Flags before what follows from them: the cells lie deeper.
            differing = sorted(_differences(self.manifest["config"], self.config), key=lambda text: text.count("."))
            shown = "; ".join(differing[:3]) + (f"; and {len(differing) - 3} more" if len(differing) > 3 else "")
            allowed = f"it holds a run of another configuration ({shown}); choose another folder"
            require(not differing, "out", str(self.path), allowed)
        self.path.mkdir(parents=True, exist_ok=True)
        with _atomic(self.path / ".probe"):
            pass
        (self.path / ".probe").unlink()

    @property
    def manifest(self) -> dict[str, object]:
        """The manifest as it stands on disk."""
        return json.loads((self.path / "manifest.json").read_text())

    def write_manifest(self, **entries: object) -> None:
        """Writes the manifest: the configuration and the `entries`, JSON values of any shape."""
        self.write_json("manifest.json", {"config": self.config} | entries)

    def write_json(self, name: str, value: object) -> None:
        """Writes a JSON file; `value` of any shape, numbers that JSON lacks become null."""
        self.write_text(name, json.dumps(_json_value(value), indent=1, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file of the folder, any length."""
        with _atomic(self.path / name) as temporary:
            pathlib.Path(temporary).write_text(text, encoding="utf-8")

    def write_with(self, name: str, write: Callable[[str], None]) -> None:
        """Writes a file of any shape by a function that takes the temporary name."""
        with _atomic(self.path / name) as temporary:
            write(temporary)

    def finished(self, cell: int) -> frozenset[int]:
        """The parts of a cell (scalar index) that stand."""
        matches = (_PART.fullmatch(path.name) for path in (self.path / "seeds").glob("part-*.parquet"))
        return frozenset(int(match[2]) for match in matches if match and int(match[1]) == cell)

    def write_part(self, cell: int, settings: dict[str, object], part: Part) -> None:
        """Writes one part: curves first, then the rows, which make it count.

        Args:
          cell: the cell's index, a scalar.
          settings: static columns, one value for all `(lanes,)` rows.
          part: the finished part.
        """
        stem = f"part-{cell:03d}-{part.index:05d}"
        for name, leaf in {**part.kept, "loss": part.loss}.items():
            with _atomic(self.path / "curves" / f"{stem}.{name}.npy") as temporary, open(temporary, "wb") as file:
                np.save(file, leaf, allow_pickle=False)
        rows = len(part.rows["seed"])
        columns = {"cell": np.full(rows, cell)} | {name: [value] * rows for name, value in settings.items()} | part.rows
        with _atomic(self.path / "seeds" / f"{stem}.parquet") as temporary:
            pq.write_table(pa.table(columns), temporary)

    def table(self) -> SeedTable:
        """All rows, in order of cell, part and lane: columns `(rows,)`; NaN where a cell lacks a number."""
        parts = sorted((self.path / "seeds").glob("part-*.parquet"))
        table = pa.concat_tables([pq.read_table(part) for part in parts], promote_options="default")
        return SeedTable({name: table[name].to_numpy() for name in table.column_names})

    def curves(self, cell: int, name: str) -> np.ndarray:
        """One observable of a cell, its parts side by side.

        Args:
          cell: the cell's index.
          name: `loss`, or a field of the study's record.

        Returns:
          `(T, lanes, ...)`: every lane in the table's order for `loss`, those of the kept seeds for the others.
        """
        parts = sorted((self.path / "curves").glob(f"part-{cell:03d}-*.{name}.npy"))
        return np.concatenate([np.load(part, allow_pickle=False) for part in parts], axis=1)
