# SPDX-License-Identifier: Apache-2.0
"""Curves over a setting: bands that hold at all their points at once, and intervals of what their mean's shape is.

Each of S seeds has a value at each of C points; seeds are independent, the points of one are not. Of each of K numbers
of the mean curve (its points, or the differences of all pairs of them) there is an estimate, with an interval at any
level (`estimates`). A band at 1 - alpha is made of their intervals at one level 1 - a, such that all hold at once:

  a = alpha / K                                              Bonferroni, whatever the numbers are
  P(min_k p_k < a) = alpha, p_k = 2 Phi(-|G_k| / s_k)        where there is nothing, and G is normal as the seeds are

whichever a is greater. G has the covariance of the seeds' means, with errors s: given the seeds that is the Gaussian
multiplier bootstrap, drawn with a fixed generator. Since a is a level of the estimates' own intervals, these are as
wide as few seeds (Student's t) and skewness ask for. Where one of the K does not vary enough for t, and in sequences,
which hold whenever one stops, Bonferroni's a alone is taken.

A shape is a greatest of least differences, max over ways of min over pairs (a, b) of t_b - t_a. It rises with each, so
that it lies between what it is of the lower and of the upper ends of the band of differences, wherever that holds.

  rise     t_b - t_a, a < b                                                  fall   t_a - t_b, a < b
  dip      min(t_l - t_v, t_r - t_v), l < v < r                              peaks may lie at an edge
  valley   min(t_l - t_0, t_l - t_v, t_r - t_v, t_r - t_{C-1}), 0 < l < v < r < C - 1      both peaks are interior

Sources: Chernozhukov, Chetverikov and Kato (2013), the bootstrap of maxima; Montiel Olea and Plagborg-Moller (2019),
"Simultaneous confidence bands"; Westfall and Young (1993), p-values adjusted by the least of them.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy

from jaxmyopia.checks import require
from jaxmyopia.stats.estimates import Estimate, Studentised, of_mean, undefined
from jaxmyopia.stats.intervals import Interval, Range
from jaxmyopia.stats.sequences import mean_sequence

RESAMPLES = 9999
_AT_ONCE = 500  # resamples, whose differences take 16 MB at 64 points


@dataclasses.dataclass(frozen=True)
class Shape:
    """What may be asked of a curve.

    `name`: of the shape. `least`: points that a curve must have. `places`: what the points are that make it, in words.
    `ways(points)`: places `(W, len(places))` in their order, all that there are. `pairs(points, places)`: the pairs
    (a, b) whose t_b - t_a must all be great, `(W, pairs, 2)`.
    """

    name: str
    least: int
    places: tuple[str, ...]
    ways: Callable[[int], np.ndarray]
    pairs: Callable[[int, np.ndarray], np.ndarray]

    def of(self, differences: np.ndarray) -> float:
        """The shape by differences `(C, C)`, of the curve's value at the second place less that at the first."""
        return float(self._by_way(differences).max())

    def at(self, means: np.ndarray) -> dict[str, int]:
        """The points that make the shape of a curve `(C,)`, by what they are."""
        best = int(self._by_way(means[None, :] - means[:, None]).argmax())
        return dict(zip(self.places, self.ways(len(means))[best].tolist(), strict=True))

    def _by_way(self, differences: np.ndarray) -> np.ndarray:
        pairs = _pairs(self, len(differences))
        return differences[pairs[..., 0], pairs[..., 1]].min(axis=1)


@functools.lru_cache(maxsize=64)
def _pairs(shape: Shape, points: int) -> np.ndarray:
    return shape.pairs(points, shape.ways(points))


def _ordered(points: Sequence[int], size: int) -> np.ndarray:
    return np.array(list(itertools.combinations(points, size)))


def _triples(points: int, places: np.ndarray, *, inner: bool) -> np.ndarray:
    left, valley, right = places.T
    first, last = np.zeros_like(left), np.full_like(left, points - 1)
    edges = [(first, left), (last, right)] if inner else []
    return np.array([(valley, left), (valley, right), *edges]).transpose(2, 0, 1)


