# SPDX-License-Identifier: Apache-2.0
"""Where one curve descends and where its plateaus lie, for figures."""

import dataclasses

import jax
import numpy as np

from jaxmyopia.measures.descents import descents

_descents = jax.jit(descents)


@dataclasses.dataclass(frozen=True)
class Spans:
    """The records at which descents are fastest, `peaks` `(descents,)`, and each plateau's first and last step."""

    peaks: np.ndarray
    spans: list[tuple[float, float]]


def where_plateaus(steps: np.ndarray, loss: np.ndarray, *, ratio: float, fall: float) -> Spans:
    """Finds where a curve descends and where its plateaus lie.

    Args:
      steps: `(T,)`.
      loss: `(T,)`.
      ratio, fall: of `descents`.

    Returns:
      The `Spans`.
    """
    found = _descents(steps, loss.astype(np.float32), ratio=ratio, fall=fall)
    closed = np.asarray(found.closed)
    peaks, plateau = np.asarray(found.peak)[closed], np.asarray(found.plateau)[closed]
    speed = -np.diff(loss) / np.diff(steps)
    spans = []
    for i, (peak, lies_before) in enumerate(zip(peaks, plateau, strict=True)):
        if lies_before:
            first = peaks[i - 1] if i else 0
            slowest = min(speed[peak], speed[peaks[i - 1]]) if i else speed[peak]
            slow = first + np.flatnonzero(speed[first : peak + 1] <= ratio * slowest)
            spans.append((float(steps[slow[0]]), float(steps[slow[-1] + 1])))
    return Spans(peaks, spans)
