# SPDX-License-Identifier: Apache-2.0
"""A figure made smaller draws the same, and says what its marks show where they lie."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxmyopia.report.compact import compact
from jaxmyopia.report.figures import draw_intervals, panels
from jaxmyopia.report.hints import hint, hints_of
from jaxmyopia.report.svg import svg
from jaxmyopia.stats.intervals import Interval

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = [f"{SVG}{name}" for name in ("path", "use", "text")]


@pytest.fixture(scope="module")
def text():
    figure, grid = panels(1, 2)
    steps = np.linspace(0, 7, 200)
    grid[0, 0].plot(steps, np.exp(-steps), label="e & <f>")
    grid[0, 0].fill_between(steps, 0, np.exp(-steps), alpha=0.2)
    grid[0, 0].set(yscale="log", title="a turned label", ylabel="up")
    grid[0, 0].legend()
    intervals = [Interval(k / 2, k / 2 - 0.1, k / 2 + 0.1, 9, "") for k in range(3)]
    draw_intervals(grid[0, 1], [0, 1, 2], intervals, "k", marker="o", hints=["low", "100 % of\u00a0it", "high"])
    hint(grid[0, 1].axvspan(1.2, 1.8), "a span")
    return svg(figure)


def drawn(text):
    """What is drawn, in its order: the kind, its words, and all numbers of its place."""
    found = []
    for each in ElementTree.fromstring(text).iter():
        if each.tag in DRAWN:
            place = " ".join(value for name, value in each.attrib.items() if name in ("d", "x", "y", "transform"))
            place = "" if re.fullmatch(r".*rotate\(-0 .*", place) else place
            found.append(
                (each.tag, "".join(each.itertext()).split(), [float(x) for x in re.findall(r"-?\d+\.?\d*", place)])
            )
    return found


def test_a_compact_figure_draws_the_same_in_a_third_of_the_characters(text):
    small = compact(text)
    assert len(small) < 0.45 * len(text) and compact(small).count("<path") == small.count("<path")
    before, after = drawn(text), drawn(small)
    assert len(before) == len(after) > 20
    for (tag, words, place), (same_tag, same_words, same) in zip(before, after, strict=True):
        assert (tag, words) == (same_tag, same_words)
        if place:
            np.testing.assert_allclose(same, place, atol=0.11)
    used = {each.removeprefix("#") for each in re.findall(r'href="([^"]*)"', small)}
    used |= set(re.findall(r"url\(#([^)]*)\)", small))
    assert used <= set(re.findall(r' id="([^"]*)"', small))


def test_hints_lie_where_their_marks_do(text):
    found = {words: (left + wide / 2, top + high / 2, wide) for left, top, wide, high, words in hints_of(text)}
    assert set(found) == {"low", "100 % of\u00a0it", "high", "a span"}
    (x0, y0, _), (x1, y1, _), (x2, y2, _) = (found[words] for words in ("low", "100 % of\u00a0it", "high"))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=2e-4) and y0 - y1 == pytest.approx(y1 - y2, abs=2e-4)
    assert 0.5 < x0 < x1 < x2 < 1 and 0 < y2 < y1 < y0 < 1  # in the second of two panels; upwards
    middle, _, wide = found["a span"]
    assert middle == pytest.approx((x1 + x2) / 2, abs=2e-4) and wide == pytest.approx(0.6 * (x2 - x1), abs=4e-4)
    assert "hint-" not in compact(text)


def test_a_point_without_an_estimate_is_marked_at_the_edge():
    _, grid = panels(1, 1)
    missing = Interval(np.nan, np.nan, np.nan, 0, "")
    draw_intervals(grid[0, 0], [3, 4], [Interval(0.5, 0.4, 0.6, 9, ""), missing], "k", marker="o")
    (cross,) = [line for line in grid[0, 0].lines if line.get_marker() == "x"]
    assert list(cross.get_xdata()) == [4] and cross.get_transform() == grid[0, 0].get_xaxis_transform()
