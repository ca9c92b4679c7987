# SPDX-License-Identifier: Apache-2.0
"""Figures of losses: quantile quantiles, single seeds with their plateaus, plateau counts, and who reaches zero."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.measures.descents import descents
from jaxmyopia.report.figures import COLOURS, LOSS_NAMES, draw_intervals, log_steps, panels
from jaxmyopia.stats.intervals import Interval, wilson
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import shown_rate
from jaxmyopia.studies.lowrank.measures import Thresholds

_FLOOR = 1e-9  # of the loss axis, in units of the first loss
_descents = jax.jit(descents)


def loss_bands(run: FinishedRun) -> Figure:
    """Quantiles of the loss over seeds, `(losses, ranks)` panels, one line an optimiser and rate.

    Args:
      run: the finished run; sketches are `(T, rates)` a cell.

    Returns:
      The figure.
    """
    figure, axes = _by_loss_and_rank(run, _loss_band, "loss / first loss")
    axes.set(yscale="log", ylim=(_FLOOR, 1e1))
    return figure


def zero_loss_over_steps(run: FinishedRun) -> Figure:
    """The share of seeds whose loss is zero at each record, `(losses, ranks)` panels, one line an optimiser and rate.

    Args:
      run: the finished run; sketches are `(T, rates)` a cell.

    Returns:
      The figure.
    """
    figure, axes = _by_loss_and_rank(run, _zero_share, f"P(loss < {run.thresholds.zero_loss:g} first)")
    axes.set_ylim(-0.04, 1.04)
    return figure


def _by_loss_and_rank(
    run: FinishedRun, draw: Callable[[FinishedRun, Axes, int, str], None], label: str
) -> tuple[Figure, Axes]:
    """A grid of panels over steps, and the first of them, with whose upright axis all share theirs;
    `draw(run, axes, cell, colour)` adds a cell's lines."""
    losses, ranks, n = run.values("loss"), run.values("rank"), run.study.n
    figure, grid = panels(len(losses), len(ranks), sharex="col", sharey=True)
    for i, loss in enumerate(losses):
        for j, rank in enumerate(ranks):
            for optimizer in run.values("optimizer"):
                cell = run.find(loss=loss, rank=rank, optimizer=optimizer)
                draw(run, grid[i, j], cell, run.colour(optimizer))
            grid[0, j].set_title(f"rank {rank}" + (" (full)" if rank == n else ""))
        grid[i, 0].set_ylabel(f"{LOSS_NAMES[loss]}\n{label}")
    for axes, rank in zip(grid[-1], ranks, strict=True):
        log_steps(axes, run.cells[run.find(rank=rank)].record_steps())
        axes.set_xlabel("step")
    handles = [Line2D([], [], color=run.colour(name), label=name) for name in run.values("optimizer")]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure, grid[0, 0]


def _rates(run: FinishedRun, cell: int) -> list[tuple[int, bool]]:
    """The combinations of a cell: their places in its sketches, and whether each has the best rate."""
    names, best = [name for name, _ in run.cells[cell].sweep], shown_rate(run.rows(cell))
    rates = [values[names.index("learning_rate")] for values in run.cells[cell].combinations]
    return [(place, bool(np.isclose(rate, best))) for place, rate in enumerate(rates)]


def _zero_share(run: FinishedRun, axes: Axes, cell: int, colour: str) -> None:
    steps, share = run.cells[cell].record_steps(), run.relative_losses(cell).share_below(run.thresholds.zero_loss)
    for place, main in _rates(run, cell):
        axes.plot(steps, share[:, place], color=colour, alpha=1 if main else 0.4, lw=1.4 if main else 0.7)


def _loss_band(run: FinishedRun, axes: Axes, cell: int, colour: str) -> None:
    steps, losses = run.cells[cell].record_steps(), run.relative_losses(cell)
    low, middle, high = (np.clip(losses.quantile(q), _FLOOR, 1e3) for q in (0.05, 0.5, 0.95))
    for place, main in _rates(run, cell):
        axes.plot(steps, middle[:, place], color=colour, alpha=1 if main else 0.4, lw=1.4 if main else 0.7)
        if main:
            axes.fill_between(steps, low[:, place], high[:, place], color=colour, alpha=0.2, lw=0)


