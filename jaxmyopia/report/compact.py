# SPDX-License-Identifier: Apache-2.0
"""An SVG figure in a third of the characters, for a page that holds many: the same picture to a tenth of a point."""

import collections
import re

_ASIDE = re.compile(r"<\?xml.*?\?>|<!--.*?-->|<metadata>.*?</metadata>|<!DOCTYPE.*?>", re.DOTALL)
_FONTS = re.compile(r"font-family: ([^;\"]*)(; )?")
_LEVEL = re.compile(r' transform="rotate\(-?0 [^)]*\)"')  # of a text that is not turned
_PATH = re.compile(r' d="([^"]*)"')
_PLACE = re.compile(r' (x|y|x1|y1|x2|y2)="(-?\d+\.\d)\d+"')
_DECIMAL = re.compile(r"(-?\d+\.\d)\d+")
_STYLE = re.compile(r' style="([^"]*)"')
_GROUP = re.compile(r"<g>((?:(?!</?g[ >]).)*)</g>", re.DOTALL)
_SPACE = re.compile(r"\s*\n\s*")


def compact(svg: str) -> str:
    """The same picture, smaller.

    Args:
      svg: as matplotlib writes it.

    Returns:
      SVG without comments and names that nothing uses, places to a tenth of a point, and styles that many share once.
    """
    svg = _LEVEL.sub("", _ASIDE.sub("", svg))
    fonts = dict.fromkeys(family for family, _ in _FONTS.findall(svg))
    if len(fonts) == 1:
        svg = _FONTS.sub("", svg)
    svg = _PLACE.sub(r' \1="\2"', _PATH.sub(_drawn, svg))
    svg = re.sub(r"<g id=\"[^\"]*\"", "<g", svg).replace("xlink:href", "href")
    svg = _classed(
        _SPACE.sub("\n", svg), "".join(f"text{{font-family:{family}}}" for family in fonts if len(fonts) == 1)
    )
    before = ""
    while before != svg:  # groups that say nothing, from within
        before, svg = svg, _GROUP.sub(r"\1", svg)
    return _SPACE.sub("\n", svg.replace("<g/>", "")).strip()


def _drawn(found: re.Match[str]) -> str:
    """A path with places to a tenth, and no more spaces than it needs."""
    path = re.sub(r"\s*([MLHVCSQTAZz])\s*", r"\1", _DECIMAL.sub(r"\1", found[1]))
    return f' d="{path.strip()}"'


def _classed(svg: str, rules: str) -> str:
    """Styles that appear more than once become classes, `rules` before them."""
    counts = collections.Counter(_STYLE.findall(svg))
    names = {style: f"s{place}" for place, (style, count) in enumerate(counts.items()) if count > 1}
    rules += "".join(f".{name}{{{_tight(style)}}}" for style, name in names.items())

    def named(found: re.Match[str]) -> str:
        name = names.get(found[1])
        return f' class="{name}"' if name else f' style="{_tight(found[1])}"'

    return _STYLE.sub(named, svg).replace("</style>", f"{rules}</style>", 1)


def _tight(style: str) -> str:
    return style.replace(": ", ":").replace("; ", ";")
