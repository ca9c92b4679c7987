# SPDX-License-Identifier: Apache-2.0
"""The figure of single loss curves: their descents and plateaus marked, or why they are not counted."""

import pathlib
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxmyopia.elsewhere.records import Run
from jaxmyopia.engine.files import atomic
from jaxmyopia.measures.spans import Spans
from jaxmyopia.report.figures import COLOURS, panels
from jaxmyopia.report.svg import house_style, lay_out, svg

MOST = 24  # panels
_COLUMNS = 4
_TITLE = 34  # letters that a panel's width holds
_WIDE = 30  # a range of losses that needs a logarithmic axis
_THINNER = 3  # and so do records whose last quarter is so many times as far apart as the first

Find = Callable[[np.ndarray, np.ndarray], Spans]


def single_curves(runs: Sequence[Run], find: Find) -> Figure:
    """Draws runs, one a panel, the first of many.

    Args:
      runs: to draw.
      find: of steps and losses `(T,)`, where descents and plateaus are.

    Returns:
      The figure.
    """
    shown = runs[:MOST]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, grid = panels(rows, columns, width=max(1.8 * columns, 3.2), height=1.7)
    for axes, run in zip(grid.ravel(), shown, strict=False):
        _draw(axes, run, find)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_axis_off()
    for axes in grid.ravel()[max(0, len(shown) - columns) : len(shown)]:
        axes.set_xlabel("step (log scale)" if axes.get_xscale() == "symlog" else "step")
    for axes in grid[:, 0]:
        axes.set_ylabel("loss / first loss")
    with house_style():
        figure.legend(handles=marks(), loc="outside lower center", ncols=2)
    if len(runs) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(runs)} runs", fontsize=8)
    return figure


def marks() -> list[Artist]:
    """What a legend says of the marks of single losses."""
    return [
        Line2D([], [], color="k", marker="v", ms=4, ls="none", label="descent, where it is fastest"),
        Patch(color="0.6", alpha=0.35, lw=0, label="plateau"),
    ]


def _draw(axes: Axes, run: Run, find: Find) -> None:
    name = run.name if len(run.name) <= _TITLE else f"{run.name[: _TITLE - 1]}…"
    finite = np.isfinite(run.loss) & np.isfinite(run.steps)
    steps = run.steps[finite]
    if len(steps) and run.loss[0] > 0 and np.isfinite(run.loss[0]):
        curve = run.loss / run.loss[0]
        axes.plot(steps, curve[finite], color=COLOURS[7] if run.reason else COLOURS[0])
        _scale(axes, steps, curve[finite])
        if not run.reason:
            found = find(run.steps, run.loss)
            if len(found.peaks):  # an empty line that is not clipped would upset the layout
                axes.plot(run.steps[found.peaks], curve[found.peaks], "v", color="k", ms=4, clip_on=False)
            for first, last in found.spans:
                axes.axvspan(first, last, color="0.6", alpha=0.35, lw=0)
            name += f"\n{_many(len(found.peaks), 'descent')}, {_many(len(found.spans), 'plateau')}"
    if run.reason:
        name += "\nnot counted"
        where: Any = {"ha": "right", "va": "top", "transform": axes.transAxes, "fontsize": 6}
        box = {"fc": "w", "ec": "none", "alpha": 0.85, "pad": 1}
        axes.text(0.99, 0.99, textwrap.fill(run.reason, 30), bbox=box, **where)
    axes.set_title(name, fontsize=6.5)


def _scale(axes: Axes, steps: np.ndarray, curve: np.ndarray) -> None:
    """Logarithmic axes where the range needs one: of steps where records thin out, of losses where all are positive."""
    if len(steps) < 2:
        return
    between = np.diff(steps.astype(float))
    ends = [np.median(part) for part in (between[: len(between) // 4 + 1], between[-len(between) // 4 :])]
    if len(between) > 2 and steps[0] >= 0 and ends[1] > _THINNER * ends[0] > 0:
        axes.set_xscale("symlog", linthresh=float(steps[steps > 0][0]))
    if curve.min() > 0 and curve.max() > _WIDE * curve.min():
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(curve.min() / 2, 1e-9))
        axes.minorticks_off()
    elif curve.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.set_xlim(steps[0], max(steps[-1], steps[0] + 1))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def write(figure: Figure, path: pathlib.Path) -> None:
    """Writes a figure as PNG, or as SVG where the name ends so.

    Raises:
      OSError: if it cannot be written.
    """
    with atomic(path) as temporary:
        if path.suffix == ".svg":
            pathlib.Path(temporary).write_text(svg(figure), encoding="utf-8")
        else:
            lay_out(figure)
            with house_style():
                FigureCanvasAgg(figure).print_png(temporary)
