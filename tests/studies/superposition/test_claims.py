# SPDX-License-Identifier: Apache-2.0
"""The claims about superposition on tables whose verdicts are known."""

import dataclasses

import numpy as np
import pytest

from jaxmyopia.stats.table import Columns, Trials
from jaxmyopia.studies.superposition import capacity_claims, geometry_claims, shape_claims
from jaxmyopia.studies.superposition.capacity_claims import FRACTION, TOTAL
from jaxmyopia.studies.superposition.measures import EACH, HALF, KEPT, NULLS, OTHER, PENTAGON, sides

SEEDS = 64
AT = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0)


def table(part: str, settings: dict[str, tuple], measured, **fixed) -> Trials:
    """Trials of every combination of settings; `measured(rows)` gives columns `(rows,)` by name."""
    names = ["seed", *settings]
    grid = np.meshgrid(np.arange(SEEDS), *settings.values(), indexing="ij")
    columns = {name: each.ravel() for name, each in zip(names, grid, strict=True)}
    rows = len(columns["seed"])
    columns |= {name: np.full(rows, value) for name, value in (fixed | {"part": part, "cell": 0}).items()}
    columns["diverged"] = np.zeros(rows, bool)
    columns |= measured(columns)
    return Trials(Columns(columns, lambda name: columns[name]), given=(tuple(settings),))


def noise(rows, size=0.02):
    return size * np.sin(17.0 * rows["seed"] + 5.0 * rows["hidden"])


def curves(total, fraction=None) -> Trials:
    """The capacity sweep with a mean curve of the total, and of the fraction."""

    def measured(rows):
        part = total if fraction is None else fraction
        several = {TOTAL: total, FRACTION: part}
        made = {each: np.clip(curve(rows["hidden"]) + noise(rows), 0, 1) for each, curve in several.items()}
        return {column: numbers for each, numbers in made.items() for column in each.columns}

    fixed = {"inputs": "independent", "activation": "relu", "optimizer": "adam", "features": 64, "span": 10.0}
    return table("capacity", {"hidden": AT, "active": (0.1, 0.3)}, measured, **fixed)


def valley(m):
    return np.interp(m, AT, [0.1, 0.5, 0.4, 0.2, 0.5, 0.3])


def rise(m):
    return 0.05 * m


def edge(m):
    return np.interp(m, AT, [0.5, 0.4, 0.2, 0.3, 0.4, 0.5])


def verdict(claims, id, trials):
    judged = next(each for each in claims if each.id == id).judge(trials)
    assert not any(control.came_out == "failed" for control in judged.controls), judged.reason
    return judged.verdict


@pytest.mark.parametrize(
    ("id", "total", "expected"),
    [
        ("total-recovers-diagram", valley, "supported"),
        ("total-recovers-diagram", rise, "contradicted"),
        ("total-recovers-diagram", edge, "contradicted"),  # the peaks lie at the edges
        ("total-recovers-diagram", lambda m: 0 * m, "not applicable"),
        ("total-dips", edge, "supported"),
        ("total-dips", rise, "contradicted"),
        ("fraction-not-increasing", rise, "contradicted"),
    ],
)
def test_curves_over_capacity(id, total, expected):
    assert verdict(capacity_claims.CLAIMS, id, curves(total)) == expected


def test_a_fraction_that_falls_while_the_total_rises():
    falls = curves(rise, lambda m: 0.9 - 0.02 * m)
    assert verdict(capacity_claims.CLAIMS, "fraction-not-increasing", falls) == "supported"
    none = curves(lambda m: 0.3 - 0.01 * m, lambda m: 0.9 - 0.02 * m)
    assert verdict(capacity_claims.CLAIMS, "fraction-not-increasing", none) == "not applicable"


@pytest.mark.parametrize(("share", "expected"), [(0.9, "supported"), (0.1, "contradicted"), (0.5, "inconclusive")])
def test_pentagons_are_counted_at_sparse_inputs_alone(share, expected):
    def measured(rows):
        shown = np.where(rows["active"] > 0.06, 0.0, rows["seed"] < share * SEEDS)
        return dict.fromkeys(PENTAGON.columns, shown.astype(float))

    mine = table("pentagon", {"active": (0.2, 0.05, 0.01)}, measured)
    assert verdict(shape_claims.CLAIMS, "pentagon", mine) == expected


def test_how_many_of_twenty_are_kept():
    def measured(rows, relu=13.0):
        return dict.fromkeys(KEPT.columns, np.where(rows["activation"] == "relu", relu, 5.0))

    settings = {"activation": ("linear", "relu"), "active": (0.1, 0.01)}
    assert verdict(shape_claims.CLAIMS, "thirteen-kept", table("twenty", settings, measured)) == "supported"
    other = table("twenty", settings, lambda rows: measured(rows, 15.0))
    assert verdict(shape_claims.CLAIMS, "thirteen-kept", other) == "depends on the condition"


def test_the_best_polygon_is_asked_of_those_at_rest():
    def measured(rows):
        met = np.where(rows["seed"] < 40, 6.0, 5.0)
        return dict.fromkeys(sides(6).columns, np.where(rows["learning_rate"] < 0.05, -1.0, met))

    mine = table("shapes", {"learning_rate": (0.01, 0.1), "init_scale": (0.1, 1.0)}, measured, features=6)
    judged = next(each for each in shape_claims.CLAIMS if each.id == "best-polygon").judge(mine)
    found = {(piece.condition["learning_rate"], piece.verdict) for piece in judged.evidence}
    assert found == {(0.01, "not applicable"), (0.1, "supported")}
    assert judged.evidence[-1].interval.estimate == 40 / 64


def geometry(half, other) -> Trials:
    def measured(rows):
        wave = 0.01 * np.sin((3.0 + rows["init_scale"]) * rows["seed"])
        found = dict.fromkeys(HALF.columns, half(rows) + wave) | dict.fromkeys(OTHER.columns, other(rows) + wave)
        for nulls in NULLS.values():
            found |= {column: wave for each in nulls for column in each.columns}
        return found | dict.fromkeys(EACH.columns, 0.4 + wave)

    settings = {"init_scale": (0.0213, 0.095), "active": (0.1, 0.3)}
    return table("geometry", settings, measured, weight_decay=0.01, rate="stays")


def test_lines_are_asked_at_a_half_and_elsewhere():
    both = geometry(lambda rows: 0.2, lambda rows: 0.1)
    one = geometry(lambda rows: 0.2, lambda rows: 0.0)
    assert verdict(geometry_claims.CLAIMS, "lines", both) == "supported"
    assert verdict(geometry_claims.CLAIMS, "lines", one) == "no difference"


def test_a_trap_that_matters_is_told():
    start = geometry(lambda rows: np.where(rows["init_scale"] > 0.05, 0.3, 0.1), lambda rows: 0.1)
    judged = next(each for each in geometry_claims.CLAIMS if each.id == "set-up-does-not-matter").judge(start)
    found = {piece.condition["of"]: piece.verdict for piece in judged.evidence}
    assert found == {"excess at 1/2": "contradicted", "D*": "supported"}
    assert dataclasses.asdict(judged.conditions)["verdicts"] == {"contradicted": 2, "supported": 2}
