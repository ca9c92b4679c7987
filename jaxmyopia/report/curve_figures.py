# SPDX-License-Identifier: Apache-2.0
"""The figure that any run has: a curve's quantiles over all seeds, a panel a cell and a line a combination."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, DASHES, LOG_STEPS, Caption, log_steps, panels
from jaxmyopia.stats.sketch import Sketch

_COLUMNS, _MOST = 3, 12  # panels side by side, and in all
_TOLD = len(COLOURS)  # lines that colours tell apart; dashes tell more


def caption(name: str) -> Caption:
    """What to see in the figure of a curve."""
    text = (
        "Median over seeds, with the band between the 5th and the 95th percentile; a line a combination of settings. "
    )
    text += "What leaves the panel upwards diverges."
    return Caption(f"curves_{name}", f"{name.replace('_', ' ').capitalize()} over steps", text)


def quantile_curves(folder: RunFolder, name: str) -> Figure:
    """Draws a curve of every cell.

    Args:
      folder: of the finished run.
      name: of the curve, as the study's `quantiles` names it.

    Returns:
      The figure; of many cells, the first.
    """
    cells = folder.cells()[:_MOST]
    columns = min(_COLUMNS, len(cells))
    figure, axes = panels(-(-len(cells) // columns), columns, sharey=True)
    tops: list[float] = []
    holding = [index for index, _ in enumerate(cells) if name in folder.names(index, ".parquet")]
    scale = _scale([folder.sketch(index, name) for index in holding])
    for index, (cell, panel) in enumerate(zip(cells, axes.ravel(), strict=False)):
        if index not in holding:
            panel.set_axis_off()
            continue
        sketch, steps = folder.sketch(index, name), cell.record_steps()
        values = [sketch.quantile(q) for q in (0.05, 0.5, 0.95)]
        for place, label in enumerate(cell.labels()):
            low, middle, high = (_positive(each[:, place]) for each in values)
            colour, dashes = COLOURS[place % _TOLD], DASHES[place // _TOLD % len(DASHES)]
            panel.plot(steps, middle, color=colour, ls=dashes, label=label)
            panel.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
        panel.set(title=cell.title(cells), yscale=scale, xlabel=LOG_STEPS)
        log_steps(panel, steps)
        tops.append(np.nanmax(_positive(values[2][0])))
    if tops and tops[0] > 0:  # what leaves the panel upwards diverges
        axes[0, 0].set_ylim(top=10 * max(tops))
    axes[0, 0].set_ylabel(f"{name.replace('_', ' ')}{' (log scale)' if scale == 'log' else ''}")
    for panel in axes.ravel()[len(cells) :]:
        panel.set_axis_off()
    _legend(figure, axes.ravel()[holding])
    return figure


def _legend(figure: Figure, drawn: Sequence[Axes]) -> None:
    """Names the lines: below all panels where all have the same, else in each."""
    found = [panel.get_legend_handles_labels() for panel in drawn]
    names = [labels for _, labels in found if any(labels)]
    if names and all(labels == names[0] for labels in names):
        figure.legend(*found[0], loc="outside lower center", ncols=3 if max(map(len, names[0])) < 40 else 1)
    elif names:
        for panel in drawn:
            panel.legend()


def _scale(sketches: Sequence[Sketch]) -> str:
    """Of the axis that all panels share: logarithmic where all medians are positive and some spans two orders."""
    middles = [sketch.quantile(0.5) for sketch in sketches]
    positive = all((middle[np.isfinite(middle)] > 0).all() for middle in middles)
    return "log" if positive and any(map(_spread, sketches)) else "linear"


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _spread(sketch: Sketch) -> bool:
    """Whether a curve is positive and spans more than two orders of magnitude."""
    middle = sketch.quantile(0.5)
    middle = middle[np.isfinite(middle)]
    return bool(middle.size) and middle.min() > 0 and middle.max() > 100 * middle.min()


def names(folder: RunFolder) -> Sequence[str]:
    """The curves whose quantiles a run keeps."""
    every = (name for index, _ in enumerate(folder.cells()) for name in folder.names(index, ".parquet"))
    return list(dict.fromkeys(every))
