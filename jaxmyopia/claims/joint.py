# SPDX-License-Identifier: Apache-2.0
"""Where several claims hold at once: at each combination of settings that they share, which can be seen there.

A claim with settings of its own, such as a learning rate, holds where it does at some of their combinations; whoever
saw it needs one alone. Its pieces that differ in `PART` alone are parts of its sentence, and must hold together there.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from jaxmyopia.claims.judged import PART, Condition, Evidence, Judgement, Value
from jaxmyopia.claims.regions import separate

_MOST = 0.75  # of the claims have the settings that are shared

Shared = tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Joint:
    """Several claims at the conditions that they share: at each, which of them hold (by id); and the `headline`."""

    headline: str
    conditions: tuple[tuple[Condition, dict[str, bool]], ...]


def joint(judgements: Sequence[Judgement], by: Sequence[str] = ()) -> Joint | None:
    """Where several claims hold at once, of those that were asked there.

    Args:
      judgements: those with several conditions count.
      by: the settings that are shared; by default those that three claims of four have. A claim that was not asked by
        one of them holds at all of its values, or at none.

    Returns:
      The `Joint`; None unless two such claims share a setting.
    """
    several = [each for each in judgements if len(each.evidence) > 1]
    shared = list(by) or _of_most(several)
    if len(several) < 2 or not shared:
        return None
    values = {name: _values(several, name) for name in shared}
    if not all(values.values()):
        return None
    holds: dict[Shared, dict[str, bool]] = {at: {} for at in itertools.product(*values.values())}
    for each in several:
        for at, held in _held(each, values):
            holds[at][each.id] = holds[at].get(each.id, False) or held
    asked = [(dict(zip(shared, at, strict=True)), held) for at, held in holds.items() if held]
    return Joint(_headline(len(several), asked), tuple(asked))


def _of_most(judgements: Sequence[Judgement]) -> list[str]:
    """The settings that all pieces of most claims have, but for those that could not be asked."""
    found: list[set[str]] = []
    for each in judgements:
        asked = [set(piece.condition) for piece in each.evidence if piece.verdict != "not applicable"]
        found += [set.intersection(*asked)] if asked else []
    names = dict.fromkeys(name for each in judgements for piece in each.evidence for name in piece.condition)
    shared = [name for name in names if sum(name in each for each in found) >= _MOST * len(found)]
    return [name for name in shared if name != PART] if found else []


def _values(judgements: Sequence[Judgement], name: str) -> list[Value]:
    found = (piece.condition[name] for each in judgements for piece in each.evidence if name in piece.condition)
    return list(dict.fromkeys(found))


def _held(judgement: Judgement, values: dict[str, list[Value]]) -> Iterator[tuple[Shared, bool]]:
    """The shared conditions at which a claim was asked, once for each combination of its own settings, and whether all
    parts of its sentence held."""
    groups: dict[tuple[tuple[str, Value], ...], list[Evidence]] = {}
    for piece in judgement.evidence:
        at = tuple(sorted((name, value) for name, value in piece.condition.items() if name != PART))
        groups.setdefault(at, []).append(piece)
    parts = {piece.condition.get(PART) for piece in judgement.evidence}
    for at, pieces in groups.items():
        fixed = dict(at)
        whole = {piece.condition.get(PART) for piece in pieces} == parts
        held = whole and all(piece.verdict == "supported" for piece in pieces)
        for place in itertools.product(*([fixed[name]] if name in fixed else values[name] for name in values)):
            yield place, held


def _headline(claims: int, asked: Sequence[tuple[Condition, dict[str, bool]]]) -> str:
    every = [all(held.values()) for _, held in asked]
    rule = separate([at for at, _ in asked], every)
    where = f": where {rule.text}" + (f" ({rule.misplaced} misplaced)" if rule.misplaced else "") if rule else ""
    words = f"{claims} claims hold at once in {sum(every)} of the {len(every)} conditions that they share{where}"
    if any(every):
        return words
    most = max(sum(held.values()) for _, held in asked)
    best = [at for at, held in asked if sum(held.values()) == most]
    told = "; ".join(", ".join(f"{name} {value}" for name, value in at.items()) for at in best[:3])
    more = f" and {len(best) - 3} more" if len(best) > 3 else ""
    return f"{words}; at most {most} do ({told}{more})"
