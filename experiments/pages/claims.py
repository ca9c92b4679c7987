# SPDX-License-Identifier: Apache-2.0
"""Claims on a page: their verdicts as a table, their evidence a section each, and all of it as rows of a CSV."""

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.pages.markdown import WIDTH, command, made, number, table, wrap
from jaxmyopia.claims.conditions import whole
from jaxmyopia.claims.judged import PART, Evidence, Judgement
from jaxmyopia.claims.verdicts import DECIDED
from jaxmyopia.engine.schema import built

BULLETS = 12  # pieces of evidence that a page shows of a claim; of more, it counts what came out
_ASIDE = ("not applicable", "not judged")


def verdict_table(claims: list[dict[str, Any]]) -> str:
    """The verdicts of a run as a Markdown table, a line a claim; an aside in brackets goes where a line is too long.

    A claim that depends on the condition says in how many of them it holds; so do others, beside their verdict. Claims
    for which the run has no evidence at all are left out.
    """
    lines = ["| claim | verdict, and where it holds |", "|---|---|"]
    for claim in (each for each in claims if each.get("evidence", True)):
        row = f"| {{}} | {_verdict(claim)} |"
        texts = claim["text"], re.sub(r" \([^)]*\)", "", claim["text"])
        fits = [text for text in texts if len(row.format(text)) <= WIDTH]
        lines.append(row.format(fits[0] if fits else textwrap.shorten(texts[1], WIDTH - len(row), placeholder=" …")))
    return "\n".join(lines)


def _verdict(claim: dict[str, Any]) -> str:
    counts, verdict = claim.get("conditions", {}).get("verdicts", {}), claim["verdict"]
    asked = sum(count for each, count in counts.items() if each not in _ASIDE)
    left = sum(count for each, count in counts.items() if each not in (*_ASIDE, *DECIDED))
    held = f"{counts.get('supported', 0)} of {asked}"
    told = f"**{held}**" if verdict == "depends on the condition" else f"**{verdict}**" + (f", {held}" if asked else "")
    return told + (f", {left} open" if left else "")


def evidence_list(claims: list[dict[str, Any]], manifest: dict[str, Any]) -> str:
    """The claims of a run with their evidence, a section each, and when and on what it was made; Markdown.

    Claims for which the run has no evidence at all are left out.

    Args:
      claims: entries of claims.json.
      manifest: of the run.

    Returns:
      Markdown text, no line of it longer than `WIDTH`.
    """
    cells = manifest["config"]["cells"]
    seeds = sorted({cell["seeds"] for cell in cells if not cell.get("control")}, reverse=True)
    told = f"{made(manifest)}, {manifest['seconds']:.0f} s, {' or '.join(map(str, seeds))} seeds a cell:"
    asked = [each for each in built(claims, list[Judgement]) if each.evidence]
    return "\n\n".join([wrap(told), command(manifest), *map(_section, asked)])


def evidence_rows(claims: list[dict[str, Any]]) -> str:
    """Every piece of evidence of some claims, entries of claims.json, as CSV: a row a piece, a column a setting."""
    judged = built(claims, list[Judgement])
    settings = dict.fromkeys(name for each in judged for piece in each.evidence for name in piece.condition)
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    ends = ("statistic", "asked", "estimate", "low", "high", "n", "holds", "p_value", "verdict")
    write.writerow(["claim", *settings, *ends])
    for each in judged:
        for piece in each.evidence:
            numbers = (piece.interval.estimate, piece.interval.low, piece.interval.high)
            write.writerow(
                [each.id, *(piece.condition.get(name, "") for name in settings), piece.statistic, piece.reference]
                + [f"{x:.6g}" for x in numbers]
                + [piece.interval.n, f"{piece.holds:.3g}", f"{piece.p_value:.3g}", piece.verdict]
            )
    return text.getvalue()