_TRIPLE = ("first peak", "valley", "second peak")
SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            "valley", 5, _TRIPLE, lambda points: _ordered(range(1, points - 1), 3),
            functools.partial(_triples, inner=True),
        ),
        Shape("dip", 3, _TRIPLE, lambda points: _ordered(range(points), 3), functools.partial(_triples, inner=False)),
        Shape(
            "rise", 2, ("from", "to"), lambda points: _ordered(range(points), 2),
            lambda points, places: places[:, None, :],
        ),
        Shape(
            "fall", 2, ("from", "to"), lambda points: _ordered(range(points), 2),
            lambda points, places: places[:, None, ::-1],
        ),
    )
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Band:
    """Estimates whose intervals hold at once.

    `estimates`: `(K,)`. `family`: how many there could be, at least K. `least`: `(B,)` the least of the K p-values
    where there is nothing, in their order; empty where Bonferroni's bound alone holds.
    """

    estimates: tuple[Estimate, ...]
    family: int
    least: np.ndarray

    @property
    def why(self) -> str:
        """Why there is no band, if one estimate has no interval; else empty."""
        return next((each.why for each in self.estimates if each.method == "none"), "")

    def adjusted(self, p_value: float) -> float:
        """The p-value of the band, of the p-value of one estimate that was chosen for being small."""
        found = min(1.0, self.family * p_value)
        if self.least.size:
            found = min(found, (1 + int(np.searchsorted(self.least, p_value, "right"))) / (1 + self.least.size))
        return max(found, p_value)

    def alone(self, alpha: float) -> float:
        """What is left to each interval, if the band is to miss in `alpha`: the greatest p-value adjusted to it."""
        found = alpha / self.family
        below = math.ceil(alpha * (1 + self.least.size)) - 1
        if 0 < below <= self.least.size:
            found = max(found, float(self.least[below - 1]))
        return min(found, alpha)

    def ends(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper ends `(K,)` of the intervals that hold at once."""
        single = 1 - self.alone(1 - level)
        intervals = [each.interval(single) for each in self.estimates]
        return np.array([each.low for each in intervals]), np.array([each.high for each in intervals])


def band_of(
    values: np.ndarray, contrasts: np.ndarray, *, range: Range | None, anytime: bool = False, family: int = 0
) -> Band:
    """The band of several numbers of a mean curve.

    Args:
      values: `(S, C)`, a row a seed.
      contrasts: `(K, C)`, the numbers as sums of the curve's points: a one for a point, a one and a minus one for a
        difference.
      range: of each number of one seed, where it is known.
      anytime: whether it is to hold whenever one stops adding seeds.
      family: of how many numbers the K are; by default they are all.

    Returns:
      The `Band`.
    """
    estimate = mean_sequence if anytime else of_mean
    estimates = tuple(estimate(each, range=range) for each in contrasts @ values.T)
    regular = not anytime and all(isinstance(each, Studentised) for each in estimates)
    least = _least(values, contrasts) if regular else np.zeros(0)
    return Band(estimates, max(family, len(contrasts)), least)


def _least(values: np.ndarray, contrasts: np.ndarray) -> np.ndarray:
    """`(B,)` the least p-value of the contrasts `(K, C)` where there is nothing, in each of many resamples, sorted."""
    told = values @ (np.linalg.pinv(contrasts) @ contrasts)  # without what plays no part, such as a constant a seed
    covariance = np.cov(told, rowvar=False).reshape(values.shape[1], -1)
    sizes, directions = np.linalg.eigh(covariance)
    root = (directions * np.sqrt(np.maximum(sizes, 0))) @ directions.T  # whatever signs the directions have
    spread = contrasts @ root
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)
    rng, found = np.random.default_rng(0), []
    for start in range(0, RESAMPLES, _AT_ONCE):
        drawn = rng.standard_normal((min(_AT_ONCE, RESAMPLES - start), values.shape[1]))
        found.append(np.abs(drawn @ spread.T).max(axis=1))
    greatest = np.round(np.concatenate(found), 9)  # the last bits hang on how many threads add
    return np.sort(2 * scipy.special.ndtr(-greatest))


@dataclasses.dataclass(frozen=True, eq=False)
class _OfShape(Estimate):
    """The shape of the mean curve, by the `band` of its differences, pairs in the order of `numpy.triu_indices`."""

    shape: Shape = SHAPES["rise"]
    points: int = 2
    band: Band = dataclasses.field(default_factory=lambda: Band((), 1, np.zeros(0)), repr=False)
    method: str = "simultaneous band"

    def _both(self, forward: np.ndarray, back: np.ndarray) -> float:
        """The shape, by numbers of all pairs one way and the other."""
        square = np.zeros((self.points, self.points))
        first, second = np.triu_indices(self.points, 1)
        square[first, second], square[second, first] = forward, back
        return self.shape.of(square)

    def interval(self, level: float = 0.95) -> Interval:
        low, high = self.band.ends(level)
        return self._between(self._both(low, -high), self._both(high, -low), level)

    def p_value(self, value: float) -> float:
        forward, back = self._scores(value, 1), self._scores(-value, -1)
        return self.band.adjusted(math.exp(-abs(self._both(forward, back))))

    def _scores(self, value: float, sign: int) -> np.ndarray:
        """How surely each difference, taken with a sign, is above a value: minus the log of its p-value, or the log
        where it lies below."""
        with np.errstate(divide="ignore"):
            certain = -np.log([min(each.p_value(value), 1.0) for each in self.band.estimates])
        return np.where([sign * (each.estimate - value) > 0 for each in self.band.estimates], certain, -certain)


def of_shape(
    values: np.ndarray, shape: Shape, *, range: Range | None = None, anytime: bool = False, points: int = 0
) -> Estimate:
    """The shape of a mean curve, such as its deepest valley.

    Args:
      values: `(S, C)`, a row a seed.
      shape: one of `SHAPES`.
      range: the least and the greatest value that there can be, where it is known; without it there is no interval
        where two points differ by the same in all or almost all seeds.
      anytime: whether intervals are to hold whenever one stops adding seeds.
      points: of the whole curve, where some were left out.

    Returns:
      The `Estimate`, without an interval where a difference has none.

    Raises:
      ArgumentError: if the curve has too few points.
    """
    values = np.asarray(values, float)
    require(values.ndim == 2, "values", values.shape, "must be (seeds, points)")
    count = values.shape[1]
    require(count >= shape.least, "points", count, f"must be at least {shape.least} for a {shape.name}")
    refused = undefined(values.sum(axis=1))
    if refused is not None:
        return refused
    first, second = np.triu_indices(count, 1)
    contrasts = np.eye(count)[second] - np.eye(count)[first]
    wide = range and (range[0] - range[1], range[1] - range[0])
    band = band_of(values, contrasts, range=wide, anytime=anytime, family=math.comb(max(points, count), 2))
    means = values.mean(axis=0)
    found, why = shape.of(means[None, :] - means[:, None]), band.why
    if why:
        return Estimate(found, len(values), why=f"of two points of the curve, {why}")
    return _OfShape(found, len(values), shape=shape, points=count, band=band)


def band_of_curve(
    values: np.ndarray, *, range: Range | None = None, anytime: bool = False, points: int = 0, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """The band in which the mean curve lies at all its points at once.

    Args:
      values: `(S, C)`, a row a seed.
      range, anytime, points: as of `of_shape`.
      level: nominal coverage.

    Returns:
      Its lower and upper ends `(C,)`, NaN at a point that has no interval.
    """
    every = np.eye(values.shape[1])
    return band_of(values, every, range=range, anytime=anytime, family=max(points, len(every))).ends(level)
