# SPDX-License-Identifier: Apache-2.0
"""The figures of the plateaus experiment, each a function of a finished run."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.lowrank.claims import best_rate, bump_differences
from jaxmyopia.lowrank.observables import ALIGNMENT_RANK, Thresholds, count_column
from jaxmyopia.report.figures import COLOURS, Caption, panels, save
from jaxmyopia.report.page import write_page
from jaxmyopia.runner.results import RunFolder
from jaxmyopia.runner.study import Cell
from jaxmyopia.stats.claims import Claim
from jaxmyopia.stats.descents import descents
from jaxmyopia.stats.intervals import bca_mean, wilson
from jaxmyopia.stats.table import SeedTable
from jaxmyopia.stats.turning_points import turning_points

_FLOOR = 1e-9  # of the loss axis, in units of the first loss
_LOSS_NAMES = {"square": "square loss", "cross_entropy": "cross-entropy"}
_MATCHINGS = ("best rates", "equal half-times")


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run, read back: its folder, cells, table and thresholds."""

    folder: RunFolder
    cells: Sequence[Cell]
    thresholds: Thresholds

    @functools.cached_property
    def table(self) -> SeedTable:
        return self.folder.table()

    @functools.cached_property
    def target(self) -> str:
        """The target that figures show: the first that was run."""
        return self.cells[0].study.target

    def shown(self) -> SeedTable:
        """The rows of that target, `(rows,)`."""
        return self.table.where(target=self.target)

    def values(self, field: str) -> list:
        """The values of a study's field over the cells, in the order run."""
        return list(dict.fromkeys(getattr(cell.study, field) for cell in self.cells))

    def find(self, **settings: object) -> int | None:
        """The index of the cell with these static settings, a scalar; None if it was not run."""
        wanted = {"target": self.target, **settings}
        for index, cell in enumerate(self.cells):
            if all(cell.study.settings()[name] == value for name, value in wanted.items()):
                return index
        return None

    def rows(self, cell: int) -> SeedTable:
        """The rows of one cell, in the order of its lanes."""
        return self.table.where(cell=cell)

    def colour(self, optimizer: str) -> str:
        """The colour of an optimiser in every figure."""
        return COLOURS[self.values("optimizer").index(optimizer) % len(COLOURS)]

    def kept(self, cell: int, name: str, rate: float) -> np.ndarray:
        """An observable of the kept seeds at one rate, `(T, kept, ...)`."""
        rows = self.rows(cell)
        curves = self.folder.curves(cell, name)
        if name == "loss":
            return curves[:, np.isclose(rows["learning_rate"], rate)]
        keep = rows["seed"] < self.folder.config["keep_curves"]
        return curves[:, np.isclose(rows["learning_rate"][keep], rate)]


def _rank_name(rank: int, n: int) -> str:
    return f"rank {rank} (full)" if rank == n else f"rank {rank}"


def _missing(axes: Axes, text: str = "not run") -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.5")


def _log_steps(axes: Axes, steps: np.ndarray) -> None:
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, steps[-1])
    axes.set_xticks([0, *(10**k for k in range(int(np.log10(steps[-1])) + 1))])


def loss_bands(run: Run) -> Figure:
    """Quantiles of the loss over seeds, `(losses, ranks)` panels, one line an optimiser and rate."""
    losses, ranks, n = run.values("loss"), run.values("rank"), run.cells[0].study.n
    figure, grid = panels(len(losses), len(ranks), sharex=True, sharey=True)
    for i, loss in enumerate(losses):
        for j, rank in enumerate(ranks):
            for optimizer in run.values("optimizer"):
                cell = run.find(loss=loss, rank=rank, optimizer=optimizer)
                _loss_band(run, grid[i, j], cell, run.colour(optimizer))
            grid[i, j].set_title(f"{_LOSS_NAMES[loss]}, {_rank_name(rank, n)}")
    for axes in grid[-1]:
        axes.set_xlabel("step")
    for axes in grid[:, 0]:
        axes.set_ylabel("loss / first loss")
    for optimizer in run.values("optimizer"):
        grid[0, 0].plot([], [], color=run.colour(optimizer), label=optimizer)
    grid[0, 0].legend(loc="lower left")
    return figure


def _loss_band(run: Run, axes: Axes, cell: int, colour: str) -> None:
    rows, steps = run.rows(cell), run.cells[cell].record_steps()
    loss = run.folder.curves(cell, "loss")
    # A seed that has left the finite numbers ranks above all others; the quantile shows it only where it is one.
    relative = np.where(np.isfinite(loss), loss / loss[0], np.inf)
    best = best_rate(rows)
    for rate in rows.unique("learning_rate"):
        mine = relative[:, np.isclose(rows["learning_rate"], rate)]
        low, middle, high = np.quantile(mine, [0.05, 0.5, 0.95], axis=1, method="nearest")
        main = np.isclose(rate, best)
        clipped = [np.clip(curve, _FLOOR, 1e3) for curve in (low, middle, high)]
        axes.plot(steps, clipped[1], color=colour, alpha=1 if main else 0.4, lw=1.4 if main else 0.7)
        if main:
            axes.fill_between(steps, clipped[0], clipped[2], color=colour, alpha=0.2, lw=0)
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR, 1e1)
    _log_steps(axes, steps)


