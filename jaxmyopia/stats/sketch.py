# SPDX-License-Identifier: Apache-2.0
"""A mergeable quantile sketch of curves: values cut to eight significant bits, equal ones counted.

The upper 16 bits of a float32 (sign, exponent, seven bits of fraction) number a bucket; buckets are log-linear, as in
HdrHistogram (Tene), and quantiles are within a relative 2^-8, as DDSketch's (Masson, Rim and Lee, VLDB 2019) are within
theirs. Counts add up: sketches of parts, merged in any order, are the sketch of the whole, to the bit.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

_BITS = 16
_SIGN = np.uint32(1 << 31)


def _buckets(values: np.ndarray) -> np.ndarray:
    """The bucket of each value, uint16, in the order of the values; NaN counts as infinite."""
    values = np.where(np.isnan(values), np.float32(np.inf), values.astype(np.float32))
    bits = values.view(np.uint32)
    # The bits of positive floats grow with them, those of negative ones fall.
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return (ordered >> _BITS).astype(np.uint16)


def _middles(buckets: np.ndarray) -> np.ndarray:
    """The value that stands for a bucket, float64: its middle, and exactly 0 and infinity."""

    def edge(ordered: np.ndarray) -> np.ndarray:
        ordered = ordered.astype(np.uint32)
        bits = np.where(ordered & _SIGN, ordered & ~_SIGN, ~ordered)
        return bits.view(np.float32).astype(float)

    low = buckets.astype(np.uint32) << _BITS
    with np.errstate(invalid="ignore"):  # beyond infinity lie the bits of NaN
        middle = (edge(low) + edge(low | np.uint32((1 << _BITS) - 1))) / 2
    infinite = ~np.isfinite(middle)
    middle[infinite] = np.where(buckets[infinite] >> 15, np.inf, -np.inf)
    return np.where(np.abs(middle) < np.finfo(np.float32).tiny, 0.0, middle)


@dataclasses.dataclass(frozen=True)
class Sketch:
    """Counts of values by group and bucket, `(m,)` each, sorted by both and without repeats.

    `group`: int32, `record * columns + column`. `bucket`: uint16. `count`: int64. `shape`: `(T, columns)`, where a
    column is a combination of settings.
    """

    group: np.ndarray
    bucket: np.ndarray
    count: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, values: np.ndarray, column: np.ndarray, columns: int) -> "Sketch":
        """The sketch of curves.

        Args:
          values: `(T, trials)`.
          column: `(trials,)` which column each trial belongs to.
          columns: how many there are.

        Returns:
          The `Sketch`, `(T, columns)` groups.
        """
        buckets, pieces = _buckets(values), []
        for number in range(columns):
            mine = np.sort(buckets[:, column == number], axis=1, kind="stable")
            if mine.size:
                new = np.concatenate([np.ones((len(mine), 1), bool), mine[:, 1:] != mine[:, :-1]], axis=1)
                record, _ = np.nonzero(new)
                starts = np.append(np.flatnonzero(new), mine.size)
                pieces.append((record * columns + number, mine[new], np.diff(starts)))
        return cls._joined(pieces, (len(values), columns))

    @classmethod
    def merged(cls, sketches: Sequence["Sketch"]) -> "Sketch":
        """The sketch of all that several, `(k,)` of one shape, were made of."""
        (shape,) = {sketch.shape for sketch in sketches}
        return cls._joined([(sketch.group, sketch.bucket, sketch.count) for sketch in sketches], shape)

    @classmethod
    def _joined(cls, pieces: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], shape: tuple[int, int]) -> "Sketch":
        group, bucket, count = (np.concatenate(column) for column in zip(*pieces, strict=True))
        key = group.astype(np.int64) << _BITS | bucket
        order = np.argsort(key, kind="stable")
        key, count = key[order], count[order].astype(np.int64)
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        key, count = key[starts], np.add.reduceat(count, starts)
        return cls((key >> _BITS).astype(np.int32), (key & 0xFFFF).astype(np.uint16), count, shape)

    def _cumulative(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Running counts `(m + 1,)`, and each group's first and last place in them `(groups,)`."""
        groups = np.arange(self.shape[0] * self.shape[1])
        ends = np.searchsorted(self.group, groups, side="right")
        return np.append(0, np.cumsum(self.count)), np.append(0, ends[:-1]), ends

    def counts(self) -> np.ndarray:
        """How many values each group holds, `(T, columns)`."""
        running, first, last = self._cumulative()
        return (running[last] - running[first]).reshape(self.shape)

    def quantile(self, q: float) -> np.ndarray:
        """The value of nearest rank below which a share `q` lies, within a relative 2^-8: `(T, columns)`."""
        running, first, last = self._cumulative()
        size = running[last] - running[first]
        rank = np.floor(q * (np.maximum(size, 1) - 1) + 0.5).astype(np.int64)
        place = np.searchsorted(running, running[first] + rank, side="right") - 1
        found = _middles(self.bucket[np.minimum(place, len(self.bucket) - 1)])
        return np.where(size > 0, found, np.nan).reshape(self.shape)

    def share_below(self, value: float) -> np.ndarray:
        """The share of values below `value`, of those in its own bucket none: `(T, columns)`, NaN where empty."""
        running, first, last = self._cumulative()
        below = np.append(0, np.cumsum(np.where(self.bucket < _buckets(np.array([value]))[0], self.count, 0)))
        size = running[last] - running[first]
        with np.errstate(invalid="ignore"):
            return ((below[last] - below[first]) / size).reshape(self.shape)

    def mean(self) -> np.ndarray:
        """The mean of each group's values, within a relative 2^-8 where they have one sign: `(T, columns)`."""
        return self._total(_middles(self.bucket)) / self._size()

    def standard_error(self) -> np.ndarray:
        """The standard error of that mean, `(T, columns)`."""
        values = _middles(self.bucket)
        values = values - self.mean().ravel()[self.group]
        return np.sqrt(self._total(values**2)) / self._size()

    def _total(self, values: np.ndarray) -> np.ndarray:
        weights = values * self.count
        return np.bincount(self.group, weights, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    def _size(self) -> np.ndarray:
        return np.where(self.counts() > 0, self.counts(), np.nan)
