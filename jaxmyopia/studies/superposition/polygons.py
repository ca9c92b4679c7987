# SPDX-License-Identifier: Apache-2.0
"""Regular polygons: the critical points of the exact loss in two dimensions, and their losses.

k of the F columns of W (2, F) are r (cos 2 pi i / k, sin 2 pi i / k) with one bias b <= 0; the others are zero. A zero
column gives a constant: 0 if its bias is not positive, else, at best, 1 / 2F, the mean of its feature. Of the F - k
others let s have the positive bias. By symmetry all forces between the columns are radial, so that W is critical in
all of its entries once it is in r and b:

  F V L(r, b) = sum_j e([j = 0], r^2 cos(2 pi j / k), b) + (F - k) / 3 - s / 4F

with e and V as in `model`, the importances being 1. (r, b) is found by Newton's method in double precision.

Source: Chen, Lau, Mendel, Wei and Murfet (2023), arXiv 2310.06301, who call them k^{s+}.
"""

import dataclasses
import functools
import math

import numpy as np
import scipy

from jaxmyopia.checks import require


@dataclasses.dataclass(frozen=True)
class Polygon:
    """A critical point: `sides` k, `positive` s, `radius` r, `bias` b, `loss` L, the share of the variance left."""

    sides: int
    positive: int
    radius: float
    bias: float
    loss: float

    def columns(self, features: int) -> tuple[np.ndarray, np.ndarray]:
        """Its W `(2, F)` and b `(F,)`; the zero columns that have no positive bias have -1."""
        angles = 2 * np.pi * np.arange(self.sides) / self.sides
        weights = np.zeros((2, features))
        weights[:, : self.sides] = self.radius * np.array([np.cos(angles), np.sin(angles)])
        biases = np.full(features, -1.0)
        biases[: self.sides] = self.bias
        biases[self.sides : self.sides + self.positive] = 1 / (2 * features)
        return weights, biases


def _error(own: float, gain: float, bias: float) -> float:
    """e(a, c, b) of `model` for b <= 0."""
    if gain + bias <= 0:
        return own * own / 3
    low = 0.0 if bias >= 0 else -bias / gain
    first, second, third = 1 - low, 1 - low**2, 1 - low**3
    square = gain * gain * third / 3 + gain * bias * second + bias * bias * first
    return own * own / 3 - 2 * own * (gain * third / 3 + bias * second / 2) + square


def _of_polygon(sides: int, squared_radius: float, bias: float) -> float:
    """sum_j e of one feature's k outputs."""
    gains = squared_radius * np.cos(2 * np.pi * np.arange(sides) / sides)
    return sum(_error(float(place == 0), float(gain), bias) for place, gain in enumerate(gains))


@functools.cache
def _shape(sides: int) -> tuple[float, float, float]:
    """The r, b and sum of e of the best polygon of so many sides: none hangs on F."""
    value = lambda x: _of_polygon(sides, math.exp(x[0]), min(x[1], 0.0))
    fitted = [
        scipy.optimize.minimize(value, (0.1, bias), method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-16})
        for bias in (-0.02, -0.5)
    ]
    best = min(fitted, key=lambda found: found.fun)
    return math.exp(best.x[0] / 2), min(float(best.x[1]), 0.0), float(best.fun)


def polygon(sides: int, positive: int, features: int) -> Polygon:
    """The regular polygon of least loss among those with so many sides.

    >>> polygon(4, 1, 5).loss  # a square, and the mean of the fifth feature
    0.2

    Args:
      sides: k, from 2 to F.
      positive: s, from 0 to F - k.
      features: F.

    Returns:
      The `Polygon`.

    Raises:
      ArgumentError: if there is none.
    """
    require(2 <= sides <= features, "sides", sides, f"must be from 2 to features={features}")
    require(0 <= positive <= features - sides, "positive", positive, f"must be from 0 to {features - sides}")
    radius, bias, error = _shape(sides)
    each = 1 / 3 - 1 / (4 * features)
    left = (features - sides) / 3 - positive / (4 * features)
    return Polygon(sides, positive, radius, bias, round((sides * error + left) / (features * each), 12))


@functools.cache
def polygons(features: int) -> tuple[Polygon, ...]:
    """All regular polygons of F features, by their sides and positive biases."""
    several = ((k, s) for k in range(2, features + 1) for s in range(features - k + 1))
    return tuple(polygon(k, s, features) for k, s in several)
