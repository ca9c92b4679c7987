# SPDX-License-Identifier: Apache-2.0
"""The report of the plateaus experiment: which figures, what to see in them, and the page."""

import dataclasses
import itertools
from collections.abc import Callable

from matplotlib.figure import Figure

from jaxmyopia.report.figures import COLOURS, Caption
from jaxmyopia.report.page import Report
from jaxmyopia.studies.lowrank.alignment_figures import alignment_curves, bump_figure, bumps_by_scale
from jaxmyopia.studies.lowrank.figures import loss_bands, zero_loss_figure, zero_loss_over_steps
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK
from jaxmyopia.studies.lowrank.panels import panels
from jaxmyopia.studies.lowrank.plateau_figures import plateau_counts, single_seeds, two_plateaus_map

_CAPTIONS = (
    Caption(
        "two_plateaus",
        "Where two plateaus are seen",
        "Share of seeds with exactly two plateaus at rank 2, by learning rate and scale of the start. Grey: rates at "
        "which more than 5 % of the seeds that choose rates diverge or show upticks, or too few seeds to judge.",
    ),
    Caption(
        "plateau_counts",
        "How many plateaus",
        "Share of seeds with 0, 1, 2, ... plateaus at each optimiser's best rate, by scale of the start.",
    ),
    Caption(
        "loss",
        "Loss over seeds",
        "Median loss over seeds, relative to the first: thick at each optimiser's best rate, with the band between "
        "the 5th and the 95th percentile; thin at its other rates, which dashes "
        "tell apart. A line that leaves the panel upwards is a rate "
        "at which half of the seeds diverge.",
    ),
    Caption(
        "zero_loss",
        "Who finds the zero-loss solution",
        "Share of seeds whose final loss is below the threshold of zero, with Wilson's 95 % intervals, at each "
        "optimiser's best rate. A diverged seed counts as one that does not. Points are shifted sideways.",
    ),
    Caption(
        "zero_loss_over_steps",
        "How long it takes",
        "Share of seeds whose loss is below the threshold of zero, step by step: thick at each optimiser's best "
        "rate, thin at its other rates, which dashes tell apart. Where "
        "a line still rises at the right edge, a verdict on who finds the "
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
        "bumps_by_scale",
        "Bumps by scale of the start",
        "Mean number of bumps a pair with 95 % intervals, over the seeds that do not diverge, at each optimiser's best "
        "rate. Points are shifted sideways to keep them apart.",
    ),
)


def _at(name: str, scale: float) -> Caption:
    """The caption of a figure that shows one scale of the start, with a name of its own."""
    caption = _captions()[name]
    where = f"from a start of {scale:g}"
    return dataclasses.replace(caption, name=f"{name}_{scale:g}", title=f"{caption.title}, {where}")


def _captions() -> dict[str, Caption]:
    return {caption.name: caption for caption in _CAPTIONS}


def draw(run: FinishedRun) -> dict[Caption, Callable[[], Figure]]:
    """What draws every figure that the run's cells allow.

    Args:
      run: the finished run; its table has `(rows,)` columns.

    Returns:
      Functions that make the figures, in the order of the page.
    """
    ranks, losses, every = run.values("rank"), run.values("loss"), _captions()
    rank = 2 if 2 in ranks else ranks[0]
    loss = "cross_entropy" if "cross_entropy" in losses else losses[0]
    makers: dict[Caption, Callable[[], Figure]] = {
        every["two_plateaus"]: lambda: two_plateaus_map(run, rank),
        every["plateau_counts"]: lambda: plateau_counts(run, loss, rank),
        every["zero_loss"]: lambda: zero_loss_figure(run),
    }
    bumps = {"sgd", "adam"} <= set(run.values("optimizer")) and min(ranks) <= ALIGNMENT_RANK
    if bumps:
        makers[every["bumps_by_scale"]] = lambda: bumps_by_scale(run)
    scales = run.scales()
    for scale in dict.fromkeys((scales[0], scales[-1])):
        makers |= _at_scale(run, scale, loss, rank, bumps=bumps)
    return makers


def _at_scale(run: FinishedRun, scale: float, loss: str, rank: int, *, bumps: bool) -> dict[Caption, Callable]:
    """The figures that show one scale of the start."""
    makers: dict[str, Callable[[], Figure]] = {
        "loss": lambda: loss_bands(run, scale),
        "zero_loss_over_steps": lambda: zero_loss_over_steps(run, scale),
    }
    paired = [each for each in run.values("rank") if 2 <= each <= ALIGNMENT_RANK]
    if run.folder.config["keep_curves"]:
        makers["single_seeds"] = lambda: single_seeds(run, loss, rank, scale)
    if run.folder.config["keep_curves"] and paired:
        makers["alignments"] = lambda: alignment_curves(run, paired[0], run.values("loss")[0], scale)
    if bumps:
        makers["bumps"] = lambda: bump_figure(run, scale)
    return {_at(name, scale): make for name, make in makers.items()}


def make_report(run: FinishedRun) -> Report:
    """What the page shows besides the claims.

    Args:
      run: the finished run.

    Returns:
      The `Report`.
    """
    rows = []
    for target, rank, loss, optimizer in itertools.product(*map(run.values, ("target", "rank", "loss", "optimizer"))):
        at = {"target": target, "rank": rank, "loss": loss, "optimizer": optimizer}
        numbers = list(run.by_rate(**at).values())
        mine = run.table.matching(**at)
        if not numbers:
            continue
        rows.append(
            at
            | {
                "rates": ", ".join(f"{rate:g}" for rate in sorted(run.by_rate(**at))),
                "scales": ", ".join(f"{scale:g}" for scale in sorted(mine.unique("init_scale"), reverse=True)),
                "steps": run.cells[numbers[0]].steps,
                "trials": len(mine),
                "diverged": f"{int(mine['diverged'].sum())}",
            }
        )
    note = (
        f"A target C = U Vᵀ of side {run.study.n} ({run.target}) is learned as Z = A Bᵀ of the same rank. A and B "
        "start with entries of one standard deviation, the scale. Optimisers are paired: seed i has the same target "
        "and the same start under every optimiser, loss and rate of its rank."
    )
    return Report("S-curves of low-rank learning", draw(run), rows, [note], panels(run.thresholds.bump_delta))
