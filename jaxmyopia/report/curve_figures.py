# SPDX-License-Identifier: Apache-2.0
"""The figure that any run has: a curve's quantiles over all seeds, a panel a cell and a line a combination."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, Caption, log_steps, panels
from jaxmyopia.stats.sketch import Sketch

_COLUMNS, _MOST = 3, 12  # panels side by side, and in all
_TOLD = len(COLOURS)  # lines that a legend tells apart; of a panel with more there is none


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
    for index, (cell, panel) in enumerate(zip(cells, axes.ravel(), strict=False)):
        if name not in folder.names(index, ".parquet"):
            continue
        sketch, steps = folder.sketch(index, name), cell.record_steps()
        values = [sketch.quantile(q) for q in (0.05, 0.5, 0.95)]
        for place, label in enumerate(cell.labels()):
            low, middle, high = (_positive(each[:, place]) for each in values)
            colour = COLOURS[place % len(COLOURS)]
            panel.plot(steps, middle, color=colour, label=label)
            panel.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
        panel.set(title=cell.title(cells), yscale="log" if _spread(sketch) else "linear", xlabel="step")
        log_steps(panel, steps)
        tops.append(np.nanmax(_positive(values[2][0])))
        if label and place < _TOLD:
            panel.legend()
    if tops and tops[0] > 0:  # what leaves the panel upwards diverges
        axes[0, 0].set_ylim(top=10 * max(tops))
    axes[0, 0].set_ylabel(name.replace("_", " "))
    return figure


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
