# SPDX-License-Identifier: Apache-2.0
"""Judged claims as JSON values, and as text for a terminal."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from jaxmyopia.claims.verdicts import Evidence, Judgement

_WIDTH = 80  # columns of the table of claims in a terminal


def _wrap(text: str, width: int = _WIDTH, **indent: Any) -> list[str]:
    """Lines of text; names with hyphens stay whole, so that they can be searched for."""
    return textwrap.wrap(text, width, break_on_hyphens=False, **indent)


def claims_json(judgements: Sequence[Judgement], **where: object) -> list[dict[str, object]]:
    """Judged claims as JSON values, one dict each; `where`: what they were judged on, put into each."""
    return [{"id": each.id, **where, **dataclasses.asdict(each)} for each in judgements]


def claims_text(judgements: Sequence[Judgement]) -> str:
    """Judged claims as text: the verdict and the claim, then one line a piece of evidence.

    Args:
      judgements: the claims.

    Returns:
      The table, at most 80 columns wide but for names that are longer.
    """
    lines = []
    for each in judgements:
        lines += _wrap(f"{each.verdict.upper()}  {each.text} ({each.id})", subsequent_indent="    ")
        lines += [f"    {line}" for piece in each.evidence for line in _piece_text(piece)]
        lines += [] if each.evidence else _wrap(each.reason, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _piece_text(piece: Evidence) -> list[str]:
    lost = f", {piece.diverged} diverged" if piece.diverged else ""
    grid = f", grid {piece.holds:.0%}" if piece.grid else ""
    text = f"{piece.interval} {piece.reference}, n = {piece.interval.n}{grid}{lost}"
    return _wrap(f"{piece.verdict:<13} {piece.name}: {text}", _WIDTH - 4, subsequent_indent=" " * 14)
