# SPDX-License-Identifier: Apache-2.0
"""The figure that any claims have: each piece of evidence with its interval, against what it is held against."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.claims.judged import Evidence, Judgement
from jaxmyopia.report.figures import Caption, draw_intervals, panels

# After Okabe and Ito, some darkened so that white reads on them; grey where nothing was decided.
VERDICT_COLOURS = {
    "supported": "#007a5a",
    "contradicted": "#c24e00",
    "no difference": "#0072b2",
    "real but small": "#7cc4ee",
    "depends on the threshold": "#e69f00",
    "depends on the condition": "#a06e8c",
    "inconclusive": "#8f8f8f",
    "not applicable": "#c4c4c4",
    "not judged": "#e6e6e6",
}
_UNDECIDED = "0.45"
_ASIDE = ("not applicable", "not judged")  # open points
CAPTION = Caption(
    "claims",
    "Evidence",
    "One panel a claim, one line a piece of evidence: the estimate with its interval, in the colour of its verdict. "
    "Dashed: what it is held against; grey: what is too small to count.",
)


def in_words(piece: Evidence) -> str:
    """A piece of evidence for a reader who points at it."""
    lost = f", {piece.diverged} diverged" if piece.diverged else ""
    return f"{piece.name}: {piece.interval}, n = {piece.interval.n}{lost}, {piece.verdict}"


def forest(judgements: Sequence[Judgement]) -> Figure:
    """Draws the evidence for claims.

    Args:
      judgements: judged claims; those without evidence are left out.

    Returns:
      The figure.
    """
    shown = [each for each in judgements if each.evidence]
    sizes = [len(each.evidence) for each in shown] or [1]
    figure, axes = panels(
        len(sizes),
        1,
        height=0.5 + 0.22 * float(np.mean(sizes)),
        gridspec_kw={"height_ratios": [1.5 + s for s in sizes]},
    )
    for each, panel in zip(shown, axes[:, 0], strict=False):
        _claim(panel, each, titled=len(shown) > 1)
    return figure


def _claim(axes: Axes, judgement: Judgement, *, titled: bool) -> None:
    pieces = judgement.evidence[::-1]
    for place, piece in enumerate(pieces):
        colour = _UNDECIDED if piece.verdict in _ASIDE else VERDICT_COLOURS.get(piece.verdict, _UNDECIDED)
        look = {"marker": "o", "mfc": "w" if piece.verdict in _ASIDE else colour}
        draw_intervals(axes, [place], [piece.interval], colour, sideways=True, hints=[in_words(piece)], **look)
        _reference(axes, piece, place)
    axes.set_yticks(range(len(pieces)), [piece.name for piece in pieces])
    axes.set(ylim=(-0.6, len(pieces) - 0.4))
    if titled:
        title = f"{judgement.text} — {judgement.verdict}"
        axes.set_title(title if len(title) < 110 else f"{judgement.text[:85]}… — {judgement.verdict}", loc="left")


def _reference(axes: Axes, piece: Evidence, place: int) -> None:
    low, high = place - 0.4, place + 0.4
    if piece.least:
        axes.fill_betweenx([low, high], piece.null - piece.least, piece.null + piece.least, color="0.88", zorder=0)
    axes.plot([piece.null, piece.null], [low, high], color="0.3", lw=0.8, ls="--", zorder=1)
