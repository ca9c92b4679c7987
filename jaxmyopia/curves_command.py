# SPDX-License-Identifier: Apache-2.0
"""The subcommand curves: counts and a figure of loss curves from elsewhere."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from jaxmyopia import measures
from jaxmyopia.checks import RunError, require, user_path
from jaxmyopia.elsewhere import CurveTrials, curves
from jaxmyopia.engine.session import say, show
from jaxmyopia.flags import flag
from jaxmyopia.measures.measure import Choice, Measure
from jaxmyopia.measures.spans import where_plateaus

_NAME = 40  # letters of a run's name


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
    how = {"ratio": settings.ratio, "fall": settings.fall}
    return [
        ("plateaus", measures.plateaus(**how), {}),
        ("descents", measures.descents(**how), {}),
        ("upticks", measures.upticks(rise=settings.uptick), {}),
    ]


def show_curves(settings: CurvesOfOnesOwn, files: list[str]) -> None:
    """Prints what is counted of every run, or why it is not, and writes the figure."""
    require(len(files) == 1, "file", " ".join(files), "must be one file: .csv, .npy or .npz")
    path = user_path("file", files[0])
    run = settings.run.split(",") if settings.run and "," in settings.run else settings.run
    trials = curves(path, run=run, step=settings.step, value=settings.value)
    columns = counts(settings)
    trials.losses.columns(*(measure for _, measure, _ in columns))  # at once
    numbers = [trials.holding(measure).columns[measure.column(choice)] for _, measure, choice in columns]
    lines = table([heading for heading, _, _ in columns], trials, np.stack(numbers, axis=1))
    for line in lines:
        show(line)
    if settings.figure != "":
        _figure(settings, trials, path)


def table(headings: Sequence[str], trials: CurveTrials, numbers: np.ndarray) -> list[str]:
    """The lines that are printed.

    Args:
      headings: `(columns,)`.
      trials: the runs.
      numbers: `(runs, columns)` counts, NaN where there is none.

    Returns:
      A line a run, below one of headings.
    """
    runs = trials.runs
    width = max(5, *(min(len(run.name), _NAME) for run in runs))
    widths = [max(len(heading), 5) + 2 for heading in headings]
    cells = [["curve", *headings, "counted"]]
    for run, row in zip(runs, numbers.tolist(), strict=True):
        shown = ["-" if np.isnan(number) else f"{number:g}" for number in row]
        counted = f"no: {run.reason}" if run.reason else _told(run.left_out, run.diverged, bool(np.isnan(row).any()))
        cells.append([run.name if len(run.name) <= _NAME else f"{run.name[: _NAME - 1]}…", *shown, counted])
    lay = "  ".join([f"{{:<{width}}}"]) + "".join(f"{{:>{each}}}" for each in widths) + "   {}"
    return [lay.format(*line) for line in cells]


def _told(left_out: int, diverged: bool, rough: bool) -> str:
    if rough:
        return "no: too rough for these thresholds"
    notes = [f"{left_out} rows without a loss, or there twice, left out"] if left_out else []
    notes += ["ends above its start: claims take it for diverged"] if diverged else []
    return "; ".join(["yes", *notes])


def _figure(settings: CurvesOfOnesOwn, trials: CurveTrials, path: pathlib.Path) -> None:
    from jaxmyopia.report.single_curves import single_curves, write  # matplotlib takes half a second

    target = user_path("figure", settings.figure) if settings.figure else path.with_name(f"{path.stem}.curves.png")
    find = functools.partial(where_plateaus, ratio=settings.ratio, fall=settings.fall)
    try:
        write(single_curves(trials.runs, find), target)
    except OSError as error:
        raise RunError(f"{target} cannot be written ({error.strerror}); --figure= is another file, or none") from None
    say(f"The figure is in {target}.")
