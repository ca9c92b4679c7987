# SPDX-License-Identifier: Apache-2.0
"""Three published findings on monosemantic neurons, and one that goes with them, judged at every rate and width.

They are those of Jermyn, Schiefer and Hubinger (2022, arXiv 2211.09169), found there with one run a setting. Counts
are compared on the same seeds: the same features, samples and draws of the start. Controls are the run's own trials
with planted counts and losses.
"""

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np

from jaxmyopia.claims import Claim, Evidence, Quantity, claim, paired
from jaxmyopia.claims.controls import planted
from jaxmyopia.measures import Measure
from jaxmyopia.stats.table import NoTrials, Trials
from jaxmyopia.studies.superposition.neuron_measures import LOG_LOSS, MONOSEMANTIC, MONOSEMANTIC_SHARE

MARGIN = math.log(1.1)  # losses are equal if they differ by a tenth at most
LEAST = 2.0  # neurons: a smaller difference is real but small
LEAST_SHARE = 0.02  # of the neurons that are alive
STRONGEST = -1.0  # the published start bias
Pieces = list[Evidence]
Ask = Callable[[Trials], Pieces]
Planted = Callable[[Trials], np.ndarray]


def _mine(trials: Trials) -> Trials:
    return trials.where(study="Monosemanticity")


def _negative(trials: Trials) -> list[float]:
    """The start biases below 0, the nearest first."""
    found = sorted((float(bias) for bias in trials.unique("initial_bias") if bias < 0), reverse=True)
    if not found:
        raise NoTrials("initial_bias", "below 0", "must be among those of the run")
    return found


def _counts(*sides: Trials) -> tuple[float, float]:
    """The least and the most neurons that there can be; those of controls are planted, and may be more."""
    several = [side.columns[name].max() for side in sides for name in ("neurons", *MONOSEMANTIC.columns)]
    return 0.0, float(max(several))


def _more(a: Trials, b: Trials) -> Quantity:
    return paired(a, b, MONOSEMANTIC, range=_counts(a, b)).named("monosemantic neurons, difference on the same seeds")


def _equal_loss(trials: Trials) -> Pieces:
    """Two parts at the published bias: the losses are the same, the counts are not."""
    mine = _mine(trials)
    below, zero = mine.where(initial_bias=STRONGEST), mine.where(initial_bias=0.0)
    loss = paired(below, zero, LOG_LOSS).named("logarithm of the loss, difference on the same seeds")
    return [
        loss.within(MARGIN).at("equal losses", shown="equal losses"),
        _more(below, zero).above(0, least=LEAST).at("more monosemantic", shown="more monosemantic"),
    ]


def _negative_helps(trials: Trials) -> Pieces:
    """A piece a start bias."""
    mine = _mine(trials)
    zero = mine.where(initial_bias=0.0)
    return [
        _more(mine.where(initial_bias=bias), zero).above(0, least=LEAST).at(f"start bias {bias:g}", initial_bias=bias)
        for bias in _negative(mine)
    ]


def _over_widths(trials: Trials, measure: Measure, least: float) -> Pieces:
    """A piece for each step from one number of neurons to the next."""
    mine = _mine(trials)
    numbers = sorted(float(each) for each in mine.unique("neurons"))
    if len(numbers) < 2:
        raise NoTrials("neurons", numbers, "must be several")
    found = []
    for fewer, more in itertools.pairwise(numbers):
        a, b = mine.where(neurons=more), mine.where(neurons=fewer)
        known = _counts(a, b) if measure is MONOSEMANTIC else None  # a share knows its own
        piece = paired(a, b, measure, range=known).above(0, least=least)
        found.append(piece.at(f"{more:g} against {fewer:g} neurons", neurons=more))
    return found


def _more_help(trials: Trials) -> Pieces:
    """Of counts."""
    return _over_widths(trials, MONOSEMANTIC, LEAST)


