# SPDX-License-Identifier: Apache-2.0
"""Figures of bumps: inner products and alignments of single seeds, and how many more bumps Adam shows than SGD."""

from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.measures import Measure
from jaxmyopia.measures.turning_points import turning_points
from jaxmyopia.report.figures import COLOURS, LOG_STEPS, LOSS_NAMES, draw_intervals, log_steps, panels
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.intervals import Interval
from jaxmyopia.stats.pairs import pair
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.bumps import DEFINITIONS
from jaxmyopia.studies.lowrank.figures import by_scale
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import MATCHINGS, NoRate, at_matched_rates
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK
from jaxmyopia.studies.lowrank.plateau_claims import OPTIMIZERS
from jaxmyopia.studies.lowrank.plateau_figures import missing

_turning_points = jax.jit(turning_points)


_SEEDS = 3  # that are drawn
_DRAWN = {"inner": "inner product over\nthe greatest final one", "align": "|cos| with a\ntarget column"}


def alignment_curves(run: FinishedRun, rank: int, loss: str, scale: float) -> Figure:
    """Inner products and alignments of single seeds with their bumps marked, `(2 optimisers, seeds)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      rank: of the cells shown.
      loss: likewise.
      scale: likewise, of the start.

    Returns:
      The figure.
    """
    optimizers = [name for name in OPTIMIZERS if name in run.values("optimizer")] or run.values("optimizer")[:2]
    figure, grid = panels(len(_DRAWN) * len(optimizers), _SEEDS, height=1.7, sharex=True)
    for i, optimizer in enumerate(optimizers):
        rate, number = run.best_cell(loss=loss, rank=rank, optimizer=optimizer, init_scale=scale)
        steps = run.cells[number].record_steps()
        for row, (name, label) in zip(grid[len(_DRAWN) * i :], _DRAWN.items(), strict=False):
            sides = [run.kept(number, f"{name}_{side}") for side in ("a", "b")]
            if name == "inner":
                sides = [side / side[-1].max(axis=(-2, -1), keepdims=True) for side in sides]
            for seed, axes in enumerate(row):
                for curves, style in zip(sides, ("-", "--"), strict=True):
                    if seed < curves.shape[1]:
                        _curves_of_one(axes, steps, curves[:, seed], style, run.thresholds.bump_delta)
                if seed >= sides[0].shape[1]:
                    missing(axes, "no such seed")
                axes.set_ylim(0, 1.02 if name == "align" else None)
                log_steps(axes, steps)
            row[0].set_ylabel(label)
        for seed, axes in enumerate(grid[len(_DRAWN) * i]):
            axes.set_title(f"{optimizer}, rate {rate:g}, seed {seed}")
    for axes in grid[-1]:
        axes.set_xlabel(LOG_STEPS)
    handles = [
        Line2D([], [], color="0.3", ls=ls, label=f"{a} with {u}") for ls, a, u in (("-", "a", "u"), ("--", "b", "v"))
    ]
    handles.append(Line2D([], [], color="0.3", marker="v", ls="none", label="bump"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _curves_of_one(axes: Axes, steps: np.ndarray, curves: np.ndarray, style: str, delta: float) -> None:
    points = _turning_points(curves.astype(np.float32), delta)
    kind, index = np.asarray(points.kind), np.asarray(points.index)
    pairs = [(k, j) for k in range(curves.shape[1]) for j in range(curves.shape[2])]
    for number, (k, j) in enumerate(pairs[: len(COLOURS)]):
        axes.plot(steps, curves[:, k, j], style, color=COLOURS[number], lw=0.9)
        bumps = index[kind[:, k, j] == 1, k, j]
        axes.plot(steps[bumps], curves[bumps, k, j], "v", color=COLOURS[number], mec="k", mew=0.5, ms=5)


def bump_figure(run: FinishedRun, scale: float) -> Figure:
    """The paired difference in bumps across ranks, definitions and thresholds, `(losses, matchings)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      scale: of the start.

    Returns:
      The figure.
    """
    losses = run.values("loss")
    ranks = [rank for rank in run.values("rank") if rank <= ALIGNMENT_RANK]
    bumps = run.thresholds.bumps
    figure, grid = panels(len(losses), len(MATCHINGS), sharex=True, sharey="row")
    for i, loss in enumerate(losses):
        by_rank = {}
        for rank in ranks:
            mine = run.rows(loss=loss, rank=rank, init_scale=scale)
            by_rank[rank] = at_matched_rates(*(mine.matching(optimizer=name) for name in OPTIMIZERS))
        for j, kind in enumerate(MATCHINGS):
            axes = grid[i, j]
            found = {rank: sides[kind] for rank, sides in by_rank.items() if kind in sides}
            matched = {rank: sides for rank, sides in found.items() if not isinstance(sides, NoRate)}
            inner, *others = (bumps.choices_at(definition=name) for name in DEFINITIONS)
            choices = [*sorted(inner, key=lambda choice: choice["delta"]), *(found[0] for found in others)]
            for number, choice in enumerate(choices):
                places = [ranks.index(rank) + (number - (len(choices) - 1) / 2) * 0.12 for rank in matched]
                means = [_difference(adam, sgd, bumps, choice) for sgd, adam in matched.values()]
                name = f"{choice['definition']}, δ = {choice['delta']:g}"
                draw_intervals(axes, places, means, COLOURS[number], label=name, marker="o")
            axes.axhline(0, color="k", lw=0.7)
            axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
            axes.set_title(f"{LOSS_NAMES[loss]}, {kind}")
        grid[i, 0].set_ylabel("bumps a pair,\nAdam − SGD")
    for axes in grid[-1]:
        axes.set_xlabel("rank")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), ncols=3, loc="outside upper center")
    return figure


def _difference(a: Trials, b: Trials, measure: Measure, choice: dict[str, Any]) -> Interval:
    pairs = pair(a, b, apart=("learning_rate",))
    differences = a.values(measure, choice)[pairs.a] - b.values(measure, choice)[pairs.b]
    return of_mean(differences[np.isfinite(differences)]).interval()


def bumps_by_scale(run: FinishedRun) -> Figure:
    """Bumps a pair by scale of the start and rank, `(losses, optimisers)` panels; diverged seeds are left out.

    Args:
      run: the finished run; curves are `(T, S)` a cell.

    Returns:
      The figure.
    """
    ranks = [rank for rank in run.values("rank") if rank <= ALIGNMENT_RANK]

    def mean(rows: Trials) -> Interval:
        bumps = rows.values(run.thresholds.bumps)
        return of_mean(bumps[np.isfinite(bumps)]).interval()

    figure = by_scale(run, ranks, mean, "bumps a pair")
    figure.axes[0].set_ylim(bottom=0)
    return figure
