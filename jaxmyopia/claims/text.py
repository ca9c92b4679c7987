# SPDX-License-Identifier: Apache-2.0
"""Judged claims as JSON values, and as text for a terminal: what was found first, in a sentence."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from jaxmyopia.claims.judged import ControlResult, Evidence, Judgement
from jaxmyopia.claims.verdicts import MIN_SEEDS
from jaxmyopia.terminal import WIDTH, lines_of

_SHOWN = 6  # pieces of evidence a claim


def _plain(value: Any) -> Any:
    """Dataclasses as dicts of the fields that are kept."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field for field in dataclasses.fields(value) if field.metadata.get("kept", True))
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def claims_json(judgements: Sequence[Judgement], **where: object) -> list[dict[str, object]]:
    """Judged claims as JSON values, one dict each; `where`: what they were judged on, put into each."""
    return [{"id": each.id, **where, **_plain(each)} for each in judgements]


def claims_text(judgements: Sequence[Judgement]) -> str:
    """Judged claims as text: the verdict and the claim, what was found, then one line a piece of evidence.

    Args:
      judgements: the claims.

    Returns:
      The table, at most 80 columns wide but for names that are longer.
    """
    lines = []
    for each in judgements:
        lines += lines_of(f"{each.verdict.upper()}  {each.text} ({each.id})", subsequent_indent="    ")
        lines += lines_of(each.headline or each.reason, initial_indent="  ", subsequent_indent="    ")
        lines += [f"    {line}" for piece in each.evidence[:_SHOWN] for line in _piece_text(piece)]
        left = len(each.evidence) - _SHOWN
        lines += [f"    and {left} more conditions: see the page"] if left > 0 else []
        lines += [line for control in each.controls for line in _control_text(control)]
    return "\n".join(lines)


def _piece_text(piece: Evidence) -> list[str]:
    lost = f", {piece.diverged} diverged" if piece.diverged else ""
    grid = f", grid {piece.holds:.0%}" if piece.grid else ""
    seen = piece.by_chance
    tries = f", seen in five tries: {seen:.0%}" if seen is not None else ""
    text = f"{piece.interval}, asked: {piece.reference}, n = {piece.interval.n}{grid}{lost}{tries}"
    refused = piece.asked is not None and piece.asked.refused is not None
    open_ends = math.isnan(piece.interval.low) or piece.interval.n < MIN_SEEDS
    if piece.verdict == "inconclusive" and (refused or open_ends):
        text += f": {piece.reason}"
    if piece.verdict in ("not applicable", "not judged"):
        text = piece.reason
    return lines_of(f"{piece.verdict:<13} {piece.name}: {text}", WIDTH - 4, subsequent_indent=" " * 14)


def _control_text(control: ControlResult) -> list[str]:
    found = ", ".join(f"{name} {verdict}" for name, verdict in control.found.items())
    failed = control.came_out == "failed"
    text = f"CONTROL FAILED: {control.name} ({found})" if failed else f"control {control.came_out}: {control.name}"
    return lines_of(text, initial_indent="    ", subsequent_indent="      ")
