# SPDX-License-Identifier: Apache-2.0
"""Tables of the myopia page: what the planner says without a run, and exposure and intensity of every leak."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.pages.markdown import table
from jaxmyopia.studies.epochs.arms import ARMS
from jaxmyopia.studies.epochs.calculations import penalty_borders, rows
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.planner import CREDITS

_TWIN = "twin's"  # as the claim's details name it
_PENALTY = "penalty in place of the cap"


def calculation_tables() -> str:
    """All calculations, a Markdown table each."""
    (_, *head), *found = rows()
    named: dict[str, list[Sequence[str]]] = {}
    for what, *line in found:
        named.setdefault(what, []).append(line)
    tables = {what: table([head, *lines]) for what, lines in named.items()} | {_PENALTY: _penalties()}
    return "\n\n".join(f"*{what[0].upper()}{what[1:]}.*\n\n{text}" for what, text in tables.items())


def _penalties() -> str:
    """Penalties below which the planner does more than to stop on arrival at K."""
    found = [["lure, credit", "runs to the end below", "to the last epoch's first step below", "a step past K below"]]
    for lure, credit in itertools.product(LURES, CREDITS):
        borders = penalty_borders(LURES[lure], credit, epoch_steps=4)
        found.append([f"{lure}, {credit} credit", *(f"{border:g}" for border in borders)])
    return table(found)


def exposure_table(claims: Sequence[Mapping[str, Any]]) -> str:
    """Steps acted in, lures a step with the leak, and lures a step of its twin, by leak, cutoff and arm.

    Args:
      claims: entries of claims.json, `blocks-leaks` among them.

    Returns:
      Markdown.
    """
    (told,) = (each["details"] for each in claims if each["id"] == "blocks-leaks")
    lines = [["leak", "K", *ARMS]]
    for leak, by_cutoff in told.items():
        lines += [[leak, cutoff, *(_cell(by_arm.get(name)) for name in ARMS)] for cutoff, by_arm in by_cutoff.items()]
    return table(lines)


def _cell(means: Mapping[str, float] | None) -> str:
    """Of an arm: steps / lures a step with the leak / and of the twin."""
    if means is None:
        return ""
    return f"{means['steps']:.1f} / {means['intensity']:.3f} / {means[_TWIN]:.3f}"
