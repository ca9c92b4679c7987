# SPDX-License-Identifier: Apache-2.0
"""Figures of the dilemma against one's past."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, Caption, log_steps, panels
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma.measures import COOPERATIVE
from jaxmyopia.studies.dilemma.study import SelfDilemma
from jaxmyopia.studies.dilemma.sweep import EPSILON
from jaxmyopia.study import Cell

_JUDGED: dict[str, Any] = {"color": "0.4", "lw": 0.8, "ls": ":"}
_LEARNERS = {
    "policy_gradient": ("policy gradient", COLOURS[0]),
    "q_all_past": ("Q-learning, averages of all the past", COLOURS[1]),
    "q_running": ("Q-learning, running averages", COLOURS[2]),
}
_CAPTIONS = {
    caption.name: caption
    for caption in (
        Caption(
            "cooperation",
            "Cooperation with one's own future",
            "Mean share of cooperation over the last 500 steps, with 95 % intervals of the mean over seeds. A myopic "
            "learner defects. The dotted line is the step at which runs are judged: where a curve still falls there, a "
            "verdict is one on the budget.",
        ),
        Caption(
            "cooperation_of_runs",
            "Two kinds of runs",
            "Shares of seeds by how much they cooperate in their last 500 steps: one agent that does not see its past. "
            "What lies right of the dotted line counts as cooperative. Filled: after 5,000 steps; outlined: at the end "
            "of the run.",
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class CooperationCurve:
    """One line of the figure. `panel`, `learner`: where it goes. `steps`, `mean` over seeds, its `error`: `(T,)`."""

    panel: str
    learner: str
    steps: np.ndarray
    mean: np.ndarray
    error: np.ndarray


def cooperation_curves(folder: RunFolder, cells: Sequence[Cell]) -> list[CooperationCurve]:
    """Reads the curves of the dilemma.

    Args:
      folder: of the run; sketches are `(T, combinations)` a cell.
      cells: all cells of the folder, in its order, `(cells,)`.

    Returns:
      One `CooperationCurve` a learner, history, population and swap, at the epsilon of the claims.
    """
    found = []
    for index, cell in enumerate(cells):
        if not isinstance(cell.study, SelfDilemma):
            continue
        sketch, names = folder.sketch(index, "cooperation"), [name for name, _ in cell.sweep]
        mean, error, many = sketch.mean(), sketch.standard_error(), cell.study.population > 1
        for place, values in enumerate(cell.combinations):
            settings = dict(zip(names, values, strict=True))
            if np.isclose(settings["epsilon"], EPSILON):
                agents = f"{cell.study.population} agents" + (" that swap" if settings["swap"] else "")
                panel = agents if many else f"{'seen' if settings['seen'] else 'hidden'} history"
                line = CooperationCurve(panel, cell.study.learner, cell.record_steps(), mean[:, place], error[:, place])
                found.append(line)
    return found


def cooperation_over_time(curves: Sequence[CooperationCurve], judged: int) -> Figure:
    """Mean cooperation over steps, a panel a variant, a line a learner.

    Args:
      curves: to draw, `(lines,)`.
      judged: the step at which runs are judged.

    Returns:
      The figure.
    """
    names = list(dict.fromkeys(curve.panel for curve in curves))
    figure, grid = panels(1, len(names), sharey=True, height=2.2)
    for axes, name in zip(grid[0], names, strict=True):
        for curve in (curve for curve in curves if curve.panel == name):
            label, colour = _LEARNERS[curve.learner]
            late = curve.steps > 0  # nothing is counted before the first step
            mean, error = curve.mean[late], curve.error[late]
            axes.plot(curve.steps[late], mean, color=colour, label=label)
            axes.fill_between(
                curve.steps[late], mean - 1.96 * error, mean + 1.96 * error, color=colour, alpha=0.25, lw=0
            )
            log_steps(axes, curve.steps)
            axes.set_xlim(1, curve.steps[-1])
        axes.axvline(judged, **_JUDGED)
        axes.set(title=name, xlabel="step (log scale)", ylim=(-0.03, 1.03))
    grid[0, 0].set_ylabel("share of cooperation,\nlast 500 steps")
    handles = {label: line for axes in grid[0] for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    handles["judged here"] = Line2D([], [], **_JUDGED)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return figure


def cooperation_of_runs(table: Trials) -> Figure:
    """The distribution of cooperation over seeds of one agent with hidden history, a panel a learner.

    Args:
      table: of the run, rows `(rows,)`.

    Returns:
      The figure.
    """
    rows = table.matching(study="dilemma")
    rows = rows.matching(population=1, seen=0.0, epsilon=EPSILON)
    learners = [learner for learner in _LEARNERS if learner in rows["learner"]]
    figure, grid = panels(1, len(learners), sharey=True, height=1.9)
    edges = np.linspace(0, 1, 21)
    for axes, learner in zip(grid[0], learners, strict=True):
        mine, (label, colour) = rows.matching(learner=learner), _LEARNERS[learner]
        styles = {"cooperation": ("bar", "5,000 steps", 0.35), "cooperation_late": ("step", "the end", 1.0)}
        for column, (kind, when, alpha) in styles.items():
            values = mine.values(column)
            weights = np.full(values.size, 1 / values.size)
            axes.hist(values, edges, weights=weights, histtype=kind, color=colour, alpha=alpha, lw=1.2, label=when)
        axes.axvline(COOPERATIVE[0], **_JUDGED, label="cooperative from here")
        axes.set(title=label, xlabel="share of cooperation, last 500 steps", xlim=(0, 1), ylim=(0, 1.03))
        axes.legend(loc="upper center")
    grid[0, 0].set_ylabel("share of seeds")
    return figure


def draw(folder: RunFolder, cells: Sequence[Cell]) -> dict[Caption, Figure]:
    """The figures that the cells allow, in the order of the page.

    Args:
      folder: of the run.
      cells: all cells of the folder, in its order; those of other studies are passed over.

    Returns:
      The figures by their captions.
    """
    studies = [cell.study for cell in cells if isinstance(cell.study, SelfDilemma)]
    if not studies:
        return {}
    return {
        _CAPTIONS["cooperation"]: cooperation_over_time(cooperation_curves(folder, cells), studies[0].judged),
        _CAPTIONS["cooperation_of_runs"]: cooperation_of_runs(folder.table()),
    }
