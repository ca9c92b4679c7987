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
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from jaxmyopia.checks import ArgumentError, RunError, require, user_path
from jaxmyopia.engine.chunk import Chunk
from jaxmyopia.engine.chunk_files import (
    RowsFile,
    identity_in,
    read_curves,
    read_sketch,
    readable,
    stacked,
    write_curve,
    write_rows,
    write_sketch,
)
from jaxmyopia.engine.files import (
    atomic,
    checksum_of,
    differences,
    json_value,
    leftovers,
    make_folder,
    told_first,
)
from jaxmyopia.engine.identity import hash_of
from jaxmyopia.engine.manifest import FORMAT, Files, Rounds, place_of, plan_of, read_manifest, records, stem_of
from jaxmyopia.engine.planned import PlannedCell, planned_cells
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Columns, Trials

_ENTRIES = {"manifest.json", "seeds", "curves", "checkpoints", "claims.json", "figures", "report.html"}


def _place(item: tuple[str, Files]) -> tuple[int, int]:
    return place_of(item[0])


def _is_stub(path: pathlib.Path) -> bool:
    """Whether a folder holds checkpoints alone: one that was deleted while a run wrote a checkpoint there."""
    names = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
    return names == ["checkpoints"] and all(each.name.isdigit() for each in (path / "checkpoints").glob("*"))


