# SPDX-License-Identifier: Apache-2.0
"""Where one curve descends and where its plateaus lie, for figures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.measures.descents import descents
from jaxmyopia.measures.noise import CLEAN, noise_level, reversals

_descents = jax.jit(descents)


@dataclasses.dataclass(frozen=True)
class Spans:
    """The records at which descents are fastest, `peaks` `(descents,)`, and each plateau's first and last step."""

    peaks: np.ndarray
    spans: list[tuple[float, float]]


def where_plateaus(steps: np.ndarray, loss: np.ndarray, *, ratio: float, fall: float, noisy: bool = False) -> Spans:
    """Finds where a curve descends and where its plateaus lie.

    Args:
      steps: `(T,)`.
      loss: `(T,)`.
      ratio, fall: of `descents`.
      noisy: whether it may hold noise, whose level is then estimated; where plateaus begin and end is read off means
        of neighbouring records.

    Returns:
      The `Spans`.
    """
    curve, at = jnp.asarray(loss, jnp.float32), jnp.asarray(steps)
    noisy = noisy and bool(reversals(curve) >= CLEAN)
    noise = noise_level(at, curve) if noisy else 0.0
    found = _descents(at, curve, ratio=ratio, fall=fall, noise=noise)
    closed = np.asarray(found.closed)
    peaks, plateau = np.asarray(found.peak)[closed], np.asarray(found.plateau)[closed]
    speed = -np.diff(_means(loss) if noisy else loss) / np.diff(steps)
    spans = []
    for i, (peak, lies_before) in enumerate(zip(peaks, plateau, strict=True)):
        if lies_before:
            first = peaks[i - 1] if i else 0
            slowest = min(speed[peak], speed[peaks[i - 1]]) if i else speed[peak]
            slow = first + np.flatnonzero(speed[first : peak + 1] <= ratio * slowest)
            if len(slow):
                spans.append((float(steps[slow[0]]), float(steps[slow[-1] + 1])))
    return Spans(peaks, spans)


def _means(loss: np.ndarray) -> np.ndarray:
    """Means `(T,)` over the neighbours of each record."""
    half = max(len(loss) // 100, 1)
    padded = np.pad(loss, half, mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
