# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one offline file, claims first; and the claims as HTML."""

import base64
import dataclasses
import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2

from jaxmyopia.artist import Artist
from jaxmyopia.claims.judged import Judgement
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.rounds import told
from jaxmyopia.report.compact import compact
from jaxmyopia.report.explorer import RECORDS, Panel, explorer
from jaxmyopia.report.figures import Caption, Drawable, save_png
from jaxmyopia.report.hints import hints_of
from jaxmyopia.report.pictures import claim_pictures, joint_pictures, specification_pictures

_ROOM = 2_900_000  # characters of a page
_WIDE = 518.4  # points: of a figure as wide as a page
_OF_CURVES = 900_000  # those of them that curves may take
_DETAILED, _OF_MANY = 400, 15  # pieces of evidence on a page up to which all have details; else these of each claim


@dataclasses.dataclass(frozen=True)
class Report:
    """What a page shows besides the claims: its `title`; `figures`, each with what to see in it, or functions that make
    them, so that one is drawn while the next is made; `rows` of the last table, of one cell each, by default what the
    run's folder says; `notes`, paragraphs above the claims; and how the seed explorer draws kept curves: `panels`, by
    default the loss and whatever is small, and `names`, of settings whose values are numbers that stand for these."""

    title: str
    figures: Mapping[Caption, Drawable] = dataclasses.field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()
    notes: Sequence[str] = ()
    panels: Sequence[Panel] = ()
    names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


def _text(name: str) -> str:
    return resources.files("jaxmyopia.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")


@functools.cache
def _template(name: str) -> jinja2.Template:
    made = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return made.from_string(_text(name))


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
    texts = _drawn(folder, [shown, *of_claims.values(), *specified.values()], artist, png=png)
    rows = report.rows or [{"cell": each.name, "seeds": each.seeds, "steps": each.steps} for each in folder.cells()]
    render = functools.partial(
        _template("page.html").render,
        title=report.title, claims=judgements, captions=list(shown), rows=rows, detailed=_detailed(judgements),
        pictures={name: base64.b64encode(compact(text).encode()).decode() for name, text in texts.items()},
        hints={name: hints_of(text) for name, text in texts.items()},
        widths={name: _width(text) for name, text in texts.items()},
        pictured=of_claims, specified=specified, percent=_percent, notes=report.notes, manifest=folder.manifest,
        receipt=functools.cache(receipt) if receipt else None, registration=registration, told=told(folder.manifest),
    )  # fmt: skip
    html = render(**_seeds(None))
    if found := explorer(folder, report.panels, report.names, min(_OF_CURVES, _ROOM - len(html))):
        html = render(**_seeds(found))
    folder.write_text("report.html", html)


def _drawn(
    folder: RunFolder, groups: Sequence[Mapping[Caption, Drawable]], artist: Artist | None, *, png: bool
) -> dict[str, str]:
    """Saves figures; gives their texts by name."""
    figures: dict[str, Drawable] = {}
    for group in groups:
        figures |= {caption.name: figure for caption, figure in group.items()}
    for name, given in figures.items() if png else ():
        figures[name] = figure = given() if callable(given) else given
        save_png(folder, name, figure)
    texts = (artist or Artist(help=False)).draw(figures)
    for name, text in texts.items():
        folder.write_text(f"figures/{name}.svg", text)
    return texts


def _width(text: str) -> float:
    """How wide a figure is, as a share of the page."""
    found = re.search(r'width="([\d.]+)pt"', text)
    return min(round(float(found[1]) / _WIDE, 3), 1) if found else 1


def _detailed(judgements: Sequence[Judgement]) -> dict[str, int]:
    """How many pieces of each claim have their details on the page."""
    pieces = sum(len(each.evidence) for each in judgements)
    return {each.id: len(each.evidence) if pieces <= _DETAILED else _OF_MANY for each in judgements}


def _seeds(found: Mapping[str, Any] | None) -> dict[str, object]:
    """What the page's template needs for the seed explorer, styles and scripts."""
    scripts = ["page.js", *(["explorer.js"] if found else [])]
    held, kept = (found["held"], found["kept"]) if found else (0, 0)
    data = json.dumps(found, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c") if found else ""
    return {
        "explorer": data, "held": held, "kept": kept, "records": RECORDS,
        "style": _text("page.css"), "script": "\n".join(map(_text, scripts)),
    }  # fmt: skip