class RunFolder:
    """A run's folder, open for one configuration.

    Args:
      path: the folder; made if it is not there.
      config: the resolved configuration, JSON values; what decides every byte of the table.

    Raises:
      ValueError: if the folder holds another configuration or other files, is a file, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, object]):
        self.path = user_path("out", path)
        self.owner: object = None  # what keeps a temporary folder from going
        self.config = json.loads(json.dumps({"format": FORMAT, **config}))
        try:
            self._open()
        except OSError as error:
            allowed = f"must be a folder that can be written ({error.strerror})"
            raise ArgumentError("out", str(path), allowed) from None

    def _open(self) -> None:
        names = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        if any(not name.startswith(".") for name in names) and not _is_stub(
            self.path
        ):  # killed writers leave dot files
            foreign = ", ".join(sorted(set(names) - _ENTRIES)[:3]) or "no manifest.json"
            ours = "manifest.json" in names
            require(ours, "out", str(self.path), f"must be a new folder or that of a run, but it holds {foreign}")
            differing = told_first(differences(self.manifest["config"], self.config))
            shown = "; ".join(differing[:3]) + (f"; and {len(differing) - 3} more" if len(differing) > 3 else "")
            allowed = f"it holds a run of another configuration ({shown}); choose another folder"
            require(not differing, "out", str(self.path), allowed)
        self._make(self.path)
        with atomic(self.path / ".probe"):
            pass
        (self.path / ".probe").unlink(missing_ok=True)

    def _make(self, path: pathlib.Path) -> None:
        if path not in self._made or not path.is_dir():
            make_folder(path, parents=path == self.path)  # a run's folder that was deleted is not made again
            self._made.add(path)

    @functools.cached_property
    def _made(self) -> set[pathlib.Path]:
        """The folders whose names are on the disk."""
        return set()

    @classmethod
    def existing(cls, path: str | os.PathLike) -> "RunFolder":
        """Opens the folder of a run as it stands.

        Raises:
          ArgumentError: if it is none, or another version's.
        """
        place = user_path("folder", path)
        manifest = read_manifest(place)
        require(bool(manifest), "folder", str(path), "must be the folder of a run, with a manifest.json")
        config = manifest["config"]
        written, version = config.get("format", 1), manifest.get("versions", {}).get("jaxmyopia", "an earlier version")
        allowed = f"was written by jaxmyopia {version} (format {written}); this version reads format {FORMAT}"
        require(written == FORMAT, "folder", str(path), allowed)
        folder = cls.__new__(cls)  # nothing is written, so that it may lie where nothing can be
        folder.path, folder.config, folder.owner = place, config, None
        return folder

    def cells(self) -> list[PlannedCell]:
        """The cells of the run, with the seeds that they have: of a run in rounds, those of each cell's own looks."""
        return planned_cells(self.config, self.rounds)

    @property
    def rounds(self) -> Rounds | None:
        """How far a run in rounds went; None of a run that is not, or that nobody has judged."""
        return self.manifest.get("rounds")

    def plan(self) -> list[int] | None:
        """How many chunks of each cell the table holds once the run is complete; None where that is not known."""
        return plan_of(self.config, self.rounds)

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
                self._make(path.parent)
            with atomic(path) as temporary:
                write(temporary)
                checksum = checksum_of(temporary)
        except OSError as error:
            what = "the folder has vanished" if not self.path.is_dir() else error.strerror or str(error)
            raise RunError(f"{path} could not be written ({what}); what is completed is kept") from error
        return checksum

    def completed(self) -> dict[str, dict[str, str]]:
        """The finished chunks, in order: name -> checksums of its files."""
        return dict(sorted([*self.manifest.get("chunks", {}).items(), *records(self.path, self.config)], key=_place))

    def finished(self) -> frozenset[tuple[int, int]]:
        """The chunks that stand, as pairs of cell and chunk."""
        return frozenset(map(place_of, self.completed()))

    def sweep(self) -> None:
        """Puts the completion records into the manifest and deletes them, with what killed writers left."""
        self.write_manifest(
            **{name: entry for name, entry in self.manifest.items() if name not in ("config", "chunks")}
        )
        for path in [*self.path.glob("seeds/chunk-*.json"), *leftovers(self.path)]:
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
        return path.parent.name != "seeds" or identity_in(path) == self.identity

    def forget(self, stems: list[str]) -> None:
        """Takes chunks, `(m,)` names, for not finished; their files will be written again."""
        for stem in stems:
            (self.path / "seeds" / f"{stem}.json").unlink(missing_ok=True)
        kept = {stem: files for stem, files in self.manifest.get("chunks", {}).items() if stem not in stems}
        self.write_json("manifest.json", self.manifest | {"chunks": kept})

    def write_chunk(self, cell: int, settings: Mapping[str, object], chunk: Chunk) -> None:
        """Writes one chunk: curves first, then the rows, then the completion record, which makes it count.

        Args:
          cell: the cell's index, a scalar.
          settings: static columns, one value for all `(trials,)` rows.
          chunk: the finished chunk.
        """
        stem = stem_of(cell, chunk.index)
        files: dict[str, str] = {}

        def write(name: str, how: Callable[[str], object]) -> None:
            files[name] = self.write_with(name, how)

        for name, leaf in chunk.kept.items():
            write(f"curves/{stem}.{name}.npy", functools.partial(write_curve, curve=leaf))
        for name, sketch in chunk.sketches.items():
            write(f"curves/{stem}.{name}.parquet", functools.partial(write_sketch, sketch=sketch))
        rows = len(chunk.rows["seed"])
        columns: dict[str, Any] = (
            {"cell": np.full(rows, cell)} | {name: [value] * rows for name, value in settings.items()} | chunk.rows
        )
        write(f"seeds/{stem}.parquet", functools.partial(write_rows, columns=columns, identity=self.identity))
        self.write_json(f"seeds/{stem}.json", files)

    def _chunks(self, ending: str, cell: int | None = None, look: int | None = None) -> list[pathlib.Path]:
        """The finished chunks' files with an ending, in order of cell and chunk; each is whole.

        Of a run in rounds as it was at a `look`; by default as it is.
        """
        paths = []
        ends = plan_of(self.config, self.rounds, look)
        for stem, files in self.completed().items():
            number, chunk = place_of(stem)
            if cell in (None, number) and (ends is None or chunk < ends[number]):
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

    def table(self, look: int | None = None) -> Trials:
        """All rows, in order of cell, chunk and trial: columns `(rows,)`, read when asked for; NaN where a cell lacks a
        number.

        Args:
          look: of a run in rounds, the table as it was at this look, from 1 on; by default as it is.

        Raises:
          RunError: if a file is damaged.
        """
        files = self._chunks(".parquet", look=look)
        chunks = [RowsFile.at(path) for path in files if path.parent.name == "seeds"]
        if not chunks:
            raise RunError(f"{self.path} holds no finished chunk yet; give its command again")
        names = dict.fromkeys(name for chunk in chunks for name in chunk.schema.names)
        cells = self.cells()
        controls = tuple(number for number, cell in enumerate(cells) if cell.control)
        anytime, columns = any(cell.looks for cell in cells), Columns(names, functools.partial(self._column, chunks))
        return Trials(columns, self.given, anytime=anytime, controls=controls)

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
        files = [RowsFile.at(path) for path in self._chunks(".parquet", cell) if path.parent.name == "seeds"]
        columns = {name: self._column(files, name) for name in files[0].schema.names}
        return {name: values if trials is None else values[trials] for name, values in columns.items()}

    def _column(self, chunks: list[RowsFile], name: str) -> np.ndarray:
        """One column `(rows,)` of the table; being a method, it keeps what owns the folder."""
        return stacked([chunk.column(name) for chunk in chunks])

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
        return read_curves(self._chunks(f".{name}.npy", cell))

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
        cells = self.cells()
        columns = len(cells[cell].combinations) if cells else None
        pieces = [read_sketch(path, columns) for path in self._chunks(f".{name}.parquet", cell)]
        with readable(self.path / "curves"):
            return functools.reduce(lambda a, b: Sketch.merged([a, b]), pieces)
