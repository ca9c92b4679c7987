# SPDX-License-Identifier: Apache-2.0
"""Monosemantic neurons against the loss, a point a seed."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

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
    "Each point is a seed at the end of training, a panel an optimiser and rate. Across: the loss, as a share of that "
    f"of answering 0. Up: neurons of which one feature makes up more than {RATIO[0]:g} of all that they answer to "
    "single features. Colours are start biases, shapes how many neurons there are; large outlined ones are means over "
    "seeds. Where colours lie above each other, the loss does not tell how monosemantic a layer is.",
)


def _draw_points(axes: Axes, rows: Trials, marker: str, colour: str) -> None:
    loss, count = rows.values(UNEXPLAINED), rows.values(MONOSEMANTIC)
    axes.plot(loss, count, marker, color=colour, ms=3.5, alpha=0.5, mew=0)
    known = np.isfinite(loss) & np.isfinite(count)
    if known.any():
        axes.plot(loss[known].mean(), count[known].mean(), marker, color=colour, ms=7, mec="black", mew=0.8, zorder=3)


def _percents(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6, 8)))
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=1))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _sorted(rows: Trials, name: str) -> list[float]:
    return sorted(map(float, rows.unique(name)))


def monosemantic_against_loss(table: Trials) -> Figure:
    """Counts against losses by start bias and number of neurons, a panel for each optimiser and rate.

    Args:
      table: of the run, rows `(rows,)`; other studies are passed over.

    Returns:
      The figure.
    """
    rows = table.matching(study=Monosemanticity.__name__)
    colours = dict(zip(reversed(_sorted(rows, "initial_bias")), itertools.cycle(COLOURS), strict=False))
    markers = dict(zip(_sorted(rows, "neurons"), itertools.cycle(_MARKERS), strict=False))
    kinds = [(name, rate) for name in rows.unique("optimizer") for rate in _sorted(rows, "learning_rate")]
    figure, grid = panels(1, len(kinds), sharey=True, height=2.8)
    for axes, (name, rate) in zip(grid[0], kinds, strict=True):
        kind = rows.matching(optimizer=name, learning_rate=rate)
        for (bias, colour), (number, marker) in itertools.product(colours.items(), markers.items()):
            _draw_points(axes, kind.matching(initial_bias=bias, neurons=number), marker, colour)
        axes.set(title=f"{name}, rate {rate:g}", xlabel="loss, as a share of that of answering 0")
        _percents(axes)
    grid[0, 0].set_ylabel("monosemantic neurons")
    point = lambda marker, colour, label: Line2D([], [], ls="", marker=marker, color=colour, label=label)
    handles = [point("o", colour, f"start bias {bias:g}") for bias, colour in colours.items()]
    handles += [point(marker, "0.4", f"{number:g} neurons") for number, marker in markers.items()]
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
