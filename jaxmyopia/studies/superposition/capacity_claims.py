# SPDX-License-Identifier: Apache-2.0
"""Two claims about interpretable capability over capacity, and what the first would be with peaks at the edges.

Capacity is m, `hidden`; capability rises with it. A condition is a sparsity, a span of importances, an optimiser and
what counts as understood. The sizes below were fixed before any run that is judged.
"""

from collections.abc import Callable

import numpy as np

from jaxmyopia.claims import Claim, Evidence, along, claim, paired
from jaxmyopia.claims.controls import planted
from jaxmyopia.measures import Measure
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition.measures import Errors, interpretable

DEPTH = 0.02  # of a valley, in shares of the variance: less would not be seen in a drawing
MARGIN = 0.05  # of a rise of the fraction that is none
TOTAL, FRACTION = interpretable(Errors(True, "relu"))
Ask = Callable[[Trials], list[Evidence]]


def _capacity(trials: Trials) -> Trials:
    return trials.where(part="capacity", activation="relu")


def _by_inputs(trials: Trials) -> dict[str, Trials]:
    """Sparse inputs of any probability, and exactly one active feature, apart."""
    mine = _capacity(trials)
    return {name: each for name in ("independent", "one") if len(each := mine.matching(inputs=name))}


def _about(trials: Trials, what: Measure, shape: str, judge: Callable[..., Evidence], **how: object) -> list[Evidence]:
    found = []
    for name, mine in _by_inputs(trials).items():
        piece = judge(along(mine, what, "hidden", shape, **how))  # type: ignore[arg-type]
        found.append(piece.at(*(() if name == "independent" else ("one active",)), inputs=name))
    return found


def _valley(trials: Trials) -> list[Evidence]:
    return _about(trials, TOTAL, "valley", lambda depth: depth.above(0, least=DEPTH))


def _dip(trials: Trials) -> list[Evidence]:
    return _about(trials, TOTAL, "dip", lambda depth: depth.above(0, least=DEPTH))


def _rises(trials: Trials) -> Evidence:
    """The premise: at the greatest capacity more is understood in total than at the least."""
    ends = trials.unique("hidden")
    most, least = (trials.where(hidden=float(end)) for end in (ends[-1], ends[0]))
    return paired(most, least, TOTAL).above(0)


def _no_rise(trials: Trials) -> list[Evidence]:
    return _about(trials, FRACTION, "rise", lambda rise: rise.below(MARGIN), given=_rises)


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
        place = rows["hidden"] / rows["hidden"].max()
        return curve(place) + 0.02 * np.sin(17 * rows["seed"]) + 0.02 * np.sin(5 * rows["seed"] * (1 + rows["hidden"]))

    columns = dict.fromkeys((*TOTAL.columns, *FRACTION.columns), numbers)
    return lambda trials: ask(planted(_capacity(trials.main), **columns))


def _monotone(place: np.ndarray) -> np.ndarray:
    return 0.1 + 0.5 * place


def _two_peaks(place: np.ndarray) -> np.ndarray:
    return 0.3 + 0.15 * np.cos(4 * np.pi * (place - 0.35)) - 0.1 * place


def _flat(place: np.ndarray) -> np.ndarray:
    return 0.3 + 0 * place


def _falling_fraction(ask: Ask) -> Ask:
    """Of a total that rises and a fraction that falls."""

    def noise(rows: Trials) -> np.ndarray:
        return 0.02 * np.sin(17 * rows["seed"] + 3 * rows["hidden"])

    columns = dict.fromkeys(TOTAL.columns, lambda rows: 0.01 * rows["hidden"] + noise(rows))
    columns |= dict.fromkeys(FRACTION.columns, lambda rows: 0.9 - 0.01 * rows["hidden"] + noise(rows))
    return lambda trials: ask(planted(_capacity(trials.main), **columns))


CLAIMS: list[Claim] = [
    claim(
        "Total interpretable capability has a valley between two peaks over capacity.",
        id="total-recovers-diagram", over=("learning_rate",),
        passes={"a planted valley": _planting(_valley, _two_peaks)},
        fails={"a planted monotone curve": _planting(_valley, _monotone), "a linear decoder": _linear(_valley)},
    )(_valley),
    claim(
        "Total interpretable capability falls and rises again somewhere over capacity.",
        id="total-dips", over=("learning_rate",),
        passes={"a planted valley": _planting(_dip, _two_peaks)},
        fails={"a planted monotone curve": _planting(_dip, _monotone), "a linear decoder": _linear(_dip)},
    )(_dip),
    claim(
        "The interpretable fraction does not increase with capability while the total rises.",
        id="fraction-not-increasing", over=("learning_rate",),
        passes={"a planted fraction that falls": _falling_fraction(_no_rise)},
        fails={"a planted fraction that rises": _planting(_no_rise, _monotone)},
    )(_no_rise),
]  # fmt: skip
