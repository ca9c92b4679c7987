# SPDX-License-Identifier: Apache-2.0
"""Claims judged while seeds are added: which cells need more of them, and how many seeds a decision may take."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims.claim import Claim, require_claims
from jaxmyopia.claims.judged import Evidence
from jaxmyopia.claims.quantity import Asked
from jaxmyopia.claims.verdicts import DECIDED, MIN_SEEDS, Question
from jaxmyopia.stats.intervals import Range
from jaxmyopia.stats.sequences import mean_sequence, share_sequence
from jaxmyopia.stats.table import NoTrials, Trials

_ASIDE = ("not applicable", "not judged")
_LEVEL = 0.05
Draw: TypeAlias = Callable[[np.random.Generator, int], np.ndarray]
MOST = 16_384  # seeds that are looked ahead to


def undecided_cells(claims: Sequence[Claim], trials: Trials) -> frozenset[int]:
    """The cells on whose trials an undecided piece rests: all of them, where it does not say on which.

    What cannot be judged on these cells waits for no seeds, unless they have too few for anything.

    Args:
      claims: made with `@jm.claim`.
      trials: the table so far of a run, judged by intervals that hold whenever one stops.

    Returns:
      Their numbers in the column `cell`; none if every piece of every claim is decided.
    """
    require_claims(claims)
    anytime = dataclasses.replace(trials, anytime=True)
    pieces = [piece for each in claims for piece in _evidence(each, anytime) if not _is_settled(piece)]
    every = np.unique(trials.main["cell"]).tolist() if pieces else []
    return frozenset(cell for piece in pieces for cell in piece.cells or every)


def _is_settled(piece: Evidence) -> bool:
    """Whether a piece waits for no seeds."""
    few = piece.asked and piece.asked.quantity.main.trials < MIN_SEEDS
    return piece.verdict in DECIDED or (piece.verdict in _ASIDE and not few)


def _evidence(claim: Claim, trials: Trials) -> list[Evidence]:
    """A claim's evidence, none where the run lacks what it needs."""
    try:
        return claim.evidence(trials)[0]
    except NoTrials:
        return []


@dataclasses.dataclass(frozen=True)
class Needed:
    """How many seeds it takes to decide a piece of a claim: the `median` over repeats, and the number `most` that is
    enough in 95 % of them; infinite where that is more than was looked ahead to."""

    name: str
    median: float
    most: float


def how_many(claim: Claim, pilot: Trials, *, effect: float, repeats: int = 200, root_seed: int = 0) -> list[Needed]:
    """How many seeds each piece of a claim will take until it is decided, if the truth lies so far from its null.

    Seeds of the pilot are drawn again and again, moved so that their mean lies there; shares are drawn anew.

    Args:
      claim: made with `@jm.claim`.
      pilot: trials of a run of few seeds, such as `answer.trials`.
      effect: how far the truth lies from the null in the claimed direction; for sameness, from zero.
      repeats: runs that are simulated.
      root_seed: of the draws.

    Returns:
      One `Needed` a piece that the claim has on the pilot.

    Raises:
      ArgumentError: if the pilot has fewer than 24 seeds, or an argument is not allowed.
    """
    require(isinstance(effect, int | float) and np.isfinite(effect), "effect", effect, "must be a finite number")
    for name, number, least in (("repeats", repeats, 1), ("root_seed", root_seed, 0)):
        require(isinstance(number, int) and number >= least, name, number, f"must be a whole number, at least {least}")
    asked = [(piece.name, piece.asked) for piece in _evidence(claim, pilot) if piece.asked]
    found = []
    for name, each in asked:
        n, mean = each.quantity.main.values.size, each.quantity.main.estimate is None
        require(mean, "claim", name or claim.id, "must ask for means or shares: seeds of a curve cannot be moved")
        require(n >= MIN_SEEDS, "pilot", f"{n} seeds", f"must have at least {MIN_SEEDS} of {name or claim.id}")
        draw = _moved(each, effect)
        rng = np.random.default_rng(root_seed)
        seeds = seeds_needed(draw, each.question, each.quantity.main.range, repeats=repeats, rng=rng)
        found.append(Needed(name, float(np.median(seeds)), float(np.quantile(seeds, 0.95, method="higher"))))
    return found


def _moved(asked: Asked, effect: float) -> Draw:
    """Draws of seeds whose mean lies so far from the null; of zeros and ones with that share of ones."""
    sample, question = asked.quantity.main, asked.question
    truth = question.null + (question.direction or 1) * effect
    values, known = sample.values, sample.range
    if known == (0, 1) and np.isin(values, (0, 1)).all():
        require(0 <= truth <= 1, "effect", effect, "must leave the share between 0 and 1")
        return lambda rng, n: (rng.random(n) < truth).astype(float)
    moved = values - values.mean() + truth
    return lambda rng, n: np.clip(rng.choice(moved, n), *(known or (-np.inf, np.inf)))


def looks_ahead(first: int = 64, most: int = MOST) -> list[int]:
    """Numbers of seeds at which one looks, about half as many more each time."""
    found = [first]
    while found[-1] < most:
        found.append(min(-(-found[-1] * 3 // 2 // 8) * 8, most))
    return found


def seeds_needed(
    draw: Draw, question: Question, range: Range | None, *, repeats: int, rng: np.random.Generator,
    most: int = MOST, first: int = 64,
) -> np.ndarray:  # fmt: skip
    """At how many seeds a question is decided, over simulated runs that are looked at again and again.

    Args:
      draw: of a generator and a number, the numbers of as many seeds.
      question: that is asked.
      range: of the numbers, where it is known.
      repeats: runs.
      rng: the generator.
      most: seeds of a run.
      first: seeds at the first look.

    Returns:
      `(repeats,)`, infinite where a run ends undecided.
    """
    found = np.full(repeats, np.inf)
    for place in np.arange(repeats):
        values = draw(rng, most)
        binary = range == (0, 1) and bool(np.isin(values, (0, 1)).all())
        for n in looks_ahead(first, most):
            seen = share_sequence(values[:n]) if binary else mean_sequence(values[:n], range=range)
            if question.p_value(seen) < _LEVEL:
                found[place] = n
                break
    return found