def plateau_spans(steps: np.ndarray, loss: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Where one curve descends and where its plateaus lie.

    Args:
      steps: `(T,)`.
      loss: `(T,)`.
      thresholds: the main thresholds.

    Returns:
      The records at which descents are fastest, `(descents,)`, and each plateau's first and last step.
    """
    ratio, fall = thresholds.plateau_ratio, thresholds.descent_fall
    found = descents(steps, loss.astype(np.float32), ratio=ratio, fall=fall)
    closed = np.asarray(found.closed)
    peaks, plateau = np.asarray(found.peak)[closed], np.asarray(found.plateau)[closed]
    speed = -np.diff(loss) / np.diff(steps)
    spans = []
    for i, (peak, lies_before) in enumerate(zip(peaks, plateau, strict=True)):
        if lies_before:
            first = peaks[i - 1] if i else 0
            slowest = min(speed[peak], speed[peaks[i - 1]]) if i else speed[peak]
            slow = first + np.flatnonzero(speed[first : peak + 1] <= ratio * slowest)
            spans.append((float(steps[slow[0]]), float(steps[slow[-1] + 1])))
    return peaks, spans


def single_seeds(run: Run, loss: str = "cross_entropy", rank: int = 2) -> Figure:
    """Single seeds' losses with their plateaus marked, `(optimisers, seeds)` panels."""
    optimizers = run.values("optimizer")
    figure, grid = panels(len(optimizers), 4, sharey=True)
    for i, optimizer in enumerate(optimizers):
        cell = run.find(loss=loss, rank=rank, optimizer=optimizer)
        rate = best_rate(run.rows(cell))
        curves, steps = run.kept(cell, "loss", rate), run.cells[cell].record_steps()
        for seed, axes in enumerate(grid[i]):
            if seed >= curves.shape[1]:
                _missing(axes, "no such seed")
                continue
            curve = curves[:, seed] / curves[0, seed]
            axes.plot(steps, curve, color=run.colour(optimizer))
            if np.isfinite(curve).all():
                peaks, spans = plateau_spans(steps, curve, run.thresholds)
                axes.plot(steps[peaks], curve[peaks], "v", color="k", ms=4)
                for first, last in spans:
                    axes.axvspan(first, last, color="0.6", alpha=0.35, lw=0)
                axes.set_title(f"{optimizer} {rate:g}, seed {seed}: {len(peaks)} descents, {len(spans)} plateaus", fontsize=6.5)
            else:
                axes.set_title(f"{optimizer} {rate:g}, seed {seed}: diverged", fontsize=6.5)
            _log_steps(axes, steps)
            axes.set_yscale("log")
            axes.set_ylim(1e-5, 3)
        grid[i, 0].set_ylabel("loss / first loss")
    for axes in grid[-1]:
        axes.set_xlabel("step")
    return figure


def alignment_curves(run: Run, rank: int, loss: str) -> Figure:
    """Alignments of single seeds with their bumps marked, `(optimisers, seeds)` panels."""
    optimizers = run.values("optimizer")
    figure, grid = panels(len(optimizers), 3, sharex=True, sharey=True)
    for i, optimizer in enumerate(optimizers):
        cell = run.find(loss=loss, rank=rank, optimizer=optimizer)
        rate, steps = best_rate(run.rows(cell)), run.cells[cell].record_steps()
        for seed, axes in enumerate(grid[i]):
            for name, style in (("align_a", "-"), ("align_b", "--")):
                curves = run.kept(cell, name, rate)
                if seed < curves.shape[1]:
                    _alignments_of_one(axes, steps, curves[:, seed], style, run.thresholds.bump_delta)
            axes.set_title(f"{optimizer} {rate:g}, seed {seed}")
            axes.set_ylim(0, 1.02)
            _log_steps(axes, steps)
        grid[i, 0].set_ylabel("|cos| with a target column")
    for axes in grid[-1]:
        axes.set_xlabel("step")
    return figure


def _alignments_of_one(axes: Axes, steps: np.ndarray, curves: np.ndarray, style: str, delta: float) -> None:
    points = turning_points(curves.astype(np.float32), delta)
    kind, index = np.asarray(points.kind), np.asarray(points.index)
    pairs = [(k, j) for k in range(curves.shape[1]) for j in range(curves.shape[2])]
    for number, (k, j) in enumerate(pairs[: len(COLOURS)]):
        axes.plot(steps, curves[:, k, j], style, color=COLOURS[number], lw=0.9)
        bumps = index[kind[:, k, j] == 1, k, j]
        axes.plot(steps[bumps], curves[bumps, k, j], "v", color=COLOURS[number], mec="k", mew=0.5, ms=5)


def bump_figure(run: Run) -> Figure:
    """The paired difference in bumps across ranks and thresholds, `(losses, matchings)` panels."""
    losses = run.values("loss")
    ranks = [rank for rank in run.values("rank") if rank <= ALIGNMENT_RANK]
    grid_deltas = run.thresholds.bump_grid()
    figure, grid = panels(len(losses), len(_MATCHINGS), sharex=True, sharey="row")
    for i, loss in enumerate(losses):
        for j, kind in enumerate(_MATCHINGS):
            axes = grid[i, j]
            for number, delta in enumerate(grid_deltas):
                found = bump_differences(run.shown(), loss, ranks, kind, delta)
                places = [ranks.index(rank) + (number - (len(grid_deltas) - 1) / 2) * 0.12 for rank in found]
                means = [bca_mean(a - b, rng=np.random.default_rng(0), resamples=999) for _, a, b, _ in found.values()]
                _intervals(axes, places, means, COLOURS[number], label=f"δ = {delta:g}", marker="o")
            axes.axhline(0, color="k", lw=0.7)
            axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
            axes.set_title(f"{_LOSS_NAMES[loss]}, {kind}")
        grid[i, 0].set_ylabel("bumps a pair,\nAdam − SGD")
    for axes in grid[-1]:
        axes.set_xlabel("rank")
    grid[0, -1].legend(ncols=2)
    return figure


def _intervals(axes: Axes, x: Sequence[float], intervals: Sequence, colour: str, **style: object) -> None:
    """Points with their intervals `(points,)`."""
    if not len(x):
        return
    estimates = np.array([interval.estimate for interval in intervals])
    below = estimates - [interval.low for interval in intervals]
    above = [interval.high for interval in intervals] - estimates
    errors = np.maximum([below, above], 0)
    axes.errorbar(x, estimates, errors, color=colour, ms=3, lw=0.9, capsize=1.5, **{"ls": "none", **style})


def zero_loss_figure(run: Run) -> Figure:
    """P(zero loss) by learning rate and rank with Wilson's intervals, `(losses, optimisers)` panels."""
    losses, optimizers, ranks = run.values("loss"), run.values("optimizer"), run.values("rank")
    figure, grid = panels(len(losses), len(optimizers), sharey=True)
    for i, loss in enumerate(losses):
        for j, optimizer in enumerate(optimizers):
            axes = grid[i, j]
            for number, rank in enumerate(ranks):
                rows = run.rows(run.find(loss=loss, rank=rank, optimizer=optimizer))
                rates = np.array(rows.unique("learning_rate"))
                reached = [rows.where(learning_rate=rate).values("loss_ratio") < run.thresholds.zero_loss for rate in rates.tolist()]
                shares = [wilson(int(hits.sum()), hits.size) for hits in reached]
                jitter = 1.04 ** (number - (len(ranks) - 1) / 2)
                _intervals(axes, rates * jitter, shares, COLOURS[number], label=f"rank {rank}", ls="-", marker="o")
            axes.set_xscale("log")
            axes.set_ylim(-0.04, 1.04)
            axes.set_title(f"{_LOSS_NAMES[loss]}, {optimizer}")
        grid[i, 0].set_ylabel(f"P(final < {run.thresholds.zero_loss:g} first)")
    for axes in grid[-1]:
        axes.set_xlabel("learning rate")
    grid[0, 0].legend()
    return figure


def plateau_counts(run: Run, loss: str, rank: int) -> Figure:
    """The distribution of plateau counts by rate, one panel an optimiser."""
    optimizers = run.values("optimizer")
    column = count_column("plateaus", run.thresholds.plateau_ratio, run.thresholds.descent_fall)
    figure, grid = panels(1, len(optimizers), sharey=True, height=2.2)
    names = ["0", "1", "2", "3", "4 or more", "diverged"]
    shades = [COLOURS[5], COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3], "0.75"]
    for axes, optimizer in zip(grid[0], optimizers, strict=True):
        rows = run.rows(run.find(loss=loss, rank=rank, optimizer=optimizer))
        rates, bottom = rows.unique("learning_rate"), 0
        counts = [rows.where(learning_rate=rate).values(column) for rate in rates]
        places = np.array([[*(np.mean(c == k) for k in range(4)), np.mean(c >= 4), np.mean(np.isnan(c))] for c in counts])
        for share, name, shade in zip(places.T, names, shades, strict=True):
            axes.bar(range(len(rates)), share, 0.7, bottom=bottom, color=shade, label=name, ec="w", lw=0.4)
            bottom = bottom + share
        axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        axes.set_xlabel("learning rate")
        axes.set_title(f"{_LOSS_NAMES[loss]}, rank {rank}, {optimizer}")
        axes.grid(False)
    grid[0, 0].set_ylabel("share of seeds")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), title="plateaus", loc="outside right center")
    return figure


