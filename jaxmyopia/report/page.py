# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one offline file, claims first; and the claims as HTML."""

import base64
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import TypeAlias

import jinja2
from matplotlib.figure import Figure

from jaxmyopia.artist import Artist
from jaxmyopia.claims.judged import Judgement
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.rounds import told
from jaxmyopia.report.figures import Caption, save_png

Drawable: TypeAlias = Figure | Callable[[], Figure]


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
) -> None:
    """Saves the figures and writes `report.html`: claims, figures, what was run.

    Args:
      folder: the run's folder, with its manifest.
      report: what to show besides the claims.
      judgements: judged claims.
      receipt: of some cells' numbers, how the curve of any one seed of theirs is made again.
      artist: who draws the figures; by default this process alone.
      png: whether figures are saved as PNG too.
    """
    figures: dict[str, Drawable] = {caption.name: figure for caption, figure in report.figures.items()}
    for name, given in figures.items() if png else ():
        figures[name] = figure = given() if callable(given) else given
        save_png(folder, name, figure)
    texts = (artist or Artist(help=False)).draw(figures)
    for name, text in texts.items():
        folder.write_text(f"figures/{name}.svg", text)
    pictures = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    rows = report.rows or [{"cell": each.name, "seeds": each.seeds, "steps": each.steps} for each in folder.cells()]
    html = _template("page.html").render(
        title=report.title, claims=judgements, captions=list(report.figures), pictures=pictures, rows=rows,
        notes=report.notes, manifest=folder.manifest, told=told(folder.manifest), receipt=receipt,
    )  # fmt: skip
    folder.write_text("report.html", html)
