# SPDX-License-Identifier: Apache-2.0
"""Confidence sequences: estimates whose intervals hold at every number of seeds at once."""

import numpy as np

from jaxmyopia.stats.estimates import Estimate, of_mean, of_share
from jaxmyopia.stats.intervals import Range


def share_sequence(shown: np.ndarray) -> Estimate:
    """As `of_share`, of seeds in their order `(S,)`, whenever one stops."""
    return of_share(shown)


def mean_sequence(sample: np.ndarray, *, range: Range | None = None) -> Estimate:
    """As `of_mean`, of seeds in their order `(S,)`, whenever one stops."""
    return of_mean(sample, range=range)
