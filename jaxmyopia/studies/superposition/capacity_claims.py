# SPDX-License-Identifier: Apache-2.0
"""Two claims about interpretable capability over capacity, and what the first would be with peaks at the edges.

Capacity is m, `hidden`; capability rises with it. A condition is a sparsity, a span of importances, an optimiser and
what counts as understood. The sizes below were fixed before any run that is judged.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmyopia.claims import Claim, Evidence, along, claim, share
from jaxmyopia.claims.controls import planted
from jaxmyopia.measures import Derived, Measure
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition.understanding import Errors, interpretable

DEPTH = 0.02  # of a valley, in shares of the variance: less would not be seen in a drawing
MARGIN = 0.05  # of a rise of the fraction that is none
TOTAL, FRACTION = interpretable(Errors(True, "relu"))
UNDERSTOOD = ("own", "pairs")
Ask = Callable[[Trials], list[Evidence]]


def _at(trials: Trials, measure: Measure, understood: str, **choice: Any) -> np.ndarray:
    return trials.values(measure, {**choice, "understood": understood})


def _of(measure: Measure, understood: str) -> Derived:
    """A measure by one definition of what is understood, over the rest of its grid."""
    grid: dict[str, Any] = {name: values for name, values in measure.grid if name != "understood"}
    return Derived(
        measure.name, functools.partial(_at, measure=measure, understood=understood), range=measure.range, **grid
    )


def _capacity(trials: Trials) -> Trials:
    return trials.where(part="capacity", activation="relu")


def _apart(trials: Trials) -> dict[tuple[str, float], Trials]:
    """Sparse inputs of any probability, and exactly one active feature, apart; and spans, whose capacities differ."""
    mine = _capacity(trials)
    found: dict[tuple[str, float], Trials] = {}
    for inputs in ("independent", "one"):
        for span in mine.unique("span"):
            here = mine.matching(inputs=inputs, span=span)
            found |= {(inputs, span): here} if len(here) else {}
    return found


def _curve(trials: Trials, what: Measure, shape: str, premise: Callable[..., Evidence]) -> list[Any]:
    """The shape of a curve by inputs, span and what is understood: the quantity, its name and its condition."""
    found = []
    for (inputs, span), mine in _apart(trials).items():
        for understood in UNDERSTOOD:
            given = functools.partial(premise, total=TOTAL.column({"understood": understood}))
            quantity = along(mine, _of(what, understood), "hidden", shape, given=given)
            at = {"inputs": inputs, "span": span, "understood": understood}
            found.append((quantity, f"{inputs}, span {span:g}, {understood}", at))
    return found


def _valley(trials: Trials) -> list[Evidence]:
    return [depth.above(DEPTH).at(name, **at) for depth, name, at in _curve(trials, TOTAL, "valley", _some)]


def _dip(trials: Trials) -> list[Evidence]:
    return [depth.above(DEPTH).at(name, **at) for depth, name, at in _curve(trials, TOTAL, "dip", _some)]


def _some(trials: Trials, total: str) -> Evidence:
    """The premise of a valley: at the greatest capacity something is understood, in most seeds."""
    most = trials.where(hidden=float(trials.unique("hidden")[-1]))
    return share(most, total, lambda found: found >= DEPTH).above(0.5)


def _rises(trials: Trials, total: str) -> Evidence:
    """The premise of a fraction: at the greatest capacity more is understood in total than at the least, in most
    seeds."""
    ends = trials.unique("hidden")
    sides = [trials.where(hidden=float(end)) for end in (ends[-1], ends[0])]
    return share(sides, total, lambda most, least: most - least >= DEPTH).above(0.5)


def _no_rise(trials: Trials) -> list[Evidence]:
    return [rise.below(MARGIN).at(name, **at) for rise, name, at in _curve(trials, FRACTION, "rise", _rises)]


def _linear(ask: Ask) -> Ask:
    """What is asked, of a linear decoder: its dimensions are principal components, one by one a feature's own."""

    def of_linear(trials: Trials) -> list[Evidence]:
        return ask(planted(trials.of_controls.where(part="capacity", activation="linear"), activation=_relu))

    return of_linear


def _relu(rows: Trials) -> np.ndarray:
    return np.full(len(rows), "relu", object)


def _planting(ask: Ask, curve: Callable[[np.ndarray], np.ndarray]) -> Ask:
    """What is asked, of curves over capacity in place of those measured, with noise of seeds and of single models."""

    def numbers(rows: Trials) -> np.ndarray:
        return (
            curve(_place(rows))
            + 0.02 * np.sin(17 * rows["seed"])
            + 0.02 * np.sin(5 * rows["seed"] * (1 + rows["hidden"]))
        )

    columns = dict.fromkeys((*TOTAL.columns, *FRACTION.columns), numbers)
    return lambda trials: ask(planted(_capacity(trials.main), **columns))


def _place(rows: Trials) -> np.ndarray:
    """Where each capacity lies among those of its span, from 0 to 1."""
    found = np.zeros(len(rows))
    for span in rows.unique("span"):
        mine = rows["span"] == span
        known = np.unique(rows["hidden"][mine])
        found[mine] = np.searchsorted(known, rows["hidden"][mine]) / max(len(known) - 1, 1)
    return found


def _monotone(place: np.ndarray) -> np.ndarray:
    return 0.1 + 0.5 * place


def _two_peaks(place: np.ndarray) -> np.ndarray:
    """Up, down, up and down in quarters: of five capacities the second and the fourth are peaks."""
    return np.interp(place, [0, 0.25, 0.5, 0.75, 1], [0.1, 0.6, 0.1, 0.6, 0.1])


def _dipping(place: np.ndarray) -> np.ndarray:
    return np.interp(place, [0, 0.5, 1], [0.6, 0.1, 0.6])


def _falling_fraction(ask: Ask) -> Ask:
    """Of a total that rises and a fraction that falls."""

    def noise(rows: Trials) -> np.ndarray:
        return 0.02 * np.sin(17 * rows["seed"] + 3 * rows["hidden"])

    columns = dict.fromkeys(TOTAL.columns, lambda rows: 0.05 + 0.01 * rows["hidden"] + noise(rows))
    columns |= dict.fromkeys(FRACTION.columns, lambda rows: 0.9 - 0.01 * rows["hidden"] + noise(rows))
    return lambda trials: ask(planted(_capacity(trials.main), **columns))


CLAIMS: list[Claim] = [
    claim(
        "Total interpretable capability has a valley between two peaks over capacity.",
        id="total-recovers-diagram",
        passes={"a planted valley": _planting(_valley, _two_peaks)},
        fails={"a planted monotone curve": _planting(_valley, _monotone), "a linear decoder": _linear(_valley)},
    )(_valley),
    claim(
        "Total interpretable capability falls and rises again somewhere over capacity.",
        id="total-dips",
        passes={"a planted dip": _planting(_dip, _dipping)},
        fails={"a planted monotone curve": _planting(_dip, _monotone), "a linear decoder": _linear(_dip)},
    )(_dip),
    claim(
        "The interpretable fraction does not increase with capability while the total rises.",
        id="fraction-not-increasing",
        passes={"a planted fraction that falls": _falling_fraction(_no_rise)},
        fails={"a planted fraction that rises": _planting(_no_rise, _monotone)},
    )(_no_rise),
]  # fmt: skip
