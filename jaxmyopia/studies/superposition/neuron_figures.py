# SPDX-License-Identifier: Apache-2.0
"""Monosemantic neurons against the loss, a point a seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, Caption, panels
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition.neuron_measures import MONOSEMANTIC, RATIO, UNEXPLAINED
from jaxmyopia.studies.superposition.neurons import Monosemanticity
from jaxmyopia.study import Cell

_MARKERS = ("o", "^", "s", "D", "v", "P")
CAPTION = Caption(
    "monosemantic_neurons",
    "Monosemantic neurons at equal loss",
    "Each point is a seed at the end of training, a panel a learning rate. Across: the loss, as a share of that of "
    f"answering 0 always. Up: neurons of which one feature makes up more than {RATIO[0]:g} of all that they answer to "
    "single features. Colours are start biases, shapes how many neurons there are; large outlined ones are means over "
    "seeds. Where colours lie above each other, the loss does not tell how monosemantic a layer is.",
)


def _draw_points(axes: Axes, rows: Trials, marker: str, colour: str) -> None:
    loss, count = rows.values(UNEXPLAINED), rows.values(MONOSEMANTIC)
    axes.plot(loss, count, marker, color=colour, ms=2.5, alpha=0.45, mew=0)
    known = np.isfinite(loss) & np.isfinite(count)
    if known.any():
        axes.plot(loss[known].mean(), count[known].mean(), marker, color=colour, ms=7, mec="black", mew=0.8, zorder=3)


def monosemantic_against_loss(table: Trials) -> Figure:
    """Counts against losses, a panel a learning rate, by start bias and number of neurons.

    Args:
      table: of the run, rows `(rows,)`; other studies are passed over.

    Returns:
      The figure.
    """
    rows = table.matching(study=Monosemanticity.__name__)
    rates, biases, numbers = (sorted(map(float, rows.unique(n))) for n in ("learning_rate", "initial_bias", "neurons"))
    colours = dict(zip(reversed(biases), COLOURS, strict=False))
    markers = dict(zip(numbers, _MARKERS, strict=False))
    figure, grid = panels(1, len(rates), sharey=True, height=2.8)
    for axes, rate in zip(grid[0], rates, strict=True):
        for bias, colour in colours.items():
            for number, marker in markers.items():
                mine = rows.matching(learning_rate=rate, initial_bias=bias, neurons=number)
                _draw_points(axes, mine, marker, colour)
        axes.set(title=f"rate {rate:g}", xlabel="loss, of that of answering 0")
        axes.set_xscale("log")
    grid[0, 0].set_ylabel("monosemantic neurons")
    handles = [
        Line2D([], [], ls="", marker="o", color=colour, label=f"start bias {b:g}") for b, colour in colours.items()
    ]
    handles += [Line2D([], [], ls="", marker=m, color="0.4", label=f"{n:g} neurons") for n, m in markers.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def draw(folder: RunFolder, cells: Sequence[Cell]) -> dict[Caption, Figure]:
    """The figure, where a cell has neurons.

    Args:
      folder: of the run.
      cells: all cells of the folder, in its order; those of other studies are passed over.

    Returns:
      The figures by their captions.
    """
    if not any(isinstance(cell.study, Monosemanticity) for cell in cells):
        return {}
    return {CAPTION: monosemantic_against_loss(folder.table())}
