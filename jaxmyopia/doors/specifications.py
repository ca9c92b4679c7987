# SPDX-License-Identifier: Apache-2.0
"""Judged claims as rows, one a specification: a condition under one choice of thresholds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmyopia.claims.judged import Evidence, Judgement
from jaxmyopia.stats.intervals import Interval

# As R's broom names them, which specr and its like look for.
_NUMBERS = ("estimate", "conf.low", "conf.high", "seeds", "p.value")
_FIRST, _LAST = ("claim", "statistic", "null"), ("main", *_NUMBERS, "verdict")


def specification_columns(judgements: Sequence[Judgement]) -> dict[str, list[Any]]:
    """Every specification of some claims: columns `(rows,)`, None where there is nothing.

    Args:
      judgements: the claims.

    Returns:
      `claim`, `statistic` and `null`; a column for each setting of the conditions and each threshold; `main`, whether
      the thresholds are the main ones; `estimate`, `conf.low`, `conf.high`; how many `seeds`, and `p.value`, two-sided
      and against the null, where they are known; `verdict`, of the condition. A setting of one of these names is called
      `setting.NAME`.
    """
    rows = [row for each in judgements for piece in each.evidence for row in _rows(each.id, piece)]
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in (*_FIRST, *_LAST)]
    return {name: [row.get(name) for row in rows] for name in (*_FIRST, *names, *_LAST)}


def _rows(claim: str, piece: Evidence) -> list[dict[str, Any]]:
    shared = {"claim": claim, "statistic": piece.statistic, "null": piece.null, **_plain(piece.condition)}
    main = piece.interval
    points = [
        (_plain(point.thresholds), Interval(point.estimate, point.low, point.high, main.n, "")) for point in piece.grid
    ]
    found = []
    for place, (thresholds, interval) in enumerate(points or [({}, main)]):
        numbers = (interval.estimate, interval.low, interval.high, *_seeds_and_p(piece, place))
        said = dict(zip(_NUMBERS, numbers, strict=True)) | {"main": place == 0, "verdict": piece.verdict}
        found.append(shared | thresholds | said)
    return found


def _seeds_and_p(piece: Evidence, place: int) -> tuple[int | None, float | None]:
    """How many seeds a specification rests on, and its p-value; of what was read back, those of the main one alone."""
    if piece.verdict in ("not applicable", "not judged") and not piece.interval.n:
        return None, None
    if piece.asked is not None:
        estimate = piece.asked.quantity.estimates[place]
        known = not math.isnan(estimate.interval().low)
        return estimate.n, estimate.p_value(piece.null) if known else None
    plain = place == 0 and piece.direction != 0 and piece.least == 0 and not math.isnan(piece.interval.low)
    return (piece.interval.n if place == 0 else None), (piece.p_value if plain else None)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that a cell of a table can hold, what is several written as one, by names that nothing else has."""
    several = lambda value: isinstance(value, list | tuple)
    own = lambda name: f"setting.{name}" if name in (*_FIRST, *_LAST) else name
    return {own(name): " ".join(map(str, value)) if several(value) else value for name, value in values.items()}