def evidence_grid(
    claims: list[dict[str, Any]], claim: str, where: Mapping[str, str], rows: Sequence[str], column: str
) -> str:
    """The estimates of a claim as a table of two settings, or more, in bold where it is supported.

    Args:
      claims: entries of claims.json.
      claim: its id.
      where: settings and the values that all cells share, as they are written.
      rows: settings that make the rows.
      column: the setting that makes the columns.

    Returns:
      Markdown; what was not asked, or not applicable, is left blank.

    Raises:
      ValueError: if nothing was asked there, or a cell holds more than one piece.
    """
    (judged,) = (each for each in built(claims, list[Judgement]) if each.id == claim)
    asked = [({name: _shown(value) for name, value in each.condition.items()}, each) for each in judged.evidence]
    asked = [(at, each) for at, each in asked if all(at.get(name) == value for name, value in where.items())]
    columns = list(dict.fromkeys(at[column] for at, _ in asked))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for at, each in asked:
        line = lines.setdefault(tuple(at[name] for name in rows), {})
        if at[column] in line:
            raise ValueError(f"{claim}: several pieces at {at}")
        line[at[column]] = "" if each.verdict in _ASIDE else _in_cell(each)
    if not lines:
        raise ValueError(f"{claim}: nothing was asked where {dict(where)}")
    head = [f"{', '.join(rows)}; {column}:", *columns]
    return table([head, *([", ".join(name), *(line.get(at, "") for at in columns)] for name, line in lines.items())])


def _in_cell(piece: Evidence) -> str:
    interval = piece.interval
    estimate, low, high = map(_short, (interval.estimate, interval.low, interval.high))
    text = f"{estimate} [{low}, {high}]"
    return f"**{text}**" if piece.verdict == "supported" else text


def _short(value: float) -> str:
    """A number in two digits, or so many that few tables are too wide, with a minus that does not break."""
    text = f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}"
    return re.sub(r"^(-?)0\.", r"\1.", text).replace("-.00", ".00").replace("-", "−")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _section(claim: Judgement) -> str:
    """A heading, the verdict, what was found in a sentence, and the evidence below what it measures."""
    parts = [f"## {claim.text}", wrap(f"**{claim.verdict}**: {claim.headline or claim.reason}.")]
    many = len(claim.evidence) > BULLETS
    if many:
        parts.append(_counts(whole(claim.evidence)))
    for what, pieces in _by_statistic(claim.evidence).items():
        parts += [wrap(what), "\n".join(map(_bullet, _ends(pieces) if many else pieces))]
    controls = "; ".join(f"{each.name} ({each.came_out})" for each in claim.controls)
    return "\n\n".join([*parts, *([wrap(f"Controls: {controls}.")] if controls else [])])


def _by_statistic(evidence: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    groups: dict[str, list[Evidence]] = {}
    for piece in evidence:
        what = f"{piece.statistic} ({piece.reference}):" if piece.statistic else "Where it could not be asked:"
        groups.setdefault(what[0].upper() + what[1:], []).append(piece)
    return groups


def _ends(pieces: Sequence[Evidence]) -> list[Evidence]:
    """Of many pieces those with the least and the greatest estimate; the first few where there are no numbers."""
    told = sorted((each for each in pieces if each.verdict not in _ASIDE), key=lambda each: each.interval.estimate)
    return [told[0], told[-1]] if len(told) > 1 else [*told, *pieces][:2]


def _counts(conditions: Sequence[Evidence]) -> str:
    """How many conditions have each verdict: all of them, then by every setting that is varied."""
    verdicts = sorted({each.verdict for each in conditions}, key=lambda v: (v in _ASIDE, v != "supported", v))
    settings: dict[str, dict[object, None]] = {}
    for each in conditions:
        for name, value in each.condition.items():
            if name != PART:
                settings.setdefault(name, {})[value] = None
    rows = [["where", *verdicts], ["everywhere", *_each(conditions, verdicts)]]
    for name, values in settings.items():
        for value in values if 1 < len(values) <= BULLETS else ():
            mine = [each for each in conditions if each.condition.get(name) == value]
            rows.append(
                [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}", *_each(mine, verdicts)]
            )
    return table(rows)


def _each(conditions: Sequence[Evidence], verdicts: Sequence[str]) -> list[str]:
    return [str(sum(each.verdict == verdict for each in conditions) or "") for verdict in verdicts]


def _bullet(piece: Evidence) -> str:
    interval = piece.interval
    if piece.verdict in _ASIDE:
        return wrap(f"- {piece.name}: {piece.verdict}, {piece.reason}", indent="  ")
    ends = [number(end, 2) for end in (interval.low, interval.high)]
    known = "undefined" if "–" in ends or "nan" in ends else ", ".join(ends)
    numbers = f"{number(interval.estimate, 2)} [{known}], n = {interval.n}"
    return wrap(f"- {piece.name}: {numbers}, {piece.verdict}", indent="  ")