def _higher_share(trials: Trials) -> Pieces:
    """Of shares: counts would rise though every neuron is as likely to be monosemantic as before."""
    return _over_widths(trials, MONOSEMANTIC_SHARE, LEAST_SHARE)


def _planting(ask: Ask, **columns: Planted) -> Ask:
    """What a claim asks, of `counts`, `shares` or `losses` put in place of those measured, at all thresholds."""
    measures = {"counts": MONOSEMANTIC, "shares": MONOSEMANTIC_SHARE, "losses": LOG_LOSS}
    put = {column: plant for name, plant in columns.items() for column in measures[name].columns}
    return lambda trials: ask(planted(_mine(trials.main), **put))


def _wave(rows: Trials) -> np.ndarray:
    """Between -1 and 1, another in each trial: pairs in which nothing varied would decide nothing."""
    return np.sin(17 * rows["seed"] + 5 * rows["initial_bias"] + 3 * rows["neurons"])


def _alike(rows: Trials) -> np.ndarray:
    return 2 + np.round(_wave(rows))


def _if_negative(rows: Trials) -> np.ndarray:
    return _alike(rows) + np.where(rows["initial_bias"] < 0, 2 * LEAST, 0)


def _if_zero(rows: Trials) -> np.ndarray:
    return _alike(rows) + np.where(rows["initial_bias"] < 0, 0, 2 * LEAST)


def _same_losses(rows: Trials) -> np.ndarray:
    return 0.01 * _wave(rows)


def _doubled(rows: Trials) -> np.ndarray:
    return _same_losses(rows) + np.where(rows["initial_bias"] < 0, math.log(2), 0)


def _place(rows: Trials) -> np.ndarray:
    """0 of the fewest neurons, 1 of the next number of them, and so on."""
    return np.searchsorted(np.unique(rows["neurons"]), rows["neurons"])


def _rising(rows: Trials) -> np.ndarray:
    return _alike(rows) + 2 * LEAST * _place(rows)


def _same_shares(rows: Trials) -> np.ndarray:
    return 0.1 + 0.01 * _wave(rows)


def _rising_shares(rows: Trials) -> np.ndarray:
    return _same_shares(rows) + 2 * LEAST_SHARE * _place(rows)


def _claim(text: str, id: str, ask: Ask, passes: Mapping[str, Ask], fails: Mapping[str, Ask]) -> Claim:
    return claim(text, id=id, passes=passes, fails=fails)(ask)


CLAIMS: list[Claim] = [
    _claim(
        "A start bias of -1 makes more neurons monosemantic than one of 0, at equal loss.",
        "equal-loss-different-monosemanticity", _equal_loss,
        {"planted counts at equal losses": _planting(_equal_loss, counts=_if_negative, losses=_same_losses)},
        {
            "planted counts at twice the loss": _planting(_equal_loss, counts=_if_negative, losses=_doubled),
            "equal counts at equal losses": _planting(_equal_loss, counts=_alike, losses=_same_losses),
        },
    ),
    _claim(
        "A negative start bias makes more neurons monosemantic.", "negative-bias-helps", _negative_helps,
        {"planted counts": _planting(_negative_helps, counts=_if_negative)},
        {"planted counts the other way": _planting(_negative_helps, counts=_if_zero)},
    ),
    _claim(
        "Of more neurons, more are monosemantic.", "more-neurons-help", _more_help,
        {"planted counts that rise": _planting(_more_help, counts=_rising)},
        {"planted counts that do not": _planting(_more_help, counts=_alike)},
    ),
    _claim(
        "Of more neurons, a greater share is monosemantic.", "more-neurons-greater-share", _higher_share,
        {"planted shares that rise": _planting(_higher_share, shares=_rising_shares)},
        {"planted shares that do not": _planting(_higher_share, shares=_same_shares)},
    ),
]  # fmt: skip


def make_claims() -> list[Claim]:
    """The claims, which any run of `neurons.cells` holds what is needed for."""
    return list(CLAIMS)
