# SPDX-License-Identifier: Apache-2.0
"""What `run`, `settle` and `load` give: a finished run with its table, curves and judged claims."""

import dataclasses
import functools
import html
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmyopia.checks import RunError, require, user_path
from jaxmyopia.claims import Claim, Judgement, judge_all
from jaxmyopia.claims.text import claims_json, claims_text
from jaxmyopia.declared import Declared, opened, registered
from jaxmyopia.doors.arrays import curves_to_xarray
from jaxmyopia.doors.csv_file import write_csv
from jaxmyopia.doors.receipt import receipt_line
from jaxmyopia.doors.specifications import specification_columns
from jaxmyopia.engine.files import atomic, make_folder
from jaxmyopia.engine.folder import PlannedCell, RunFolder
from jaxmyopia.engine.manifest import read_json
from jaxmyopia.engine.rounds import told
from jaxmyopia.engine.schema import built
from jaxmyopia.registered import line, with_registration
from jaxmyopia.replay import Replayed, receipt, replay_seed, with_receipts
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Trials
from jaxmyopia.study import Cell
from jaxmyopia.verify import Verification, verify_folder

if TYPE_CHECKING:
    from jaxmyopia.report.page import Report


class Curves(Mapping[str, np.ndarray]):
    """The kept curves of a run by name, `(T, trials kept, ...)`: of all cells side by side, in the table's order, and
    as there without those of controls."""

    def __init__(self, folder: RunFolder):
        self._folder = folder
        self._cells = [number for number, cell in enumerate(folder.cells()) if not cell.control]

    def of_cell(self, cell: int) -> dict[str, np.ndarray]:
        """Those of one cell, by its number.

        Raises:
          ArgumentError: if there is no such cell.
        """
        count = len(self._folder.cells())
        require(isinstance(cell, int) and 0 <= cell < count, "cell", cell, f"must be a number below {count}")
        return {name: self._folder.curves(cell, name) for name in self._folder.names(cell, ".npy")}

    def __getitem__(self, name: str) -> np.ndarray:
        require(name in self, "curve", name, f"must be one of {', '.join(self) or 'none: keep_curves is 0'}")
        holding = [cell for cell in self._cells if name in self._folder.names(cell, ".npy")]
        pieces = [self._folder.curves(cell, name) for cell in holding]
        shapes = {(piece.shape[0], *piece.shape[2:]) for piece in pieces}
        allowed = "must have one shape in all cells; ask one cell by curves.of_cell(number)"
        require(len(shapes) == 1, "curve", name, f"{allowed}, of {list(holding)}")
        return np.concatenate(pieces, axis=1)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for cell in self._cells for name in self._folder.names(cell, ".npy")))

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclasses.dataclass(frozen=True)
class Answer:
    """A finished run, with its claims judged.

    `folder`: of the run; unless one was asked for, it goes with the answer and its table. `claims`: judged, in order.
    `studies`: the cells as they were run, and `asked`, the claims as they were declared; none for a run that was read
    back.
    """

    folder: RunFolder
    claims: tuple[Judgement, ...] = ()
    studies: tuple[Cell, ...] = ()
    asked: tuple[Claim, ...] = ()

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "Answer":
        """Reads a run's folder back; see `load`."""
        opened, hint = RunFolder.existing(folder), list[Judgement]
        entries = read_json(opened.path / "claims.json", hint, "the run's command writes it anew") or []
        return cls(opened, claims=tuple(built(entries, hint)))

    @functools.cached_property
    def trials(self) -> Trials:
        """The table: one row a trial, without those of controls."""
        return self.folder.table().main

    @functools.cached_property
    def cells(self) -> list[PlannedCell]:
        """What was run."""
        return self.folder.cells()

    @property
    def curves(self) -> Curves:
        """The kept curves by name, `(T, trials kept, ...)`."""
        return Curves(self.folder)

    @functools.cached_property
    def kept(self) -> Trials:
        """The trials whose curves are kept, in the order of the curves."""
        return self.trials.keep(self.trials["seed"] < self.folder.config.get("keep_curves", 0))

    @property
    def steps(self) -> np.ndarray:
        """The recorded steps `(T,)`; refused where cells differ in them: see `cells[number].record_steps()`."""
        every = [cell.record_steps() for cell in self.cells if not cell.control]
        same = bool(every) and all(np.array_equal(each, every[0]) for each in every)
        require(same, "steps", f"{len(every)} cells", "must be the same in all cells; ask cells[number].record_steps()")
        return every[0]

    def quantiles(self, name: str = "loss", *, cell: int = 0) -> Sketch:
        """The distribution over all seeds of a curve of a cell, a group a record and combination `(T, C)`."""
        known = self.folder.names(cell, ".parquet")
        require(name in known, "quantiles", name, f"must be one of {', '.join(known)}")
        return self.folder.sketch(cell, name)

    def to_csv(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the table of trials as CSV; see `Trials.to_csv`."""
        return self.trials.to_csv(path)

    def specifications_to_csv(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the claims as CSV, a row a specification: a condition under one choice of thresholds.

        Columns are `claim`, `statistic`, `null`, one for each setting and threshold, `main`, and what specr and its
        like look for, as R's broom names it: `estimate`, `conf.low`, `conf.high`, `seeds`, `p.value`; last `verdict`.
        `seeds` and `p.value` (two-sided, against the null) of other than main thresholds are known once claims were
        judged in this process: see `judged`.

        Args:
          path: of the file, which is replaced where there is one.

        Returns:
          The path.

        Raises:
          ArgumentError: if it is no path of a file, or there are no claims.
          RunError: if it cannot be written.
        """
        require(len(self.claims) > 0, "claims", 0, "must be judged first, by settle or answer.judged(claims)")
        return write_csv(specification_columns(self.claims), path)

    def to_xarray(self, *, cell: int | None = None) -> Any:
        """The kept curves as an xarray Dataset, which has dimensions by name; xarray is asked for here alone.

        Args:
          cell: of one cell, by its number; by default of all side by side.

        Returns:
          The `xarray.Dataset`: its variables are the curves, over `step`, `trial` and what follows in a curve, `NAME_0`
          and so on; coordinates are the steps, and of the trials `cell`, `seed` and their settings; a setting that has
          a curve's name is called `NAME_setting`.

        Raises:
          ArgumentError: if no curves are kept, there is no such cell, or cells differ in records or curves.
          RunError: if xarray is not installed.
        """
        return curves_to_xarray(self, cell)

    def judged(self, claims: Sequence[Claim]) -> "Answer":
        """The same run, with these claims judged."""
        return dataclasses.replace(self, claims=tuple(judge_all(claims, self.folder.table())), asked=tuple(claims))

    def verify(self, *, replay: int = 0, rng: np.random.Generator | None = None) -> Verification:
        """Checks whether the run's folder holds what it says; see `jaxmyopia.verify`.

        Args:
          replay: how many random trials are run again.
          rng: draws them; by default other ones every time.

        Returns:
          The `Verification`: `print` it.
        """
        declared = Declared.of(self.folder, self.studies, self.asked) if self.studies else None
        return verify_folder(
            opened(self.folder.path), declared or registered(self.folder), replay=replay, rng=rng, judged=self.claims
        )

    def replay(self, *, seed: int, cell: int = 0) -> Replayed:
        """All trials of a seed in a cell again, with their whole curves, beside what the table says of them.

        Args:
          seed: from 0 on.
          cell: its number.

        Returns:
          What came of it: `print` it; its `faults` are empty where bits are the same.

        Raises:
          ArgumentError: if there is no such cell or seed.
        """
        cells = self.studies or registered(self.folder).cells
        return replay_seed(self.folder, cells, cell, seed)

    @property
    def receipt(self) -> str:
        """One line that says how to get the same numbers again: the run's identity, root seed, versions and call."""
        return receipt_line(self.folder, self.claims)

    def __repr__(self) -> str:
        return f"{self}\n{self.receipt}"

    def __str__(self) -> str:
        head = f"{len(self.trials)} trials in {sum(not cell.control for cell in self.cells)} cells"
        if self.folder.rounds:
            head = f"{told(self.folder.manifest)}: {head}"
        registration = line(with_registration(self.folder, claims_json(self.claims), self.asked))
        return f"{claims_text(self.claims)}\n{head}, {registration}" if self.claims else head

    def _repr_html_(self) -> str:
        from jaxmyopia.report import claim_figures
        from jaxmyopia.report.page import claims_html
        from jaxmyopia.report.svg import house_style, svg

        with house_style():
            shown = any(each.evidence for each in self.claims)
            after = f"<p>{told(self.folder.manifest)}</p>" if self.folder.rounds else ""
            after += f"<p><small>{html.escape(self.receipt)}</small></p>"
            return claims_html(self.claims, svg(claim_figures.forest(self.claims)) if shown else "") + after

    def report(self, title: str = "jaxmyopia") -> "Report":
        """What a page shows of any run: the evidence, and the curves that every study keeps."""
        from jaxmyopia.report import curve_figures
        from jaxmyopia.report.figures import Caption, Drawable
        from jaxmyopia.report.page import Report
        from jaxmyopia.report.svg import house_style

        with house_style():
            figures: dict[Caption, Drawable] = {}
            for name in curve_figures.names(self.folder):
                figures[curve_figures.caption(name)] = curve_figures.quantile_curves(self.folder, name)
        return Report(title, figures)

    def write(self, report: "Report | None" = None, **where: object) -> None:
        """Writes claims.json, the figures and the page into the run's folder; `where`: see `claims_json`."""
        from jaxmyopia.report.page import write_page

        entries = with_receipts(self.folder, claims_json(self.claims, **where))
        entries = with_registration(self.folder, entries, self.asked)
        self.folder.write_json("claims.json", entries)
        title = str(self.folder.config.get("experiment", ""))
        of_cells = functools.partial(receipt, self.folder)
        write_page(self.folder, report or self.report(title), self.claims, of_cells, registration=line(entries))

    def save(self, path: str | os.PathLike) -> "Answer":
        """Copies the run's folder, with claims and page; the answer that lies there.

        Raises:
          ArgumentError: if there is something at the path.
          RunError: if it cannot be written.
        """
        target = user_path("folder", path)
        empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        require(empty, "folder", str(path), "must be new, or empty")
        self.write()
        temporary = target.with_name(f".{target.name}.{os.getpid()}~")
        try:
            make_folder(target.parent)
            shutil.copytree(self.folder.path, temporary, ignore=shutil.ignore_patterns(".*"))
            os.replace(temporary, target)
        except (OSError, shutil.Error) as error:
            what = getattr(error, "strerror", None) or " ".join(str(error).split())[:100]
            raise RunError(f"{target} could not be written ({what})") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Answer.read(target)

    def page(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the page alone, one offline file, and gives its path.

        Raises:
          RunError: if it cannot be written.
        """
        target = user_path("path", path)
        self.write()
        try:
            make_folder(target.parent)
            with atomic(target) as temporary:
                shutil.copyfile(self.folder.path / "report.html", temporary)
        except OSError as error:
            raise RunError(f"{target} could not be written ({error.strerror})") from None
        return target
