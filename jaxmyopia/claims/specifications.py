# SPDX-License-Identifier: Apache-2.0
"""A claim under every specification: each condition, with each choice of thresholds and definitions.

What the estimate hangs on is told by the share of its spread that is due to each choice; whether all specifications
together say what is claimed, by Simonsohn, Simmons and Nelson's joint test, whose null is that there is nothing.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.judged import Evidence, Specifications
from jaxmyopia.stats.decisions import specification_test, variance_by_decision


def _alike(pieces: Sequence[Evidence]) -> list[Evidence]:
    """The pieces that estimate the same thing as the first, against the same null."""
    first = pieces[0]
    same = lambda piece: (piece.statistic, piece.null, piece.direction) == (
        first.statistic, first.null, first.direction
    )  # fmt: skip
    return [piece for piece in pieces if same(piece)]


def specifications(pieces: Sequence[Evidence]) -> Specifications | None:
    """What the estimates of a claim hang on, over all its conditions and thresholds.

    Args:
      pieces: judged; those that estimate the same thing as the first of them, a mean over seeds.

    Returns:
      The `Specifications`; None where there is one specification alone, or what was judged was read back.
    """
    asked = [piece for piece in pieces if piece.asked and not piece.asked.refused and _is_mean(piece)]
    if not asked:
        return None
    factors, samples = [], []
    for piece in _alike(asked):
        quantity = piece.asked.quantity
        for choice, sample in zip(quantity.choices, quantity.samples, strict=True):
            factors.append({**piece.condition, **choice})
            samples.append((sample.seeds, sample.values))
    values = _by_seed(samples)
    try:
        shares = variance_by_decision(factors, values)
    except ArgumentError:  # one specification, or more choices than can be told apart
        return None
    first, test = asked[0], None
    if first.direction:
        rng = np.random.default_rng(0)
        test = specification_test(values, null=first.null, direction=first.direction, rng=rng)
    return Specifications({name: dataclasses.asdict(share) for name, share in shares.items()}, test)


def _is_mean(piece: Evidence) -> bool:
    return piece.asked.quantity.main.estimate is None


def _by_seed(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """`(K, S)` the number of each seed under each specification, NaN where it has none or no finite one."""
    seeds = np.unique(np.concatenate([seed for seed, _ in samples]))
    found = np.full((len(samples), len(seeds)), np.nan)
    for row, (seed, values) in zip(found, samples, strict=True):
        row[np.searchsorted(seeds, seed)] = np.where(np.isfinite(values), values, np.nan)
    return found


def all_together(pieces: Sequence[Evidence]) -> Evidence | None:
    """The pieces as one, whose grid holds every specification, the main one first; None where there is one alone."""
    judged = [piece for piece in pieces if piece.interval.n and piece.verdict not in ("not applicable", "not judged")]
    if not judged:
        return None
    alike = _alike(judged)
    points = [
        dataclasses.replace(point, thresholds={**piece.condition, **point.thresholds})
        for piece in alike
        for point in piece.grid
    ]
    names = itertools.chain.from_iterable(point.thresholds for point in points)
    return dataclasses.replace(alike[0], name="", grid=tuple(points)) if len(points) > 1 and any(names) else None
