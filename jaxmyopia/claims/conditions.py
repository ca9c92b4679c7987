# SPDX-License-Identifier: Apache-2.0
"""A claim over all its conditions: corrected for their number, counted, and said in one sentence.

Of m conditions let p be one minus the greatest level at which each is decided. Benjamini and Hochberg's step-up rule
takes the greatest R such that R of them have p <= R q / m, at q = 5 %; intervals at the level 1 - R q / m then hold the
false coverage among the decided at q (Benjamini and Yekutieli 2005), so that at most one verdict in twenty is expected
to be wrong. The verdicts are those of these intervals.
"""

import dataclasses
from collections.abc import Sequence

from jaxmyopia.claims.judged import PART, Condition, Conditions, Evidence, Value
from jaxmyopia.claims.regions import headline, separate
from jaxmyopia.claims.verdicts import DECIDED, GRID_SHARE, Verdict

RATE = 0.05  # of false discoveries
_ASIDE = ("not applicable", "not judged")


def split(pieces: Sequence[Evidence], over: Sequence[str] = ()) -> list[Evidence]:
    """Each piece under each condition by itself, those named in `over` averaged."""
    found = []
    for piece in pieces:
        parts = piece.asked.split(over) if piece.asked else []
        if len(parts) < 2:
            found.append(piece)
            continue
        for part in parts:
            found.append(part.judged().at(named(piece.name, part.condition), **(piece.condition | part.condition)))
    return found


def named(name: str, condition: Condition) -> str:
    """A condition in a few words, after the name of what was split."""
    words = [_words(key, value) for key, value in condition.items()]
    return ", ".join([*([name] if name else []), *words])


def _words(key: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    return f"{key} {value}" if isinstance(value, bool) else f"{key} {value:g}"


def corrected(pieces: Sequence[Evidence]) -> tuple[list[Evidence], float]:
    """The pieces judged by intervals that allow for their number, and the level of those."""
    p_values = sorted(piece.p_value for piece in pieces if piece.verdict not in _ASIDE)
    found = max((k for k, p in enumerate(p_values, 1) if p <= k * RATE / len(p_values)), default=1)
    level = 1 - RATE * found / max(len(p_values), 1)
    return [_again(piece, level) for piece in pieces], level


def _again(piece: Evidence, level: float) -> Evidence:
    return piece.asked.judged(level).at(piece.name, **piece.condition) if piece.asked and level > 0.95 else piece


def whole(pieces: Sequence[Evidence]) -> list[Evidence]:
    """One piece for each condition: parts of a sentence, which differ in `PART` alone, hold there if all of them do.

    If one does not, that decides; if one cannot be told, nothing is.
    """
    groups: dict[tuple[object, ...], list[Evidence]] = {}
    for place, piece in enumerate(pieces):
        rest = tuple(sorted((name, str(value)) for name, value in piece.condition.items() if name != PART))
        groups.setdefault(rest if PART in piece.condition else (place,), []).append(piece)
    parts = {piece.condition.get(PART) for piece in pieces if PART in piece.condition}
    return [_together(group, parts) for group in groups.values()]


def _together(group: Sequence[Evidence], parts: set[Value | None]) -> Evidence:
    piece = min(group, key=_order)
    lacking = PART in piece.condition and {each.condition[PART] for each in group} != parts
    if piece.verdict == "supported" and lacking:
        return dataclasses.replace(piece, verdict="inconclusive", reason="a part of the sentence could not be asked")
    return piece


def _order(piece: Evidence) -> int:
    """Which part decides: one that fails, then one that could not be asked, one that is open, one that holds."""
    if piece.verdict in DECIDED:
        return 3 if piece.verdict == "supported" else 0
    return 1 if piece.verdict in _ASIDE else 2


def combine(pieces: Sequence[Evidence]) -> tuple[Verdict, str]:
    """The verdict of a claim by those of its conditions.

    All conditions that are decided must agree, and they must be 80 % of those to which the claim applies.

    Args:
      pieces: judged; none means that the run does not hold what the claim needs.

    Returns:
      The verdict and its reason.
    """
    if not pieces:
        return "not judged", "the run does not hold the cells that this claim needs"
    asked = [piece for piece in pieces if piece.verdict not in _ASIDE]
    reason = "; ".join(f"{piece.name}: {piece.reason}" if piece.name else piece.reason for piece in pieces[:12])
    if not asked:
        return ("not applicable" if any(p.verdict == "not applicable" for p in pieces) else "not judged"), reason
    decided = [piece.verdict for piece in asked if piece.verdict in DECIDED]
    if len(set(decided)) > 1:
        return "depends on the condition", reason
    enough = len(decided) >= GRID_SHARE * len(asked)
    return (decided[0] if enough and decided else "inconclusive"), reason


def summarise(pieces: Sequence[Evidence], level: float) -> tuple[str, Conditions]:
    """The headline of a claim, and its conditions.

    Args:
      pieces: judged, one a condition.
      level: of their intervals.

    Returns:
      A sentence, and the `Conditions`.
    """
    verdicts, conditions = [piece.verdict for piece in pieces], [_told(piece) for piece in pieces]
    decided = [(at, verdict) for at, verdict in zip(conditions, verdicts, strict=True) if verdict in DECIDED]
    rule = separate([at for at, _ in decided], [verdict == "supported" for _, verdict in decided])
    counts: dict[str, int] = {verdict: verdicts.count(verdict) for verdict in verdicts}
    settings = tuple(dict.fromkeys(name for at in conditions for name in at))
    told = Conditions(settings, counts, level, rule.text if rule else "", rule.misplaced if rule else 0)
    return headline(verdicts, conditions), told


def _told(piece: Evidence) -> Condition:
    condition = {name: value for name, value in piece.condition.items() if name != PART}
    return condition or ({"piece": piece.name} if piece.name else {})
