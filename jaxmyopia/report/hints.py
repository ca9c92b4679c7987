# SPDX-License-Identifier: Apache-2.0
"""What a figure says where one points at it: words that its artists carry into the SVG, and where they lie there."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from matplotlib.artist import Artist

_MARK = "hint-"
_GROUP = re.compile(rf'<g id="{_MARK}([^"]*)">(.*?)</g>', re.DOTALL)
_PLACE = re.compile(r'<use [^>]*?x="(-?[\d.]+)" y="(-?[\d.]+)"')
_CORNER = re.compile(r"(-?[\d.]+) (-?[\d.]+)")
_VIEW = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_REACH = 5.0  # points: around a marker

Hint = tuple[float, float, float, float, str]


def hint(artist: Artist, *texts: str) -> None:
    """Says what an artist shows.

    Args:
      artist: a patch, which has one text, or a line of markers, which have one each.
      *texts: in their order.
    """
    artist.set_gid(_MARK + quote("\n".join(texts), safe=""))


def hints_of(svg: str) -> list[Hint]:
    """Where a figure says what: the left and upper edge, width and height of a place, in shares of the figure, and its
    words.

    >>> hints_of('<svg viewBox="0 0 100 50"><g id="hint-two%20seeds"><use x="50" y="25" /></g></svg>')
    [(0.45, 0.4, 0.1, 0.2, 'two seeds')]
    """
    view = _VIEW.search(svg)
    if view is None:
        return []
    width, height = map(float, view.groups())
    found: list[Hint] = []
    for words, body in _GROUP.findall(svg):
        texts = unquote(words).split("\n")
        boxes = [(float(x) - _REACH, float(y) - _REACH, 2 * _REACH, 2 * _REACH) for x, y in _PLACE.findall(body)]
        for (left, top, wide, high), text in zip(boxes or _box(body), texts, strict=False):
            share = (left / width, top / height, wide / width, high / height)
            found.append((*(round(each, 4) for each in share), text))  # type: ignore[arg-type]
    return found


def _box(body: str) -> Sequence[tuple[float, float, float, float]]:
    """The rectangle around a path."""
    corners = [(float(x), float(y)) for x, y in _CORNER.findall(body.partition(' d="')[2].partition('"')[0])]
    if not corners:
        return []
    (left, *_, right), (top, *_, bottom) = map(sorted, zip(*corners, strict=True))
    return [(left, top, right - left, bottom - top)]
