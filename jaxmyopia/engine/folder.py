# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what lies where, written so that a reader never sees half a file, and read with its checksums.

  manifest.json          resolved configuration, versions, devices, timing, git revision, status, checksums of chunks
  seeds/chunk-*.parquet  one row per seed and cell: ids, settings, every summary, `diverged`
  curves/chunk-*.npy     observables of the first seeds, `(T, trials, ...)`
  curves/chunk-*.parquet sketches: of each curve of `Study.quantiles`, how many trials have which value
  checkpoints/           of chunks in flight, while a run lives
  claims.json            claims with their verdicts
  figures/, report.html  see `jaxmyopia.report`

A chunk is some blocks of one cell. It is finished once its completion record `seeds/chunk-*.json`, the checksums of its
files, stands; the records end up in the manifest.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxmyopia.checks import ArgumentError, RunError, require
from jaxmyopia.engine.chunk import Chunk
from jaxmyopia.engine.files import (
    atomic,
    checksum_of,
    differences,
    json_value,
    path_of,
    read_manifest,
    save_array,
    to_numpy,
)
from jaxmyopia.engine.identity import hash_of
from jaxmyopia.engine.planned import PlannedCell
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Columns, Trials

FORMAT = 4  # of a run's folder; 2 is version 0.1's
_IDENTITY = b"identity"  # in the metadata of a chunk's rows
_STEM = re.compile(r"chunk-(\d+)-(\d+)")
_ENTRIES = {"manifest.json", "seeds", "curves", "checkpoints", "claims.json", "figures", "report.html"}


