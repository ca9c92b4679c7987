# SPDX-License-Identifier: Apache-2.0
"""The report of the plateaus experiment: which figures, what to see in them, and the page."""

from collections.abc import Callable

from matplotlib.figure import Figure

from jaxmyopia.report.figures import COLOURS, Caption
from jaxmyopia.report.page import Report
from jaxmyopia.studies.lowrank.alignment_figures import alignment_curves, bump_figure, bumps_by_rate
from jaxmyopia.studies.lowrank.figures import (
    loss_bands,
    plateau_counts,
    single_seeds,
    zero_loss_figure,
    zero_loss_over_steps,
)
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import shown_rate
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK

_CAPTIONS = {
    caption.name: caption
    for caption in (
        Caption(
            "loss",
            "Loss over seeds",
            "Median loss over seeds, relative to the first: thick at each optimiser's best rate, with the band between "
            "the 5th and the 95th percentile; thin at its other rates. A line that leaves the panel upwards is a rate "
            "at which half of the seeds diverge.",
        ),
        Caption(
            "plateau_counts",
            "How many plateaus",
            "Share of seeds with 0, 1, 2, ... plateaus, by learning rate. At rates near the edge of stability the loss "
            "oscillates, and every oscillation in which it falls by enough counts as a descent: the number of plateaus "
            "says as much about the rate as about the problem.",
        ),
        Caption(
            "zero_loss",
            "Who finds the zero-loss solution",
            "Share of seeds whose final loss is below the threshold of zero, with Wilson's 95 % intervals, by rate and "
            "rank. A diverged seed counts as one that does not. Points are shifted sideways to keep them apart.",
        ),
        Caption(
            "zero_loss_over_steps",
            "How long it takes",
            "Share of seeds whose loss is below the threshold of zero, step by step: thick at each optimiser's best "
            "rate, thin at its other rates. Where a line still rises at the right edge, a verdict on who finds the "
            "zero-loss solution is one on the budget.",
        ),
        Caption(
            "single_seeds",
            "Single seeds",
            "Loss of single seeds at each optimiser's best rate. Triangles: where a descent is fastest. Grey: "
            "plateaus, where the loss falls slowly before or between descents.",
        ),
        Caption(
            "alignments",
            "Inner products, alignments and their bumps",
            "The sizes of inner products of learned and target columns, over the greatest at the end, and |cos| below "
            "them, at each optimiser's best rate; solid: a with u, dashed: b with v, one colour a pair (at most "
            f"{len(COLOURS)} pairs). Triangles: bumps, maxima that stand out by the threshold.",
        ),
        Caption(
            "bumps",
            "Bumps: Adam minus SGD",
            "Difference in bumps a pair between Adam and SGD on the same seeds, with 95 % intervals, by rank, "
            "definition and threshold, at each optimiser's best rate and at rates with equal median half-times. Above "
            "zero: more bumps with Adam.",
        ),
        Caption(
            "bumps_by_rate",
            "Bumps by learning rate",
            "Mean number of bumps a pair with 95 % intervals, over the seeds that do not diverge, by rate and "
            "rank. Points are shifted sideways to keep them apart; the axis is linear up to 1.",
        ),
    )
}


def draw(run: FinishedRun) -> dict[Caption, Callable[[], Figure]]:
    """What draws every figure that the run's cells allow.

    Args:
      run: the finished run; its table has `(rows,)` columns.

    Returns:
      Functions that make the figures, in the order of the page.
    """
    ranks, losses = run.values("rank"), run.values("loss")
    paired = [rank for rank in ranks if 2 <= rank <= ALIGNMENT_RANK]
    shown = "cross_entropy" if "cross_entropy" in losses else losses[0]
    rank = 2 if 2 in ranks else ranks[0]
    makers: dict[str, Callable[[], Figure]] = {
        "loss": lambda: loss_bands(run),
        "plateau_counts": lambda: plateau_counts(run, shown, rank),
        "zero_loss": lambda: zero_loss_figure(run),
        "zero_loss_over_steps": lambda: zero_loss_over_steps(run),
    }
    if run.folder.config["keep_curves"]:
        makers["single_seeds"] = lambda: single_seeds(run, shown, rank)
    if run.folder.config["keep_curves"] and paired:
        makers["alignments"] = lambda: alignment_curves(run, paired[0], losses[0])
    if {"sgd", "adam"} <= set(run.values("optimizer")) and min(ranks) <= ALIGNMENT_RANK:
        makers |= {"bumps": lambda: bump_figure(run), "bumps_by_rate": lambda: bumps_by_rate(run)}
    return {_CAPTIONS[name]: make for name, make in makers.items()}


def make_report(run: FinishedRun) -> Report:
    """What the page shows besides the claims.

    Args:
      run: the finished run.

    Returns:
      The `Report`.
    """
    rows = []
    for index, cell in enumerate(run.cells):
        mine = run.rows(index)
        rows.append(
            cell.study.settings()
            | {
                "rates": ", ".join(f"{rate:g}" for rate in mine.unique("learning_rate")),
                "best": f"{shown_rate(mine):g}",
            }
            | {"seeds": cell.seeds, "steps": cell.steps, "diverged": f"{int(mine['diverged'].sum())} of {len(mine)}"}
        )
    study, scale = run.study, dict(run.cells[0].sweep)["init_scale"][0]
    note = (
        f"A target C = U Vᵀ of side {study.n} ({run.target}) is learned as Z = A Bᵀ of the same rank. A and B start "
        f"with entries of standard deviation {scale:g}. SGD and Adam are paired: seed i has the same target and the "
        "same start under every optimiser, loss and rate of its rank."
    )
    return Report("S-curves of low-rank learning", draw(run), rows, [note])
