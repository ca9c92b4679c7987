# SPDX-License-Identifier: Apache-2.0
"""Maps are read back: every condition at its place, with its verdict and its estimate; and nothing hides anything."""

import itertools
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.conditions import named
from jaxmyopia.claims.joint import joint
from jaxmyopia.claims.judged import Evidence, GridPoint, Judgement
from jaxmyopia.claims.verdicts import DECIDED
from jaxmyopia.report.cells import number
from jaxmyopia.report.claim_figures import VERDICT_COLOURS
from jaxmyopia.report.map_figures import SIGNS, claim_map, joint_map, specification_curve
from jaxmyopia.report.svg import lay_out
from jaxmyopia.stats.intervals import Interval

LONG = (
    "From a small start gradient descent passes more plateaus than from a large one, whatever the learning rate, " * 2
)


def grid(**values) -> list[dict]:
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def evidence(condition, verdict, estimate=0.25, name="", points=(), direction=1, least=0.0):
    interval = Interval(estimate, estimate - 0.1, estimate + 0.1, 64, "BCa")
    shown = named(name, condition)
    return Evidence(
        shown, "bumps", interval, 0.0, direction, tuple(points), 1.0, verdict, "", condition=condition, least=least
    )


def judged(conditions, seed=0, id="claim", text="A claim.", headline=""):
    """Every verdict somewhere, with estimates that tell conditions apart."""
    rng = np.random.default_rng(seed)
    verdicts = [list(SIGNS)[k % 9] for k in rng.permutation(len(conditions))]
    numbers = rng.normal(size=len(conditions)) * 10.0 ** rng.integers(-3, 3, len(conditions))
    pieces = [evidence(*each) for each in zip(conditions, verdicts, map(float, numbers), strict=True)]
    return Judgement(id, text, "depends on the condition", "", headline, tuple(pieces))


