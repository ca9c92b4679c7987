# SPDX-License-Identifier: Apache-2.0
"""The subcommand curves: counts and a figure of loss curves from elsewhere."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxmyopia import measures
from jaxmyopia.checks import RunError, require, user_path
from jaxmyopia.elsewhere import curves
from jaxmyopia.elsewhere.records import Run
from jaxmyopia.engine.session import say, show
from jaxmyopia.flags import flag
from jaxmyopia.measures.descents import TIMES
from jaxmyopia.measures.measure import Choice, Measure
from jaxmyopia.measures.spans import Spans, where_plateaus
from jaxmyopia.terminal import lines_of

_NAME = 22  # letters of a run's name, so that a line has eighty columns


@dataclasses.dataclass(frozen=True)
class CurvesOfOnesOwn:
    """Flags of curves; the definitions are in `jaxmyopia.measures.descents`."""

    ratio: float = flag(0.5, "A plateau: the loss falls at most this many times as fast as beside it.")
    fall: float = flag(0.02, "A descent: the loss falls by at least this share of the first loss.")
    uptick: float = flag(1.05, "An uptick: the loss rises by at least this factor.")
    run: str | None = flag(None, "Column of runs, where its name does not tell; several, with commas between.")
    step: str | None = flag(None, "Column of steps, likewise.")
    value: str | None = flag(None, "Column of losses, or the name of the loss among several things, likewise.")
    figure: str | None = flag(None, "File of the figure, .png or .svg; by default beside the file; empty for none.")

    def __post_init__(self) -> None:
        for name in ("ratio", "fall"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "must be between 0 and 1, both excluded")
        require(1 < self.uptick < float("inf"), "uptick", self.uptick, "must be above 1")
        fine = not self.figure or pathlib.Path(self.figure).suffix in (".png", ".svg")
        require(fine, "figure", self.figure, "must end in .png or .svg")


def counts(settings: CurvesOfOnesOwn) -> list[tuple[str, Measure, Choice]]:
    """What is counted: the heading of each column, its measure, and the choice of its thresholds."""
    how: dict[str, Any] = {"ratio": settings.ratio, "fall": settings.fall, "noise": "estimated", "time": TIMES}
    plateaus, descents = measures.plateaus(**how), measures.descents(**how)
    return [
        ("plateaus", plateaus, {"time": "linear"}),
        ("descents", descents, {"time": "linear"}),
        ("in log time", plateaus, {"time": "log"}),
        ("descents", descents, {"time": "log"}),
        ("upticks", measures.upticks(rise=settings.uptick), {}),
    ]


def find(settings: CurvesOfOnesOwn) -> Callable[[np.ndarray, np.ndarray], Spans]:
    """What the figure marks: of steps and losses `(T,)`, the descents and plateaus that are counted."""
    return functools.partial(where_plateaus, ratio=settings.ratio, fall=settings.fall, noisy=True)


def show_curves(settings: CurvesOfOnesOwn, files: list[str]) -> None:
    """Prints what is counted of every run, or why it is not, and writes the figure."""
    require(len(files) == 1, "file", " ".join(files), "must be one file: .csv, .npy or .npz")
    path = user_path("file", files[0])
    run = settings.run.split(",") if settings.run and "," in settings.run else settings.run
    trials = curves(path, run=run, step=settings.step, value=settings.value)
    columns = counts(settings)
    trials.losses.columns(*(measure for _, measure, _ in columns))  # at once
    held = [trials.holding(measure).columns[measure.column(choice)] for _, measure, choice in columns]
    numbers = np.stack(held, axis=1)
    runs = [_with_reason(run, row) for run, row in zip(trials.runs, numbers, strict=True)]
    for line in table([heading for heading, _, _ in columns], runs, numbers):
        show(line)
    if settings.figure != "":
        _figure(settings, runs, path)


def _with_reason(run: Run, counted: np.ndarray) -> Run:
    """A run that a measure refuses, though its records are fine, says so."""
    rough = not run.reason and bool(np.isnan(counted).any())
    return dataclasses.replace(run, reason="it is too rough for these thresholds") if rough else run


def table(headings: Sequence[str], runs: Sequence[Run], numbers: np.ndarray) -> list[str]:
    """The lines that are printed.

    Args:
      headings: `(columns,)`.
      runs: `(runs,)`.
      numbers: `(runs, columns)` counts, NaN where there is none.

    Returns:
      A line a run, below one of headings; what is to be known of it follows in lines of its own.
    """
    width = max(5, *(min(len(run.name), _NAME) for run in runs))
    lay = f"{{:<{width}}}" + "".join(f"{{:>{max(len(heading), 5) + 2}}}" for heading in headings) + "   {}"
    lines = [lay.format("curve", *headings, "counted")]
    for run, row in zip(runs, numbers.tolist(), strict=True):
        shown = ["-" if np.isnan(number) else f"{number:g}" for number in row]
        name = run.name if len(run.name) <= _NAME else f"{run.name[: _NAME - 1]}…"
        lines.append(lay.format(name, *shown, "no" if run.reason else "yes"))
        lines += [line for note in _notes(run) for line in lines_of(f"    {note}", subsequent_indent=" " * 6)]
    return lines


def _notes(run: Run) -> list[str]:
    """What is to be known of a run."""
    if run.reason:
        return [f"not counted: {run.reason}"]
    rows = f"{run.left_out} {'row' if run.left_out == 1 else 'rows'} left out, without a loss or there twice"
    notes = [rows] if run.left_out else []
    return [*notes, "ends above its start: claims take it for diverged"] if run.diverged else notes


def _figure(settings: CurvesOfOnesOwn, runs: Sequence[Run], path: pathlib.Path) -> None:
    from jaxmyopia.report.single_curves import single_curves, write  # matplotlib takes half a second

    target = user_path("figure", settings.figure) if settings.figure else path.with_name(f"{path.stem}.curves.png")
    try:
        write(single_curves(runs, find(settings)), target)
    except OSError as error:
        raise RunError(f"{target} cannot be written ({error.strerror}); --figure= is another file, or none") from None
    say(f"The figure is in {target}.")
