# SPDX-License-Identifier: Apache-2.0
"""Figures of losses over seeds, and of who reaches zero."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.report.figures import COLOURS, DASHES, LOG_STEPS, LOSS_NAMES, draw_intervals, log_steps, panels
from jaxmyopia.stats.intervals import Interval, wilson
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import shown_rate

_FLOOR = 1e-9  # of the loss axis, in units of the first loss
_BEST, _OTHER = 2.2, 1.1  # points: the width of a line at the best rate, and at others
_Draw = Callable[[FinishedRun, Axes, int, dict[str, Any], bool], None]


def loss_bands(run: FinishedRun, scale: float) -> Figure:
    """Quantiles of the loss over seeds, `(losses, ranks)` panels, one line an optimiser and rate.

    Args:
      run: the finished run; sketches are `(T, 1)` a cell.
      scale: of the start.

    Returns:
      The figure.
    """
    figure, axes = _by_loss_and_rank(run, scale, _loss_band, "loss / first loss")
    axes.set(yscale="log", ylim=(_FLOOR, 1e1))
    return figure


def zero_loss_over_steps(run: FinishedRun, scale: float) -> Figure:
    """The share of seeds whose loss is zero at each record, `(losses, ranks)` panels, one line an optimiser and rate.

    Args:
      run: the finished run; sketches are `(T, 1)` a cell.
      scale: of the start.

    Returns:
      The figure.
    """
    figure, axes = _by_loss_and_rank(run, scale, _zero_share, f"P(loss < {run.thresholds.zero_loss:g} first)")
    axes.set_ylim(-0.04, 1.04)
    return figure


def _by_loss_and_rank(run: FinishedRun, scale: float, draw: _Draw, label: str) -> tuple[Figure, Axes]:
    """A grid of panels over steps, and the first of them, with whose upright axis all share theirs;
    `draw(run, axes, cell, look, best)` adds a cell's line."""
    losses, n = run.values("loss"), run.study.n
    ranks = [rank for rank in run.values("rank") if scale in run.scales(rank=rank)]
    figure, grid = panels(len(losses), len(ranks), sharex="col", sharey=True)
    for i, loss in enumerate(losses):
        for j, rank in enumerate(ranks):
            for optimizer in run.values("optimizer"):
                at = {"loss": loss, "rank": rank, "optimizer": optimizer, "init_scale": scale}
                rates = run.by_rate(**at)  # none where an optimiser was not run at a rank
                best = shown_rate(run.rows(**at)) if rates else None
                for rate, number in rates.items():
                    look = _look(run, optimizer, rate, best=rate == best)
                    draw(run, grid[i, j], number, look, rate == best)
            grid[0, j].set_title(f"rank {rank}" + (" (full)" if rank == n else ""))
        grid[i, 0].set_ylabel(f"{LOSS_NAMES[loss]}\n{label}")
    for axes, rank in zip(grid[-1], ranks, strict=True):
        log_steps(axes, run.cells[min(run.by_rate(rank=rank).values())].record_steps())
        axes.set_xlabel(LOG_STEPS)
    handles = [
        Line2D([], [], label=f"{name}, rate {rate:g}", **_look(run, name, rate, best=False))
        for name in run.values("optimizer")
        for rate in _rates(run, name)
    ]
    handles.append(Line2D([], [], color="0.3", lw=_BEST, label="thick: the best rate"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), handlelength=2.6)
    return figure, grid[0, 0]


def _rates(run: FinishedRun, optimizer: str) -> list[float]:
    """Every rate of an optimiser, the greatest first."""
    return sorted(run.by_rate(optimizer=optimizer), reverse=True)


def _look(run: FinishedRun, optimizer: str, rate: float, *, best: bool) -> dict[str, Any]:
    """A line's colour by its optimiser, dashes by its rate; later optimisers are thinner, so that what lies below
    them is seen."""
    thinner = 0.7 ** run.values("optimizer").index(optimizer)
    dashes = DASHES[_rates(run, optimizer).index(rate) % len(DASHES)]
    return {"color": run.colour(optimizer), "ls": dashes, "lw": (_BEST if best else _OTHER) * thinner}


def _zero_share(run: FinishedRun, axes: Axes, number: int, look: dict[str, Any], best: bool) -> None:
    del best
    steps, share = run.cells[number].record_steps(), run.relative_losses(number).share_below(run.thresholds.zero_loss)
    axes.plot(steps, share[:, 0], **look)


def _loss_band(run: FinishedRun, axes: Axes, number: int, look: dict[str, Any], best: bool) -> None:
    steps, losses = run.cells[number].record_steps(), run.relative_losses(number)
    low, middle, high = (np.clip(losses.quantile(q)[:, 0], _FLOOR, 1e3) for q in (0.05, 0.5, 0.95))
    axes.plot(steps, middle, **look)
    if best:
        axes.fill_between(steps, low, high, color=look["color"], alpha=0.2, lw=0)


def zero_loss_figure(run: FinishedRun) -> Figure:
    """P(zero loss) by scale of the start and rank, at best rates, with Wilson's intervals, `(losses, optimisers)`.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """

    def share(rows: Trials) -> Interval:
        reached = rows.values("loss_ratio") < run.thresholds.zero_loss
        return wilson(int(reached.sum()), reached.size)

    figure = by_scale(run, run.values("rank"), share, f"P(final < {run.thresholds.zero_loss:g} first)")
    figure.axes[0].set_ylim(-0.04, 1.04)  # shared by all
    return figure


def by_scale(run: FinishedRun, ranks: Sequence[int], measure: Callable[[Trials], Interval], label: str) -> Figure:
    """An estimate by scale of the start and rank at best rates, `(losses, optimisers)` panels.

    Args:
      run: the finished run.
      ranks: the ranks shown, `(m,)`, a line each.
      measure: from the rows `(seeds,)` of one rate to its interval.
      label: of the estimates' axis.

    Returns:
      The figure.
    """
    losses, optimizers = run.values("loss"), run.values("optimizer")
    figure, grid = panels(len(losses), len(optimizers), sharey=True)
    for i, loss in enumerate(losses):
        for j, optimizer in enumerate(optimizers):
            axes = grid[i, j]
            for number, rank in enumerate(ranks):
                at = {"loss": loss, "rank": rank, "optimizer": optimizer}
                scales, estimates = np.array(run.scales(**at)), []
                if not len(scales):
                    continue
                for scale in scales:
                    mine = run.rows(**at, init_scale=float(scale))
                    estimates.append(measure(mine.matching(learning_rate=shown_rate(mine))))
                jitter = 1.06 ** (number - (len(ranks) - 1) / 2)
                style: dict[str, Any] = {"label": f"rank {rank}", "ls": "-", "marker": "o"}
                draw_intervals(axes, scales * jitter, estimates, COLOURS[number], **style)
            axes.set_xscale("log")
            every = run.scales()
            axes.set_xticks(every, [f"{scale:g}" for scale in every])
            axes.minorticks_off()
            axes.set_title(f"{LOSS_NAMES[loss]}, {optimizer}")
        grid[i, 0].set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel("scale of the start")
    grid[0, 0].legend()
    return figure