def rectangles(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def read(figure):
    """For each cell its panel's title, the values on the axes, its text and its colour: as a reader finds them."""
    xs, ys, found = [], [], []
    visible = [axes for axes in figure.axes if axes.get_visible()]
    for axes in visible:
        xs = [tick.get_text() for tick in axes.get_xticklabels()] or xs
        ys = [tick.get_text() for tick in axes.get_yticklabels()] or ys
    for axes in visible:
        for text, patch in zip(axes.texts, rectangles(axes), strict=True):
            x, y = text.get_position()
            assert (patch.get_x() + 0.5, patch.get_y() + 0.5) == (x, y)
            place = (axes.get_title(), xs[x] if xs else "", ys[y] if ys else "")
            found.append((*place, text.get_text().split(), to_hex(patch.get_facecolor())))
    return found


LAYOUTS = {
    "two settings": grid(lr=[0.01, 0.1, 1.0], scale=[0.03, 0.3]),
    "three settings": grid(scale=[0.1, 0.3], lr=[0.01, 0.03, 0.1, 0.3, 1.0], loss=["square", "cross_entropy"]),
    "four settings": grid(n=[8, 16], lr=[0.01, 0.1, 1.0], loss=["square", "hinge"], scale=[0.01, 0.1, 1.0, 10.0]),
    "one setting": grid(lr=[float(f"{each:.3g}") for each in np.logspace(-3, 0, 12)]),
    "many panels": grid(x=[1, 2, 3, 4, 5], y=[1, 2, 3, 4, 5], z=[1, 2, 3, 4, 5]),
    "two hundred": grid(x=list(range(20)), y=list(range(10))),
    "long words": grid(study=["lowrank_adam_small", "epochs_momentum_sgd", "neutrality", *"abcdef"]),
    "no setting": [{}],
}


@pytest.mark.parametrize("conditions", LAYOUTS.values(), ids=LAYOUTS)
def test_each_condition_is_read_at_its_place_and_what_was_not_run_is_blank(conditions):
    conditions = conditions[:-1] if len(conditions) > 3 else conditions
    judgement = judged(conditions)
    figure = claim_map(judgement)
    names = sorted(conditions[0], key=lambda name: -len({at[name] for at in conditions}))
    shown = lambda value: value if isinstance(value, str) else f"{value:g}"
    expected = []
    for piece in judgement.evidence:
        x, y = ([shown(piece.condition[name]) for name in names[:2]] + ["", ""])[:2]
        told = lambda name, value: value if isinstance(value, str) else f"{name} {shown(value)}"
        panel = ", ".join(told(name, piece.condition[name]) for name in names[2:])
        text = [SIGNS[piece.verdict], number(piece.interval.estimate)]
        expected.append((panel, x, y, text, VERDICT_COLOURS[piece.verdict]))
    assert sorted(read(figure)) == sorted(expected)
    labels = {axes.get_xlabel() for axes in figure.axes} | {axes.get_ylabel() for axes in figure.axes}
    assert labels - {""} == set(names[:2])
    key = {text.get_text().split(maxsplit=1)[1] for text in figure.legends[0].get_texts()}
    assert key == {piece.verdict for piece in judgement.evidence}


def boxes(figure):
    """The extents, in pixels, of cells' texts with their cells, and of what stands around the cells."""
    lay_out(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    inside, around = [], [figure.legends[0].get_window_extent(renderer), figure._suptitle.get_window_extent(renderer)]
    for axes in (each for each in figure.axes if each.get_visible()):
        for text, patch in zip(axes.texts, rectangles(axes), strict=True):
            inside.append((text.get_window_extent(renderer), patch.get_window_extent(renderer)))
        parts = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
        slanting = any(tick.get_rotation() for tick in axes.get_xticklabels())
        around += [part.get_window_extent(renderer) for part in parts if part.get_text() and part.get_rotation() != 30]
        assert not slanting or len(axes.get_xticklabels()) > 3
        around.append(axes.get_window_extent(renderer))
    return inside, [box for box in around if box.width > 1], figure.bbox


def overlap(a, b):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1


@pytest.mark.parametrize("conditions", LAYOUTS.values(), ids=LAYOUTS)
def test_texts_lie_in_their_cells_and_nothing_lies_on_anything(conditions):
    inside, around, page = boxes(claim_map(judged(conditions, text=LONG, headline=LONG)))
    for text, cell in inside:
        assert text.x0 >= cell.x0 - 1 and text.x1 <= cell.x1 + 1
        assert text.y0 >= cell.y0 - 1 and text.y1 <= cell.y1 + 1
        assert 0.3 < cell.height / 130 < 1  # inches
    assert [(a, b) for a, b in itertools.combinations(around, 2) if overlap(a, b)] == []
    assert all(page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1 for box in around)
    assert all(page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1 for box in around)


def test_pieces_at_one_condition_are_told_apart_and_settings_with_one_value_stand_above():
    conditions = grid(lr=[0.1, 1.0], loss=["square"])
    pieces = [evidence(at, "supported", name=name) for name in ("early", "late") for at in conditions]
    figure = claim_map(Judgement("c", "A claim.", "supported", "", "holds", tuple(pieces)))
    assert {(x, y) for _, x, y, _, _ in read(figure)} == {(a, b) for a in ("early", "late") for b in ("0.1", "1")}
    assert figure._suptitle.get_text() == "A claim. — supported\nholds\nloss square"


def test_conditions_that_lack_a_setting_come_last_and_estimates_without_number_are_not_written():
    conditions = [{"optimizer": "sgd"}, *({"optimizer": "adam", "beta": beta} for beta in (0.99, 0.5, 0.9))]
    figure = claim_map(judged(conditions))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0.5", "0.9", "0.99", "none"]
    figure = claim_map(Judgement("c", "t", "not judged", "", "", (evidence({}, "not judged", math.nan),)))
    assert [text for *_, text, _ in read(figure)] == [["–"]]
    with pytest.raises(ArgumentError, match="must have evidence"):
        claim_map(Judgement("c", "t", "not judged", ""))


def test_estimates_are_written_in_few_characters():
    told = {0.1234: "0.12", -1234.5: "−1234", 123.4: "123", -3e-5: "−3e−5", 2.5e7: "2.5e7", 0.0: "0", math.nan: ""}
    assert {value: number(value) for value in told} == told


def test_what_could_not_be_asked_stands_at_all_values_of_what_it_does_not_say():
    asked = [evidence({"scale": scale, "budget": budget}, "supported") for scale in (0.1, 1.0) for budget in (0.5, 1.0)]
    whole = Judgement("c", "t", "supported", "", "", (*asked, jm.not_applicable("no rate").at("", scale=10.0)))
    found = {(x, y): text for _, x, y, text, _ in read(claim_map(whole))}
    assert {place for place, text in found.items() if text == ["n/a"]} == {("10", "0.5"), ("10", "1")}
    assert len(found) == 6


def test_the_joint_map_counts_which_claims_hold_and_outlines_where_all_do():
    conditions = grid(lr=[0.1, 1.0], scale=[0.1, 1.0])
    everywhere = [evidence(at, "supported") for at in conditions]
    fast = [evidence(at, "supported" if at["lr"] == 1 else "contradicted") for at in conditions[1:]]
    split = [
        evidence(at | {"loss": loss}, "inconclusive" if at["scale"] == 1 and loss == "hinge" else "supported")
        for at in conditions for loss in ("square", "hinge")
    ]  # fmt: skip
    claims = [Judgement(name, "t", "supported", "", "", tuple(pieces)) for name, pieces in
              (("everywhere", everywhere), ("fast", fast), ("split", split), ("unasked", []))]  # fmt: skip
    figure = joint_map(claims)
    found = {(x, y): text for _, x, y, text, _ in read(figure)}
    expected = {("0.1", "0.1"): "2/2 AC", ("0.1", "1"): "2/3 AC", ("1", "0.1"): "3/3 ABC", ("1", "1"): "3/3 ABC"}
    assert found == {place: text.split() for place, text in expected.items()}
    edges = {patch.get_xy(): to_hex(patch.get_edgecolor()) for patch in rectangles(figure.axes[0])}
    assert {place for place, edge in edges.items() if edge == "#000000"} == {(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A  everywhere", "B  fast", "C  split"]
    assert joint(claims).headline == ("3 claims hold at once in 3 of the 4 conditions that they share")
    with pytest.raises(ArgumentError, match="must be claims that share a setting"):
        joint_map([claims[-1]])


def test_a_specification_curve_shows_what_each_estimate_chose_and_marks_the_one_that_counts():
    rng, points = np.random.default_rng(0), []
    for choice in grid(delta=[0.05, 0.02, 0.1], how=["prominence", "height"], one=["only"]):
        middle = float(rng.normal(0.3, 0.4))
        points.append(GridPoint(choice, middle, middle - 0.2, middle + 0.2))
    figure = specification_curve(evidence({}, "supported", points=points, least=0.1))
    above, below = figure.axes
    rows = [label.get_text() for label in below.get_yticklabels()]
    assert rows == ["delta  0.05", "delta  0.02", "delta  0.1", "how  prominence", "how  height"]
    chosen = [set() for _ in points]
    for line in (line for line in below.lines if line.get_marker() == "o"):
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            chosen[int(x)].add(rows[int(y)])
    order = sorted(range(len(points)), key=lambda k: points[k].estimate)
    for place, k in enumerate(order):
        assert chosen[place] == {f"delta  {points[k].thresholds['delta']:g}", f"how  {points[k].thresholds['how']}"}
    marked = [line.get_xdata()[0] for line in above.lines if line.get_color() == "black" and line.get_ls() == "-"]
    assert marked == [order.index(0)]
    drawn = {(x, y): line.get_color() for line in above.lines if line.get_marker() == "o"
             for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}  # fmt: skip
    verdict = lambda p: ("supported" if p.low > 0.1 else "contradicted" if p.high < 0 else
                         "real but small" if p.low > 0 and p.high < 0.1 else "inconclusive")  # fmt: skip
    expected = {(place, points[k].estimate): VERDICT_COLOURS[verdict(points[k])] for place, k in enumerate(order)}
    assert drawn == expected
    with pytest.raises(ArgumentError, match="must have a grid"):
        specification_curve(evidence({}, "supported"))


# Machado, Oliveira and Fernandes (2009), severity 1, of linear RGB.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def linear(colour):
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratios = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_the_colours_of_decided_verdicts_differ_for_any_colour_vision(seen):
    places = [lab(np.array(seen) @ linear(VERDICT_COLOURS[verdict])) for verdict in DECIDED]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(places, 2)) > 20


def test_signs_differ_and_what_is_written_on_a_colour_can_be_read():
    """WCAG 2.1 asks for a contrast of 4.5 to 1."""
    assert len(set(SIGNS.values())) == len(SIGNS) and set(SIGNS) == set(VERDICT_COLOURS)
    luminance = lambda colour: float(np.dot(linear(colour), (0.2126, 0.7152, 0.0722)))
    figure = claim_map(judged(grid(x=list(range(9)))))
    for text, patch in zip(figure.axes[0].texts, rectangles(figure.axes[0]), strict=True):
        low, high = sorted((luminance(text.get_color()), luminance(patch.get_facecolor()[:3])))
        assert (high + 0.05) / (low + 0.05) > 4.5
