# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one offline file, claims first; and the claims as text and JSON."""

import base64
import dataclasses
from collections.abc import Sequence
from importlib import resources

import jinja2

from jaxmyopia.claims.verdicts import Claim
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import Caption

_ENVIRONMENT = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
)


def claims_json(claims: Sequence[Claim], **where: object) -> list[dict[str, object]]:
    """Claims as JSON values.

    Args:
      claims: `(m,)`.
      **where: what they were judged on (say, the target), put into each.

    Returns:
      One dict a claim.
    """
    return [{"id": claim.id, **where, **dataclasses.asdict(claim)} for claim in claims]


def claims_text(claims: Sequence[Claim]) -> str:
    """Claims as a table of text, one line a piece of evidence: verdict, estimate, interval, seeds.

    Args:
      claims: `(m,)`.

    Returns:
      The table.
    """
    lines = [f"{'claim':<24}{'verdict':<14}{'evidence'}"]
    for claim in claims:
        lines.append(f"{claim.id:<24}{claim.verdict:<14}{claim.text}")
        lines += [
            f"{'':<24}{piece.verdict:<14}{piece.name}: {piece.interval} {piece.reference}, "
            f"n = {piece.interval.n}, grid {piece.holds:.0%}"
            + (f", {piece.diverged} diverged" if piece.diverged else "")
            for piece in claim.evidence
        ]
    return "\n".join(lines)


def write_page(
    folder: RunFolder,
    *,
    title: str,
    claims: Sequence[Claim],
    captions: Sequence[Caption],
    rows: Sequence[dict[str, object]],
    notes: Sequence[str],
) -> None:
    """Writes `report.html`: claims, figures, what was run.

    Args:
      folder: the run's folder, with its figures and manifest.
      title: of the page.
      claims: judged claims, `(m,)`.
      captions: of the figures, `(figures,)`.
      rows: the cells as rows of the last table, `(cells,)`; each with the same keys.
      notes: paragraphs above the claims, `(notes,)`.
    """
    template = resources.files("jaxmyopia.report").joinpath("templates/page.html").read_text(encoding="utf-8")
    pictures = {
        caption.name: base64.b64encode((folder.path / "figures" / f"{caption.name}.svg").read_bytes()).decode()
        for caption in captions
    }
    html = _ENVIRONMENT.from_string(template).render(
        title=title,
        claims=claims,
        captions=captions,
        pictures=pictures,
        rows=rows,
        notes=notes,
        manifest=folder.manifest,
    )
    folder.write_text("report.html", html)
