# SPDX-License-Identifier: Apache-2.0
"""What the analyst's choices do to an estimate: variance by decision, and the joint test over all specifications.

A specification is one combination of choices (thresholds, definitions, settings). With e_k the estimate under
specification k of K, V = sum_k (e_k - mean)^2 / K is the spread over them, and R(A) the share of V that the main
effects of the choices A explain, each level of a choice by itself (numbers too). The share of a choice f is Shapley's,

  share(f) = sum over A without f of |A|! (F - |A| - 1)! / F! (R(A + f) - R(A)),

at least 0, and summing to R(all) <= 1 on any grid; choices that always change together halve what they explain. Where
every combination appears equally often it is the first-order index of Sobol', the variance of the level means over V.

Sources: Lindeman, Merenda and Gold (1980) and Shapley (1953), the shares; Sobol' (1993) and Homma and Saltelli (1996),
first-order and total indices; Simonsohn, Simmons and Nelson (2020), "Specification curve analysis".
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from jaxmyopia.checks import require
from jaxmyopia.stats.intervals import varies

INTERACTIONS, NOISE = "interactions", "sampling noise"
_MOST = 10  # choices on an unbalanced grid, which takes a fit for each subset of them
_LEVEL = 0.05  # of each specification's own test
_BATCH = 4_000_000  # signs that are held at a time


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of the variance of estimates over specifications.

    `share`: of the choice by itself. `total`: with all interactions that it takes part in; NaN where the grid is not
    balanced. `noise`: how much of `share` the estimates' sampling errors alone would give on average; NaN where no
    errors are known.
    """

    share: float
    total: float = math.nan
    noise: float = math.nan


@dataclasses.dataclass(frozen=True)
class SpecificationTest:
    """Whether all specifications together say what is claimed.

    `specifications`: how many were tested. `seeds`: that have a number under one of them at least. `median`: of the
    estimates. `claimed`: the share of specifications whose estimate lies on the claimed side of the null;
    `significant`: the share whose own two-sided 5 % t test says so. `p_median`, `p_claimed`, `p_significant`: how often
    as much is seen where there is nothing.
    """

    specifications: int
    seeds: int
    median: float
    claimed: float
    significant: float
    p_median: float
    p_claimed: float
    p_significant: float


def variance_by_decision(
    factors: Sequence[Mapping[str, object]], estimates: np.ndarray, *, errors: np.ndarray | None = None
) -> dict[str, Share]:
    """How much of the spread of estimates over specifications is due to each choice.

    Args:
      factors: `(K,)` the choices that make each specification, values by name; one that lacks a name has None there.
      estimates: `(K,)`; or `(K, S)`, the number that each seed gives under each specification, whose means over seeds
        are the estimates. Specifications without an estimate (NaN) are left out.
      errors: `(K,)` standard errors of estimates that rest on different seeds; without use for `(K, S)`, whose noise is
        that of the differences within seeds.

    Returns:
      The `Share` of each choice that varies, by name; of `interactions`, the rest to 1, which main effects do not
      explain; and of `sampling noise`, of the variance as a whole: it is part of the others, not one beside them.
      Shares are NaN where the estimates do not vary.

    Raises:
      ArgumentError: if the sizes differ, fewer than two estimates are left, a choice has the name of one of the parts,
        or more than 10 choices vary on an unbalanced grid.
    """
    estimates = np.asarray(estimates, float)
    fits = len(factors) == len(estimates) and estimates.ndim in (1, 2)
    require(fits, "estimates", estimates.shape, f"must be one a specification, of which there are {len(factors)}")
    means, noise = _estimates_and_noise(estimates, errors)
    kept = np.isfinite(means)
    require(int(kept.sum()) > 1, "estimates", f"{int(kept.sum())} finite", "must be at least two")
    levels = _levels([each for each, keep in zip(factors, kept, strict=True) if keep])
    if noise.shape[1] > len(noise):  # a smaller root of the same covariance
        noise = scipy.linalg.qr(noise.T, mode="r")[0][: len(noise)].T
    columns = np.column_stack([means[kept], noise[kept]])
    columns = columns - columns.mean(axis=0)
    variance = float((columns[:, 0] ** 2).sum()) if varies(means[kept]) else math.nan
    return _shares(levels, columns[:, :1], columns[:, 1:], variance)