class RunFolder:
    """A run's folder, open for one configuration.

    Args:
      path: the folder; made if it is not there.
      config: the resolved configuration, JSON values; what decides every byte of the table.

    Raises:
      ValueError: if the folder holds another configuration or other files, is a file, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, object]):
        self.path = path_of("out", path)
        self.owner: object = None  # what keeps a temporary folder from going
        self.config = json.loads(json.dumps({"format": FORMAT, **config}))
        try:
            self._open()
        except OSError as error:
            allowed = f"must be a folder that can be written ({error.strerror})"
            raise ArgumentError("out", str(path), allowed) from None

    def _open(self) -> None:
        names = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        if any(not name.startswith(".") for name in names):  # a killed writer leaves dot files
            foreign = ", ".join(sorted(set(names) - _ENTRIES)[:3]) or "no manifest.json"
            ours = "manifest.json" in names
            require(ours, "out", str(self.path), f"must be a new folder or that of a run, but it holds {foreign}")
            # Flags before what follows from them: the cells lie deeper.
            differing = sorted(differences(self.manifest["config"], self.config), key=lambda text: text.count("."))
            shown = "; ".join(differing[:3]) + (f"; and {len(differing) - 3} more" if len(differing) > 3 else "")
            allowed = f"it holds a run of another configuration ({shown}); choose another folder"
            require(not differing, "out", str(self.path), allowed)
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic(self.path / ".probe"):
            pass
        (self.path / ".probe").unlink(missing_ok=True)

    @classmethod
    def existing(cls, path: str | os.PathLike) -> "RunFolder":
        """Opens the folder of a run as it stands.

        Raises:
          ArgumentError: if it is none, or another version's.
        """
        path = path_of("folder", path)
        manifest = read_manifest(path)
        require(bool(manifest), "folder", str(path), "must be the folder of a run, with a manifest.json")
        config = manifest.get("config", {})
        written, version = config.get("format", 1), manifest.get("versions", {}).get("jaxmyopia", "an earlier version")
        allowed = f"was written by jaxmyopia {version} (format {written}); this version reads format {FORMAT}"
        require(written == FORMAT, "folder", str(path), allowed)
        folder = cls.__new__(cls)  # nothing is written, so that it may lie where nothing can be
        folder.path, folder.config, folder.owner = path, config, None
        return folder

    def cells(self) -> list[PlannedCell]:
        """The cells of the run."""
        plain = ("name", "settings", "seeds", "steps", "records")
        return [
            PlannedCell(
                sweep=tuple((name, tuple(values)) for name, values in cell["sweep"].items()),
                **{name: cell[name] for name in plain},
            )
            for cell in self.config.get("cells", ())
        ]

    @functools.cached_property
    def identity(self) -> str:
        """The hash of all that can change a row; chunks and checkpoints carry it."""
        return hash_of(self.config)

    @property
    def given(self) -> tuple[tuple[str, ...], ...]:
        """For each cell, the columns of the table that say what its trials were given."""
        return tuple((*cell.settings, *(name for name, _ in cell.sweep)) for cell in self.cells())

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands on disk; empty before the first is written."""
        return read_manifest(self.path)

    def write_manifest(self, **entries: object) -> None:
        """Writes the manifest: the configuration, the `entries`, JSON values of any shape, and the finished chunks."""
        self.write_json("manifest.json", {"config": self.config} | entries | {"chunks": self.completed()})

    def write_json(self, name: str, value: object) -> None:
        """Writes a JSON file; `value` of any shape, numbers that JSON lacks become null."""
        self.write_text(name, json.dumps(json_value(value), indent=1, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file of the folder, any length."""
        self.write_with(name, lambda temporary: pathlib.Path(temporary).write_text(text, encoding="utf-8"))

    def write_with(self, name: str, write: Callable[[str], object]) -> str:
        """Writes a file of any shape by a function that takes the temporary name; returns its checksum.

        Raises:
          RunError: if it cannot be written, the disk being full or the folder gone.
        """
        path = self.path / name
        try:
            if path.parent != self.path:
                path.parent.mkdir(exist_ok=True)
            with atomic(path) as temporary:
                write(temporary)
                checksum = checksum_of(temporary)
        except OSError as error:
            what = "the folder has vanished" if not self.path.is_dir() else error.strerror or str(error)
            raise RunError(f"{path} could not be written ({what}); what is completed is kept") from error
        return checksum

    def completed(self) -> dict[str, dict[str, str]]:
        """The finished chunks, in order: name -> checksums of its files."""
        found: dict[str, dict[str, str]] = dict(self.manifest.get("chunks", {}))
        for path in (self.path / "seeds").glob("chunk-*.json"):
            found[path.stem] = json.loads(path.read_text())
        return dict(sorted(found.items()))

    def finished(self) -> frozenset[tuple[int, int]]:
        """The chunks that stand, as pairs of cell and chunk."""
        matches = (_STEM.fullmatch(stem) for stem in self.completed())
        return frozenset((int(match[1]), int(match[2])) for match in matches if match)

    def sweep(self) -> None:
        """Puts the completion records into the manifest and deletes them, with what killed writers left."""
        self.write_manifest(
            **{name: entry for name, entry in self.manifest.items() if name not in ("config", "chunks")}
        )
        left = (path for name in _ENTRIES for path in self.path.glob(f".{name}.*"))
        for path in [*self.path.glob("seeds/chunk-*.json"), *self.path.glob("*/.chunk-*"), *left]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.path / "checkpoints")

    def damaged(self) -> dict[str, list[str]]:
        """The files that are missing, cut short or altered: chunk -> their names."""
        found = {}
        for stem, files in self.completed().items():
            wrong = [name for name, checksum in files.items() if not self._is_whole(name, checksum)]
            if wrong:
                found[stem] = wrong
        return found

    def _is_whole(self, name: str, checksum: str) -> bool:
        path = self.path / name
        return path.is_file() and checksum_of(path) == checksum and self.is_ours(path)

    def is_ours(self, path: pathlib.Path) -> bool:
        """Whether a file with rows is this run's; a curve's file has no identity, but a checksum beside its rows."""
        return path.parent.name != "seeds" or pq.read_schema(path).metadata.get(_IDENTITY) == self.identity.encode()

    def forget(self, stems: list[str]) -> None:
        """Takes chunks, `(m,)` names, for not finished; their files will be written again."""
        entries = self.manifest
        for stem in stems:
            (self.path / "seeds" / f"{stem}.json").unlink(missing_ok=True)
            entries.get("chunks", {}).pop(stem, None)
        self.write_json("manifest.json", entries)

    def write_chunk(self, cell: int, settings: Mapping[str, object], chunk: Chunk) -> None:
        """Writes one chunk: curves first, then the rows, then the completion record, which makes it count.

        Args:
          cell: the cell's index, a scalar.
          settings: static columns, one value for all `(trials,)` rows.
          chunk: the finished chunk.
        """
        stem = f"chunk-{cell:03d}-{chunk.index:05d}"
        files: dict[str, str] = {}

        def write(name: str, how: Callable[[str], object]) -> None:
            files[name] = self.write_with(name, how)

        for name, leaf in chunk.kept.items():
            write(f"curves/{stem}.{name}.npy", functools.partial(save_array, leaf=leaf))
        for name, sketch in chunk.sketches.items():
            counts = {"group": sketch.group, "bucket": sketch.bucket, "count": sketch.count}
            groups = pa.table(counts, metadata={"shape": json.dumps(sketch.shape)})
            write(f"curves/{stem}.{name}.parquet", functools.partial(pq.write_table, groups))
        rows = len(chunk.rows["seed"])
        columns: dict[str, Any] = (
            {"cell": np.full(rows, cell)} | {name: [value] * rows for name, value in settings.items()} | chunk.rows
        )
        table = pa.table(columns, metadata={_IDENTITY: self.identity})
        write(f"seeds/{stem}.parquet", functools.partial(pq.write_table, table))
        self.write_json(f"seeds/{stem}.json", files)

    def _chunks(self, ending: str, cell: int | None = None) -> list[pathlib.Path]:
        """The finished chunks' files with an ending, in order of cell and chunk; each is whole."""
        paths = []
        for stem, files in self.completed().items():
            if cell is None or stem.startswith(f"chunk-{cell:03d}-"):
                paths += [(self.path / name, files[name]) for name in files if name.endswith(f"{stem}{ending}")]
        for path, checksum in paths:
            if (path, checksum) not in self._whole:
                if not self._is_whole(str(path.relative_to(self.path)), checksum):
                    raise RunError(
                        f"{path} is damaged, missing or another run's; add --repair to the command to compute it again"
                    )
                self._whole.add((path, checksum))
        return [path for path, _ in paths]

    @functools.cached_property
    def _whole(self) -> set[tuple[pathlib.Path, str]]:
        """The files whose checksums have been found right."""
        return set()

    def table(self) -> Trials:
        """All rows, in order of cell, chunk and trial: columns `(rows,)`, read when asked for; NaN where a cell lacks a
        number.

        Raises:
          RunError: if a file is damaged.
        """
        chunks = [(path, pq.read_schema(path)) for path in self._chunks(".parquet") if path.parent.name == "seeds"]
        names = dict.fromkeys(name for _, schema in chunks for name in schema.names)

        return Trials(Columns(names, functools.partial(self._column, chunks)), self.given)

    def files_of_rows(self, cell: int) -> list[tuple[pathlib.Path, int]]:
        """The files of a cell's rows in their order, and how many rows each has."""
        return [(path, pq.read_metadata(path).num_rows) for path in self._chunks(".parquet", cell)]

    def rows(self, cell: int, trials: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The rows of a cell as they were computed, without what other cells have.

        Args:
          cell: the cell's index.
          trials: `(rows,)` of the cell, in the order wanted; by default all.

        Returns:
          Columns `(rows,)`.

        Raises:
          RunError: if a file is damaged.
        """
        table = pa.concat_tables([pq.read_table(path) for path, _ in self.files_of_rows(cell)])
        table = table if trials is None else table.take(trials)
        return {name: to_numpy(table[name]) for name in table.column_names}

    def _column(self, chunks: list[tuple[pathlib.Path, pa.Schema]], name: str) -> np.ndarray:
        """One column `(rows,)` of the table; being a method, it keeps what owns the folder."""
        pieces = [pq.read_table(path, columns=[name] if name in schema.names else []) for path, schema in chunks]
        texts = {pa.types.is_string(schema.field(name).type) for _, schema in chunks if name in schema.names}
        if len(texts) == 1:
            return to_numpy(pa.concat_tables(pieces, promote_options="default")[name])
        # A name in one study and a number in another: each as it is.
        own = [to_numpy(piece[name]) if name in piece.column_names else [None] * len(piece) for piece in pieces]
        return np.concatenate([np.asarray(each, object) for each in own])

    def names(self, cell: int, ending: str) -> list[str]:
        """The names `(m,)` of a cell's curves (ending `.npy`) or sketches (`.parquet`)."""
        found: dict[str, None] = {}
        for stem, files in self.completed().items():
            if stem.startswith(f"chunk-{cell:03d}-"):
                curves = (name for name in files if name.startswith("curves/") and name.endswith(ending))
                found |= dict.fromkeys(name.removeprefix(f"curves/{stem}.").removesuffix(ending) for name in curves)
        return list(found)

    def curves(self, cell: int, name: str) -> np.ndarray:
        """One observable of the kept seeds of a cell, its chunks side by side.

        Args:
          cell: the cell's index.
          name: a field of the study's record.

        Returns:
          `(T, trials kept, ...)`, in the table's order.

        Raises:
          RunError: if a file is damaged.
        """
        return np.concatenate(
            [np.load(chunk, allow_pickle=False) for chunk in self._chunks(f".{name}.npy", cell)], axis=1
        )

    def sketch(self, cell: int, name: str) -> Sketch:
        """The sketch of one curve over all seeds of a cell.

        Args:
          cell: the cell's index.
          name: of the study's `quantiles`.

        Returns:
          The `Sketch`, a group for each record and combination of settings `(T, combinations)`.

        Raises:
          RunError: if a file is damaged.
        """
        return functools.reduce(
            lambda a, b: Sketch.merged([a, b]), map(_read_sketch, self._chunks(f".{name}.parquet", cell))
        )


def _read_sketch(path: pathlib.Path) -> Sketch:
    read = pq.read_table(path)
    records, columns = json.loads(read.schema.metadata[b"shape"])
    group, bucket, count = (read[column].to_numpy() for column in ("group", "bucket", "count"))
    return Sketch(group, bucket, count, (records, columns))