def draw(run: Run) -> list[Caption]:
    """Draws every figure that the run's cells allow into its folder.

    Args:
      run: the finished run; its table has `(rows,)` columns.

    Returns:
      The captions, in the order of the page.
    """
    thresholds, ranks, losses = run.thresholds, run.values("rank"), run.values("loss")
    kept = run.folder.config["keep_curves"]
    paired = [rank for rank in ranks if 2 <= rank <= ALIGNMENT_RANK]
    drawn: list[tuple[Caption, Figure]] = []
    drawn.append((Caption("loss", "Loss over seeds", "Median loss over seeds, relative to the first: thick at each optimiser's best rate, with the band from the 5th to the 95th percentile; thin at the other rates. A line that leaves the panel upwards is a rate at which half of the seeds diverge."), loss_bands(run)))
    shown = "cross_entropy" if "cross_entropy" in losses else losses[0]
    rank = 2 if 2 in ranks else ranks[0]
    drawn.append((Caption("plateau_counts", f"How many plateaus at rank {rank}", f"Share of seeds with 0, 1, 2, ... plateaus, by learning rate ({_LOSS_NAMES[shown]}). The counts depend on the rate: at rates near the edge of stability the loss oscillates, and each oscillation that matters counts as a descent."), plateau_counts(run, shown, rank)))
    if kept:
        drawn.append((Caption("single_seeds", "Single seeds", f"Loss of single seeds at the best rate ({_LOSS_NAMES[shown]}, rank {rank}). Triangles: where a descent is fastest; grey: plateaus, where the loss falls at most {thresholds.plateau_ratio:g} times as fast as in the neighbouring descents."), single_seeds(run, shown, rank)))
    if kept and paired:
        drawn.append((Caption("alignments", f"Alignments at rank {paired[0]}", f"|cos| between learned and target columns (solid: a with u, dashed: b with v; one colour a pair, at most {len(COLOURS)} pairs) at the best rate, {_LOSS_NAMES[losses[0]]}. Triangles: bumps, maxima after which the alignment falls by at least {thresholds.bump_delta:g}."), alignment_curves(run, paired[0], losses[0])))
    if {"sgd", "adam"} <= set(run.values("optimizer")) and min(ranks) <= ALIGNMENT_RANK:
        drawn.append((Caption("bumps", "Bumps: Adam minus SGD", "Difference in bumps a pair between Adam and SGD on the same seeds, with 95 % BCa intervals, by rank and threshold δ, at each optimiser's best rate and at rates with equal median half-times. Above zero: more bumps with Adam."), bump_figure(run)))
    drawn.append((Caption("zero_loss", "Who finds the zero-loss solution", f"Share of seeds whose final loss is below {thresholds.zero_loss:g} of the first, with Wilson's 95 % intervals, by learning rate and rank, after {run.cells[0].steps} steps. A diverged seed counts as one that does not."), zero_loss_figure(run)))
    for caption, figure in drawn:
        save(run.folder, caption.name, figure)
    return [caption for caption, _ in drawn]


def write_report(run: Run, claims: Sequence[Claim]) -> None:
    """Draws the figures and writes the page.

    Args:
      run: the finished run; its table has `(rows,)` columns.
      claims: the judged claims of the target shown, `(m,)`.
    """
    rows = []
    for index, cell in enumerate(run.cells):
        mine = run.rows(index)
        rows.append(
            cell.study.settings()
            | {"rates": ", ".join(f"{rate:g}" for rate in mine.unique("learning_rate")), "best": f"{best_rate(mine):g}"}
            | {"seeds": cell.seeds, "steps": cell.steps, "diverged": f"{int(mine['diverged'].sum())} of {len(mine)}"}
        )
    notes = [
        f"A target C = U Vᵀ of side {run.cells[0].study.n} ({run.target}) is learned as Z = A Bᵀ of the same rank, from entries of "
        f"standard deviation {dict(run.cells[0].sweep)['init_scale'][0]:g}. SGD and Adam are paired: seed i has the same target and the "
        "same start under every optimiser, loss and rate of its rank."
    ]
    write_page(run.folder, title="S-curves of low-rank learning", claims=claims, captions=draw(run), rows=rows, notes=notes)
