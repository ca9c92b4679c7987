# SPDX-License-Identifier: Apache-2.0
"""Claims about small models: which polygon two dimensions hold, the pentagon, and how many of twenty features are kept.

The published sentences rest on one to five runs each (Elhage et al. 2022; Chen et al. 2023).
"""

from collections.abc import Callable

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, share
from jaxmyopia.claims.controls import planted
from jaxmyopia.measures import Measure
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition.measures import KEPT, PENTAGON, sides
from jaxmyopia.studies.superposition.polygons import polygons

SPARSE = 0.05  # the probability up to which a pentagon was seen in five of five runs
Ask = Callable[[Trials], list[Evidence]]
Planted = Callable[[Trials], np.ndarray] | float


def _pentagon(trials: Trials) -> list[Evidence]:
    """At every probability up to 0.05."""
    mine = trials.where(part="pentagon")
    sparse = mine.keep(mine["active"] <= SPARSE * 1.001)
    return [share(sparse, PENTAGON, lambda shown: shown == 1).above(0.5)]


def _kept(trials: Trials) -> list[Evidence]:
    """With a ReLU at every probability, and with a linear output."""
    mine = trials.where(part="twenty")
    relu, linear = (mine.where(activation=name) for name in ("relu", "linear"))
    of_relu = share(relu, KEPT, lambda kept: (kept >= 13) & (kept <= 14)).above(0.5)
    of_linear = share(linear, KEPT, lambda kept: kept == 5).above(0.5)
    return [of_relu.at("relu", activation="relu"), of_linear.at("linear", activation="linear")]


def _least(features: int) -> int:
    """How many sides the polygon of least loss has."""
    return min(polygons(features), key=lambda each: each.loss).sides


def _best_polygon(trials: Trials) -> list[Evidence]:
    """At every start, rate, optimiser and decay, by the number of features, among the seeds that came to rest."""
    mine, found = trials.where(part="shapes"), []
    for features in mine.unique("features"):
        best = _least(features)
        here = mine.where(features=features)
        reached = share(here, sides(features), lambda met, best=best: met == best, given=lambda met: met >= 0)
        piece = reached.above(0.5)
        found.append(piece.at(f"{features} features", features=float(features)))
    return found


def _planting(ask: Ask, part: str, measure: Measure, value: Planted) -> Ask:
    return lambda trials: ask(planted(trials.main.where(part=part), **dict.fromkeys(measure.columns, value)))


def _planted_sides(best: bool) -> Ask:
    """Every model at the best polygon, or at none."""

    def ask(trials: Trials) -> list[Evidence]:
        mine = trials.main.where(part="shapes")
        columns: dict[str, Planted] = {}
        for features in mine.unique("features"):
            columns |= dict.fromkeys(
                sides(features).columns,
                lambda rows: np.array([_least(each) if best else 0 for each in rows["features"].tolist()], float),
            )
        return _best_polygon(planted(mine, **columns))

    return ask


def _as_published(rows: Trials) -> np.ndarray:
    return np.where(rows["activation"] == "relu", 13, 5)


CLAIMS: list[Claim] = [
    claim(
        "Five features in two dimensions make a pentagon in most seeds, once each is active in 5 % of inputs or less.",
        id="pentagon",
        passes={"pentagons": _planting(_pentagon, "pentagon", PENTAGON, 1.0)},
        fails={"none": _planting(_pentagon, "pentagon", PENTAGON, 0.0)},
    )(_pentagon),
    claim(
        "Of 20 features in 5 dimensions most seeds keep 13 or 14 with a ReLU, and 5 with a linear output.",
        id="thirteen-kept",
        passes={"as published": _planting(_kept, "twenty", KEPT, _as_published)},
        fails={"twenty kept": _planting(_kept, "twenty", KEPT, 20.0)},
    )(_kept),
    claim(
        "In two dimensions, one feature active, most seeds come to rest at the polygon of least loss.",
        id="best-polygon", passes={"all at the best": _planted_sides(True)}, fails={"none": _planted_sides(False)},
    )(_best_polygon),
]  # fmt: skip
