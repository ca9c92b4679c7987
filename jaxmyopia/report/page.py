# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one offline file, claims first; and the claims as HTML."""

import base64
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources

import jinja2

from jaxmyopia.artist import Artist
from jaxmyopia.claims.judged import Judgement
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.rounds import told
from jaxmyopia.report.figures import Caption, Drawable, save_png
from jaxmyopia.report.pictures import claim_pictures, joint_pictures, specification_pictures


@dataclasses.dataclass(frozen=True)
class Report:
    """What a page shows besides the claims: its `title`; `figures`, each with what to see in it, or functions that make
    them, so that one is drawn while the next is made; `rows` of the last table, of one cell each, by default what the
    run's folder says; and `notes`, paragraphs above the claims."""

    title: str
    figures: Mapping[Caption, Drawable] = dataclasses.field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()
    notes: Sequence[str] = ()


@functools.cache
def _template(name: str) -> jinja2.Template:
    text = resources.files("jaxmyopia.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")
    made = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return made.from_string(text)


def _percent(share: float | None) -> str:
    return "" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def claims_html(judgements: Sequence[Judgement], figure: str = "") -> str:
    """Judged claims as HTML for a notebook, with an SVG `figure` below."""
    return _template("claims.html").render(claims=judgements, figure=figure)


def write_page(
    folder: RunFolder,
    report: Report,
    judgements: Sequence[Judgement],
    receipt: Callable[[Sequence[int]], str] | None = None,
    artist: Artist | None = None,
    *,
    png: bool = False,
    registration: str = "",
) -> None:
    """Saves the figures and writes `report.html`: claims, figures, what was run.

    Args:
      folder: the run's folder, with its manifest.
      report: what to show besides the claims.
      judgements: judged claims.
      receipt: of some cells' numbers, how the curve of any one seed of theirs is made again.
      artist: who draws the figures; by default this process alone.
      png: whether figures are saved as PNG too.
      registration: whether the claims were registered, in a line.
    """
    of_claims = {each.id: claim_pictures(each) for each in judgements}
    specified = {each.id: specification_pictures(each) for each in judgements}
    shown = {**joint_pictures(judgements), **report.figures}
    figures: dict[str, Drawable] = {}
    for drawn in (shown, *of_claims.values(), *specified.values()):
        figures |= {caption.name: figure for caption, figure in drawn.items()}
    for name, given in figures.items() if png else ():
        figures[name] = figure = given() if callable(given) else given
        save_png(folder, name, figure)
    texts = (artist or Artist(help=False)).draw(figures)
    for name, text in texts.items():
        folder.write_text(f"figures/{name}.svg", text)
    pictures = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    rows = report.rows or [{"cell": each.name, "seeds": each.seeds, "steps": each.steps} for each in folder.cells()]
    html = _template("page.html").render(
        title=report.title, claims=judgements, captions=list(shown), pictures=pictures, rows=rows,
        pictured=of_claims, specified=specified, percent=_percent, notes=report.notes, manifest=folder.manifest,
        receipt=receipt, registration=registration, told=told(folder.manifest),
    )  # fmt: skip
    folder.write_text("report.html", html)