def _estimates_and_noise(estimates: np.ndarray, errors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """`(K,)` estimates, and `(K, m)` a root of their errors' covariance, without columns where it is not known."""
    if estimates.ndim == 1:
        if errors is None:
            return estimates, np.zeros((estimates.size, 0))
        errors = np.asarray(errors, float)
        fine = errors.shape == estimates.shape and bool((errors[np.isfinite(estimates)] >= 0).all())
        require(fine, "errors", errors.shape, f"must be {estimates.size} numbers of at least 0, one an estimate")
        return estimates, np.diag(errors)
    n = np.isfinite(estimates).sum(axis=1, keepdims=True)
    numbers = np.where(np.isfinite(estimates), estimates, 0)
    means = np.where(n > 0, numbers.sum(axis=1, keepdims=True) / np.maximum(n, 1), np.nan)
    spread = np.where(np.isfinite(estimates), estimates - means, 0)
    return means[:, 0], spread / np.sqrt(np.maximum(n * (n - 1), 1))


def _levels(factors: Sequence[Mapping[str, object]]) -> dict[str, np.ndarray]:
    """`(K,)` the number of the level that each specification has, of every choice that varies."""
    names = dict.fromkeys(name for each in factors for name in each)
    found = {}
    for name in names:
        require(name not in (INTERACTIONS, NOISE), "factors", name, "must not have the name of a part of the variance")
        values = [each.get(name) for each in factors]
        places = {value: place for place, value in enumerate(dict.fromkeys(values))}
        if len(places) > 1:
            found[name] = np.array([places[value] for value in values])
    return found


def _shares(
    levels: Mapping[str, np.ndarray], means: np.ndarray, noise: np.ndarray, variance: float
) -> dict[str, Share]:
    """The shares of a variance, by centred `(K, 1)` estimates and `(K, m)` noise, whose squares add up."""
    apart = 1 if noise.size else math.nan
    balanced = _balanced(levels)
    if not balanced:
        allowed = f"must be at most {_MOST} that vary, or a grid that has every combination equally often"
        require(len(levels) <= _MOST, "factors", len(levels), allowed)
    parts = _orthogonal if balanced else _shapley
    by_means, by_noise = parts(levels, means), parts(levels, noise)
    found = {}
    for name in levels:
        total = _with_interactions(levels, name, means) / variance if balanced else math.nan
        found[name] = Share(by_means[name] / variance, total, apart * by_noise[name] / variance)
    squares, whole = float((means**2).sum()), float((noise**2).sum())
    rest, of_noise = max(squares - sum(by_means.values()), 0), max(whole - sum(by_noise.values()), 0)
    found[INTERACTIONS] = Share(rest / variance, noise=apart * of_noise / variance)
    found[NOISE] = Share(apart * whole / variance, noise=apart * whole / variance)
    return found


def _balanced(levels: Mapping[str, np.ndarray]) -> bool:
    """Whether every combination of levels appears, and equally often."""
    counts = np.unique(_cells(levels), return_counts=True)[1]
    return len(counts) == math.prod(int(each.max()) + 1 for each in levels.values()) and np.ptp(counts) == 0


def _cells(levels: Mapping[str, np.ndarray]) -> np.ndarray:
    """`(K,)` one number a combination of levels; a single one of no choice."""
    if not levels:
        return np.zeros(1, int)
    return np.unique(np.column_stack(list(levels.values())), axis=0, return_inverse=True)[1].ravel()


def _between(cells: np.ndarray, columns: np.ndarray) -> float:
    """The sum of squares of `(K, m)` columns' means over the specifications of a cell."""
    sums = np.zeros((int(cells.max()) + 1, columns.shape[1]))
    np.add.at(sums, cells, columns)
    return float((sums**2 / np.bincount(cells)[:, None]).sum())


def _orthogonal(levels: Mapping[str, np.ndarray], columns: np.ndarray) -> dict[str, float]:
    return {name: _between(each, columns) for name, each in levels.items()}


def _with_interactions(levels: Mapping[str, np.ndarray], name: str, columns: np.ndarray) -> float:
    others = {other: each for other, each in levels.items() if other != name}
    without = _between(_cells(others), columns) if others else 0.0
    return _between(_cells(levels), columns) - without


def _shapley(levels: Mapping[str, np.ndarray], columns: np.ndarray) -> dict[str, float]:
    """Each choice's part of the sum of squares that the main effects explain."""
    names = list(levels)
    explained = {
        chosen: _explained([levels[name] for name in chosen], columns)
        for size in range(len(names) + 1)
        for chosen in itertools.combinations(names, size)
    }
    found = dict.fromkeys(names, 0.0)
    for chosen, value in explained.items():
        for name in names:
            others = len(chosen) - (name in chosen)
            orders = math.factorial(others) * math.factorial(len(names) - others - 1) / math.factorial(len(names))
            found[name] += (orders if name in chosen else -orders) * value
    return {name: max(value, 0.0) for name, value in found.items()}


def _explained(levels: Sequence[np.ndarray], columns: np.ndarray) -> float:
    """The sum of squares of centred `(K, m)` columns that a main effect of each choice explains."""
    if not levels:
        return 0.0
    dummies = np.column_stack([np.eye(int(each.max()) + 1)[each][:, 1:] for each in levels])
    dummies -= dummies.mean(axis=0)
    left, sizes, _ = np.linalg.svd(dummies, full_matrices=False)  # choices that change together have no full rank
    return float(((left[:, sizes > 1e-9 * sizes[0]].T @ columns) ** 2).sum())


def specification_test(
    values: np.ndarray, *, null: float = 0.0, direction: int = 1, resamples: int = 999, rng: np.random.Generator
) -> SpecificationTest:
    """Tests all specifications jointly, by flipping a seed's numbers to the other side of the null in all of them.

    What is seen is as probable with any signs if seeds are independent and their numbers, all specifications' together,
    lie symmetrically around the null; how specifications depend on one another stays as it is.

    Args:
      values: `(K, S)` the number that each seed gives under each specification, such as a paired difference; NaN where
        it gives none. Specifications with fewer than two numbers are left out.
      null: the value that says nothing either way.
      direction: +1 if the claim says above it, -1 if below.
      resamples: permutations.
      rng: the generator of the signs.

    Returns:
      The `SpecificationTest`; its p-values count the signs as they were among the permutations.

    Raises:
      ArgumentError: if `values` is no matrix with a specification that has two numbers, or the direction is none.

    Source: Simonsohn, Simmons and Nelson (2020), the three test statistics of their joint inference.
    """
    values = np.asarray(values, float)
    require(values.ndim == 2, "values", values.shape, "must be numbers (specifications, seeds)")
    require(direction in (1, -1), "direction", direction, "must be 1 or -1")
    require(resamples > 0, "resamples", resamples, "must be positive")
    values = values[np.isfinite(values).sum(axis=1) > 1]
    require(len(values) > 0, "values", values.shape, "must have a specification under which two seeds give a number")
    known = np.isfinite(values)
    away = np.where(known, direction * (values - null), 0).T
    n, squares = known.sum(axis=1), (away**2).sum(axis=0)
    seen = _three(np.ones((1, len(away))), away, n, squares)
    rounding = 1e-12 * np.array([np.sqrt(squares / n).max(), 1, 1])
    at_least = np.zeros(3)
    for start in range(0, resamples, step := max(1, _BATCH // len(away))):
        signs = 2.0 * rng.integers(0, 2, (min(step, resamples - start), len(away)), dtype=np.int8) - 1
        drawn = _three(signs, away, n, squares)
        at_least += (drawn >= seen - rounding).sum(axis=0)
    median, claimed, significant = seen[0]
    p_values = (1 + at_least) / (1 + resamples)
    return SpecificationTest(
        len(values), int(known.any(axis=0).sum()), null + direction * float(median), float(claimed),
        float(significant), *map(float, p_values),
    )  # fmt: skip


def _three(signs: np.ndarray, away: np.ndarray, n: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """`(B, 3)` the median estimate, the share above 0 and the share significantly so, for `(B, S)` signs of the numbers
    `away` `(S, K)`, of which `n` `(K,)` are known and `squares` `(K,)` are the sums of squares, whatever the signs."""
    means = signs @ away / n
    means[np.abs(means) < 1e-12 * np.sqrt(squares / n)] = 0  # but for rounding
    errors = np.sqrt(np.maximum(squares / n - means**2, 0) / (n - 1))
    least = scipy.stats.t.ppf(1 - _LEVEL / 2, n - 1) * errors
    shares = [(means > 0).mean(axis=1), ((means > least) & (means > 0)).mean(axis=1)]
    return np.column_stack([np.median(means, axis=1), *shares])