def plateau_spans(
    steps: np.ndarray, loss: np.ndarray, thresholds: Thresholds
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Where one curve descends and where its plateaus lie.

    Args:
      steps: `(T,)`.
      loss: `(T,)`.
      thresholds: the main thresholds.

    Returns:
      The records at which descents are fastest, `(descents,)`, and each plateau's first and last step.
    """
    ratio, fall = thresholds.plateau_ratio, thresholds.descent_fall
    found = _descents(steps, loss.astype(np.float32), ratio=ratio, fall=fall)
    closed = np.asarray(found.closed)
    peaks, plateau = np.asarray(found.peak)[closed], np.asarray(found.plateau)[closed]
    speed = -np.diff(loss) / np.diff(steps)
    spans = []
    for i, (peak, lies_before) in enumerate(zip(peaks, plateau, strict=True)):
        if lies_before:
            first = peaks[i - 1] if i else 0
            slowest = min(speed[peak], speed[peaks[i - 1]]) if i else speed[peak]
            slow = first + np.flatnonzero(speed[first : peak + 1] <= ratio * slowest)
            if slow.size:  # where the loss oscillates, no record itself may be slow
                spans.append((float(steps[slow[0]]), float(steps[slow[-1] + 1])))
    return peaks, spans


def _missing(axes: Axes, text: str = "not run") -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.5")


def single_seeds(run: FinishedRun, loss: str = "cross_entropy", rank: int = 2) -> Figure:
    """Single seeds' losses with their plateaus marked, `(optimisers, seeds)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      loss: of the cells shown.
      rank: likewise.

    Returns:
      The figure.
    """
    optimizers = run.values("optimizer")
    figure, grid = panels(len(optimizers), 4, sharey=True)
    for i, optimizer in enumerate(optimizers):
        cell = run.find(loss=loss, rank=rank, optimizer=optimizer)
        rate = shown_rate(run.rows(cell))
        curves, steps = run.kept(cell, "loss", rate), run.cells[cell].record_steps()
        for seed, axes in enumerate(grid[i]):
            if seed >= curves.shape[1]:
                _missing(axes, "no such seed")
                continue
            curve = curves[:, seed] / curves[0, seed]
            axes.plot(steps, curve, color=run.colour(optimizer))
            if np.isfinite(curve).all():
                peaks, spans = plateau_spans(steps, curve, run.thresholds)
                axes.plot(steps[peaks], curve[peaks], "v", color="k", ms=4, clip_on=False)
                for first, last in spans:
                    axes.axvspan(first, last, color="0.6", alpha=0.35, lw=0)
                axes.set_title(f"seed {seed}: descents {len(peaks)}, plateaus {len(spans)}", fontsize=6.5)
            else:
                axes.set_title(f"seed {seed}: diverged", fontsize=6.5)
            log_steps(axes, steps)
        grid[i, 0].set_ylabel(f"{optimizer}, rate {rate:g}\nloss / first loss")
    for axes in grid[-1]:
        axes.set_xlabel("step")
    grid[0, 0].set(yscale="log", ylim=(1e-5, 3))  # shared by all
    grid[0, 0].minorticks_off()  # 450 of them would take half of the time
    return figure


def plateau_counts(run: FinishedRun, loss: str, rank: int) -> Figure:
    """The distribution of plateau counts by rate, one panel an optimiser.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      loss: of the cells shown.
      rank: likewise.

    Returns:
      The figure.
    """
    optimizers = run.values("optimizer")
    figure, grid = panels(1, len(optimizers), sharey=True, height=2.2)
    names = ["0", "1", "2", "3", "4 or more", "diverged"]
    shades = [COLOURS[5], COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3], "0.75"]
    for axes, optimizer in zip(grid[0], optimizers, strict=True):
        rows = run.rows(run.find(loss=loss, rank=rank, optimizer=optimizer))
        rates, bottom = rows.unique("learning_rate"), 0
        counts = [rows.matching(learning_rate=rate).values(run.thresholds.plateaus) for rate in rates]
        places = np.array(
            [[*(np.mean(c == k) for k in range(4)), np.mean(c >= 4), np.mean(np.isnan(c))] for c in counts]
        )
        for share, name, shade in zip(places.T, names, shades, strict=True):
            axes.bar(range(len(rates)), share, 0.7, bottom=bottom, color=shade, label=name, ec="w", lw=0.4)
            bottom = bottom + share
        axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        axes.set_xlabel("learning rate")
        axes.set_title(f"{LOSS_NAMES[loss]}, rank {rank}, {optimizer}")
        axes.grid(False)
    grid[0, 0].set_ylabel("share of seeds")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), title="plateaus", loc="outside right center")
    return figure


def zero_loss_figure(run: FinishedRun) -> Figure:
    """P(zero loss) by learning rate and rank with Wilson's intervals, `(losses, optimisers)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.

    Returns:
      The figure.
    """

    def share(rows: Trials) -> Interval:
        reached = rows.values("loss_ratio") < run.thresholds.zero_loss
        return wilson(int(reached.sum()), reached.size)

    figure = by_rate(run, run.values("rank"), share, f"P(final < {run.thresholds.zero_loss:g} first)")
    figure.axes[0].set_ylim(-0.04, 1.04)  # shared by all
    return figure


def by_rate(run: FinishedRun, ranks: Sequence[int], measure: Callable[[Trials], Interval], label: str) -> Figure:
    """An estimate by learning rate and rank, `(losses, optimisers)` panels.

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
                rows = run.rows(run.find(loss=loss, rank=rank, optimizer=optimizer))
                rates = np.array(rows.unique("learning_rate"))
                estimates = [measure(rows.matching(learning_rate=rate)) for rate in rates.tolist()]
                jitter = 1.04 ** (number - (len(ranks) - 1) / 2)
                style: dict[str, Any] = {"label": f"rank {rank}", "ls": "-", "marker": "o"}
                draw_intervals(axes, rates * jitter, estimates, COLOURS[number], **style)
            axes.set_xscale("log")
            axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
            axes.minorticks_off()
            axes.set_title(f"{LOSS_NAMES[loss]}, {optimizer}")
        grid[i, 0].set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel("learning rate")
    grid[0, 0].legend()
    return figure
