# SPDX-License-Identifier: Apache-2.0
"""What all figures share: the style, the colours, and how they are saved."""

import contextlib
import dataclasses
import gc
import io
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.stats.intervals import Interval

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
LOSS_NAMES = {"square": "square loss", "cross_entropy": "cross-entropy"}
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titley": 1.0,  # where it is anyway: to look for what may be in its way takes a seventh of it
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "legend.frameon": False,
    "svg.hashsalt": "jaxmyopia",
    "figure.dpi": 130,
}


@dataclasses.dataclass(frozen=True)
class Caption:
    """A figure on the page: its file `name` without ending, a `title`, and `text`, what to see in it."""

    name: str
    title: str
    text: str


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """The house style, while it lasts: a notebook's own settings and backend stay as they are."""
    with matplotlib.rc_context(_STYLE):
        yield


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


def svg(figure: Figure) -> str:
    """A figure as SVG text; drawn once, where `savefig` draws twice to find the layout."""
    with house_style(), io.StringIO() as text:
        dpi = figure.dpi
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
        figure.dpi = dpi  # SVG has its own, which the canvas leaves behind
        return text.getvalue()


def _spare(figure: Figure) -> None:
    """Spares the layout what does not change it, a seventh of its time: an empty label, whose place is looked for among
    all labels of ticks, and an axis that shows neither (of its ticks a spine takes care)."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)
                ticks = axis.get_tick_params()
                if not any(ticks[name] for name in ticks if name.startswith("label")):
                    axis.set_in_layout(False)


def save(folder: RunFolder, name: str, figure: Figure, *, png: bool = False) -> str:
    """Saves a figure as `figures/NAME.svg` and, if it is asked for, `.png`.

    Args:
      folder: of the run.
      name: without its ending.
      figure: to save; it is laid out once, and drawn once for each file.
      png: whether there is one.

    Returns:
      The SVG text.
    """
    with house_style():
        layout = figure.get_layout_engine()
        if layout is not None:
            _spare(figure)
            layout.execute(figure)  # of a whole drawing, which `savefig` would do for the layout alone, the part needed
            figure.set_layout_engine("none")
        text = svg(figure)
        folder.write_text(f"figures/{name}.svg", text)
        if png:
            folder.write_with(f"figures/{name}.png", lambda path: FigureCanvasAgg(figure).print_png(path))
    return text


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
    **style: Any,
) -> None:
    """Draws points with their intervals.

    Args:
      axes: to draw on.
      x: `(m,)` places.
      intervals: `(m,)` estimates with their intervals.
      colour: of points and bars.
      sideways: whether places lie on the upright axis.
      **style: for `errorbar`.
    """
    if not len(x):
        return
    estimates = np.array([interval.estimate for interval in intervals])
    below = estimates - [interval.low for interval in intervals]
    above = [interval.high for interval in intervals] - estimates
    errors = np.maximum([below, above], 0)
    look = {"color": colour, "ms": 3, "lw": 0.9, "capsize": 1.5, "ls": "none", **style}
    if sideways:
        axes.errorbar(estimates, x, xerr=errors, **look)
    else:
        axes.errorbar(x, estimates, errors, **look)
