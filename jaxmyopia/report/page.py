# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one offline file, claims first; and the claims as text, HTML and JSON."""

import base64
import dataclasses
import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from matplotlib.figure import Figure

from jaxmyopia.claims.verdicts import Evidence, Judgement
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import Caption, save

_WIDTH = 80  # columns of the table of claims in a terminal


def _wrap(text: str, width: int = _WIDTH, **indent: Any) -> list[str]:
    """Lines of text; names with hyphens stay whole, so that they can be searched for."""
    return textwrap.wrap(text, width, break_on_hyphens=False, **indent)


@dataclasses.dataclass(frozen=True)
class Report:
    """What a page shows besides the claims: its `title`; `figures`, each with what to see in it; `rows` of the last
    table, of one cell each, by default what the run's folder says; and `notes`, paragraphs above the claims."""

    title: str
    figures: Mapping[Caption, Figure] = dataclasses.field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()
    notes: Sequence[str] = ()


@functools.cache
def _template(name: str) -> jinja2.Template:
    text = resources.files("jaxmyopia.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")
    made = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return made.from_string(text)


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


def claims_html(judgements: Sequence[Judgement], figure: str = "") -> str:
    """Judged claims as HTML for a notebook, with an SVG `figure` below."""
    return _template("claims.html").render(claims=judgements, figure=figure)


def write_page(
    folder: RunFolder,
    report: Report,
    judgements: Sequence[Judgement],
    receipt: Callable[[Sequence[int]], str] | None = None,
    *,
    png: bool = False,
) -> None:
    """Saves the figures and writes `report.html`: claims, figures, what was run.

    Args:
      folder: the run's folder, with its manifest.
      report: what to show besides the claims.
      judgements: judged claims.
      receipt: of some cells' numbers, how the curve of any one seed of theirs is made again.
      png: whether figures are saved as PNG too.
    """
    texts = {caption.name: save(folder, caption.name, figure, png=png) for caption, figure in report.figures.items()}
    pictures = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    rows = report.rows or [{"cell": each.name, "seeds": each.seeds, "steps": each.steps} for each in folder.cells()]
    html = _template("page.html").render(
        title=report.title, claims=judgements, captions=list(report.figures), pictures=pictures, rows=rows,
        notes=report.notes, manifest=folder.manifest, receipt=receipt,
    )  # fmt: skip
    folder.write_text("report.html", html)
