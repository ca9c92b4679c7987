# SPDX-License-Identifier: Apache-2.0
"""What all figures share: the colours, panels in the house style, and how they are saved."""

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.hints import hint
from jaxmyopia.report.svg import house_style, lay_out, svg
from jaxmyopia.stats.intervals import Interval

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
    (0, (9, 2)),
    (0, (3, 3, 1, 3)),
)
LOG_STEPS = "step (log scale from 1 on)"
LOSS_NAMES = {"square": "square loss", "cross_entropy": "cross-entropy"}


Drawable: TypeAlias = Figure | Callable[[], Figure]


@dataclasses.dataclass(frozen=True)
class Caption:
    """A figure on the page: its file `name` without ending, a `title`, and `text`, what to see in it."""

    name: str
    title: str
    text: str


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """While it lasts no garbage is looked for: among a run's million objects that takes 0.3 s each time, and the many
    objects of a figure start it again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def panels(rows: int, columns: int, *, width: float = 7.2, height: float = 1.9, **options: Any) -> tuple[Figure, Any]:
    """A figure of `(rows, columns)` axes in the house style.

    Args:
      rows, columns: of axes; the returned array has this shape.
      width: of the figure, inches.
      height: of one row, inches.
      **options: for `Figure.subplots`.

    Returns:
      The figure, which no backend keeps, and its axes.
    """
    with house_style():
        figure = Figure(figsize=(width, height * rows + 0.35), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(folder: RunFolder, name: str, figure: Figure, *, png: bool = False) -> None:
    """Saves a figure as `figures/NAME.svg` and, if it is asked for, `.png`.

    Args:
      folder: of the run.
      name: without its ending.
      figure: to save; it is laid out once, and drawn once for each file.
      png: whether there is one.
    """
    folder.write_text(f"figures/{name}.svg", svg(figure))
    if png:
        save_png(folder, name, figure)


def save_png(folder: RunFolder, name: str, figure: Figure) -> None:
    """Saves a figure as `figures/NAME.png`."""
    lay_out(figure)
    with house_style():
        folder.write_with(f"figures/{name}.png", lambda path: FigureCanvasAgg(figure).print_png(path))


def log_steps(axes: Axes, steps: np.ndarray) -> None:
    """Gives axes a logarithmic axis of steps that holds step 0 too.

    Args:
      axes: to change.
      steps: `(T,)` the recorded steps.
    """
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, steps[-1])
    axes.set_xticks([0, *(10**k for k in range(int(np.log10(steps[-1])) + 1))])


def draw_intervals(
    axes: Axes,
    x: Sequence[float] | np.ndarray,
    intervals: Sequence[Interval],
    colour: str,
    *,
    sideways: bool = False,
    hints: Sequence[str] = (),
    **style: Any,
) -> None:
    """Draws points with their intervals.

    Args:
      axes: to draw on.
      x: `(m,)` places.
      intervals: `(m,)` estimates with their intervals.
      colour: of points and bars.
      sideways: whether places lie on the upright axis.
      hints: `(m,)` what a reader is told who points at one.
      **style: for `errorbar`.
    """
    if not len(x):
        return
    _mark_missing(axes, x, intervals, colour, sideways=sideways)
    estimates = np.array([interval.estimate for interval in intervals])
    below = estimates - [interval.low for interval in intervals]
    above = [interval.high for interval in intervals] - estimates
    errors = np.maximum([below, above], 0)
    look = {"color": colour, "ms": 3, "lw": 0.9, "capsize": 1.5, "ls": "none", **style}
    if sideways:
        points, *_ = axes.errorbar(estimates, x, xerr=errors, **look)
    else:
        points, *_ = axes.errorbar(x, estimates, errors, **look)
    if hints and points is not None:
        hint(points, *hints)


def _mark_missing(
    axes: Axes, x: Sequence[float] | np.ndarray, intervals: Sequence[Interval], colour: str, *, sideways: bool
) -> None:
    """A cross at the edge of the axes for each point that has no estimate."""
    missing = [place for place, each in zip(x, intervals, strict=True) if not np.isfinite(each.estimate)]
    if missing:
        edge = [0.02] * len(missing)
        where = axes.get_yaxis_transform() if sideways else axes.get_xaxis_transform()
        axes.plot(*(edge, missing) if sideways else (missing, edge), "x", color=colour, ms=4, mew=0.9, transform=where)
