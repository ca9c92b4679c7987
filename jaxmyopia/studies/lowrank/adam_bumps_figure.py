# SPDX-License-Identifier: Apache-2.0
"""The figure of Adam's extra bumps against the ratio of rate to scale."""

import numpy as np

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, Caption, draw_intervals, panels, save
from jaxmyopia.stats.intervals import bca_mean
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.adam_bumps import HIGH, LOW, MARGIN, SCALES, excesses

CAPTION = Caption(
    name="excess",
    title="Bumps of Adam minus bumps of SGD, against the ratio of Adam's rate to the scale of the start",
    text="Square loss. Each colour is a scale; the points of one colour are Adam's rates. If the ratio is all that "
    "counts, the colours lie on one curve. Bars are 95 % intervals. Predicted: within the band left of the first line, "
    "above it right of the second.",
)


def plot_excess(folder: RunFolder, table: Trials, delta: float) -> None:
    """Draws the figure `excess`: a panel a rank, a colour a scale.

    Args:
      folder: of the run.
      table: of all cells, rows `(seeds * combinations,)` each.
      delta: the threshold of a bump.
    """
    ranks = table.unique("rank")
    figure, axes = panels(1, len(ranks), height=2.3, sharey=True)
    for ax, rank in zip(axes[0], ranks, strict=True):
        found = excesses(table, rank, delta)
        for scale, colour in zip(SCALES, COLOURS, strict=False):
            mine = [each for each in found if each.init_scale == scale]
            rng = np.random.default_rng([rank, SCALES.index(scale)])
            intervals = [bca_mean(each.difference[np.isfinite(each.difference)], rng=rng) for each in mine]
            draw_intervals(ax, [each.ratio for each in mine], intervals, colour, ls="-", marker="o", label=f"{scale:g}")
        ax.axhspan(-MARGIN, MARGIN, color="0.9", zorder=0)
        for ratio in (LOW, HIGH):
            ax.axvline(ratio, color="0.5", lw=0.7, ls=":")
        ax.set(title=f"rank {rank}", xscale="log", xlabel="Adam's rate / scale of the start")
    axes[0, 0].set_ylabel("bumps a pair, Adam minus SGD")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="scale of the start", loc="outside right center")
    save(folder, CAPTION.name, figure)
