# SPDX-License-Identifier: Apache-2.0
"""Which figures the claims of any run have on its page: evidence, map, specifications; made when they are drawn."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from jaxmyopia.claims.joint import joint
from jaxmyopia.claims.judged import Evidence, Judgement
from jaxmyopia.claims.specifications import all_together
from jaxmyopia.report.claim_figures import forest
from jaxmyopia.report.figures import Caption, Drawable
from jaxmyopia.report.map_figures import (
    JOINT_CAPTION,
    claim_map,
    curve_caption,
    joint_map,
    map_caption,
    specification_curve,
)

_LINES = 30  # of a forest; more are read off the map
_CELLS = 4  # of a map, at least
_POINTS = (4, 240)  # of a specification curve, the fewest and the most

Pictures = Mapping[Caption, Drawable]


def claim_pictures(judgement: Judgement) -> Pictures:
    """A claim's evidence line by line, and its map where it has several settings."""
    found: dict[Caption, Drawable] = {}
    pieces = judgement.evidence
    if not any(np.isfinite(piece.interval.estimate) for piece in pieces):
        return found
    if len(pieces) <= _LINES:
        text = "The estimate with its interval under each condition; dashed: what it is held against; grey: too small; "
        text += "open: not judged; a cross: no estimate."
        caption = Caption(f"evidence_{judgement.id}", f"Evidence: {judgement.id}", text)
        found[caption] = functools.partial(forest, [judgement])
    if len(pieces) >= _CELLS and len(judgement.conditions.settings) > 1:
        for place, part in enumerate(_of_like_settings(judgement)):
            caption = map_caption(judgement)
            caption = dataclasses.replace(caption, name=f"{caption.name}_{place + 1}") if place else caption
            found[caption] = functools.partial(claim_map, part)
    return found


def _of_like_settings(judgement: Judgement) -> list[Judgement]:
    """A judgement apart by the settings in which its pieces lie, a map each; a piece that says fewer of them, since it
    could not be asked, lies where others say all that it does."""
    every = dict.fromkeys(frozenset(piece.condition) for piece in judgement.evidence)
    fullest = [each for each in every if not any(each < other for other in every)]
    groups: dict[frozenset[str], list[Evidence]] = {each: [] for each in fullest}
    for piece in judgement.evidence:
        groups[next(each for each in fullest if each >= frozenset(piece.condition))].append(piece)
    return [dataclasses.replace(judgement, evidence=tuple(pieces)) for pieces in groups.values()]


def specification_pictures(judgement: Judgement) -> Pictures:
    """A claim's estimates under every specification, where there are some."""
    whole = all_together(judgement.evidence)
    if whole is None or not _POINTS[0] <= len(whole.grid) <= _POINTS[1]:
        return {}
    return {curve_caption(judgement.id): functools.partial(specification_curve, whole)}


def joint_pictures(judgements: Sequence[Judgement]) -> Pictures:
    """Where several claims hold at once, where they share a setting."""
    return {JOINT_CAPTION: functools.partial(joint_map, judgements)} if joint(judgements) else {}
