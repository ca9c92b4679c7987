# SPDX-License-Identifier: Apache-2.0
"""Figures of alignments: single seeds with their bumps, and how many more bumps Adam shows than SGD."""

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.measures import Measure
from jaxmyopia.measures.turning_points import turning_points
from jaxmyopia.report.figures import COLOURS, LOSS_NAMES, draw_intervals, log_steps, panels
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.intervals import Interval
from jaxmyopia.stats.table import Trials, pair
from jaxmyopia.studies.lowrank.figures import by_scale
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import MATCHINGS, NoRate, at_matched_rates, shown_rate
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK
from jaxmyopia.studies.lowrank.plateau_claims import OPTIMIZERS

_turning_points = jax.jit(turning_points)


def alignment_curves(run: FinishedRun, rank: int, loss: str, scale: float) -> Figure:
    """Alignments of single seeds with their bumps marked, `(optimisers, seeds)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      rank: of the cells shown.
      loss: likewise.
      scale: likewise, of the start.

    Returns:
      The figure.
    """
    optimizers = run.values("optimizer")
    figure, grid = panels(len(optimizers), 3, sharex=True, sharey=True)
    for i, optimizer in enumerate(optimizers):
        at = {"loss": loss, "rank": rank, "optimizer": optimizer, "init_scale": scale}
        rate = shown_rate(run.rows(**at))
        number = run.by_rate(**at)[rate]
        steps = run.cells[number].record_steps()
        for seed, axes in enumerate(grid[i]):
            for name, style in (("align_a", "-"), ("align_b", "--")):
                curves = run.kept(number, name)
                if seed < curves.shape[1]:
                    _alignments_of_one(axes, steps, curves[:, seed], style, run.thresholds.bump_delta)
            axes.set_title(f"seed {seed}")
            axes.set_ylim(0, 1.02)
            log_steps(axes, steps)
        grid[i, 0].set_ylabel(f"{optimizer}, rate {rate:g}\n|cos| with a target column")
    for axes in grid[-1]:
        axes.set_xlabel("step")
    return figure


def _alignments_of_one(axes: Axes, steps: np.ndarray, curves: np.ndarray, style: str, delta: float) -> None:
    points = _turning_points(curves.astype(np.float32), delta)
    kind, index = np.asarray(points.kind), np.asarray(points.index)
    pairs = [(k, j) for k in range(curves.shape[1]) for j in range(curves.shape[2])]
    for number, (k, j) in enumerate(pairs[: len(COLOURS)]):
        axes.plot(steps, curves[:, k, j], style, color=COLOURS[number], lw=0.9)
        bumps = index[kind[:, k, j] == 1, k, j]
        axes.plot(steps[bumps], curves[bumps, k, j], "v", color=COLOURS[number], mec="k", mew=0.5, ms=5)


def bump_figure(run: FinishedRun, scale: float) -> Figure:
    """The paired difference in bumps across ranks and thresholds, `(losses, matchings)` panels.

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
            choices = sorted(bumps.choices_at(), key=lambda choice: choice["delta"])
            for number, choice in enumerate(choices):
                places = [ranks.index(rank) + (number - (len(choices) - 1) / 2) * 0.12 for rank in matched]
                means = [_difference(adam, sgd, bumps, choice) for sgd, adam in matched.values()]
                draw_intervals(axes, places, means, COLOURS[number], label=f"δ = {choice['delta']:g}", marker="o")
            axes.axhline(0, color="k", lw=0.7)
            axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
            axes.set_title(f"{LOSS_NAMES[loss]}, {kind}")
        grid[i, 0].set_ylabel("bumps a pair,\nAdam − SGD")
    for axes in grid[-1]:
        axes.set_xlabel("rank")
    grid[0, -1].legend(ncols=2)
    return figure


def _difference(a: Trials, b: Trials, measure: Measure, choice: dict[str, float]) -> Interval:
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
