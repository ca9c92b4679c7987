# SPDX-License-Identifier: Apache-2.0
"""How often the rule of verdicts finds a difference where there is none: SGD against SGD, on bumps that were run."""

import collections

import numpy as np
import pytest

from jaxmyopia.claims.verdicts import GridPoint, judge
from jaxmyopia.engine.chunk import run_chunks
from jaxmyopia.stats.intervals import bca_mean
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

PAIRS, TRIALS, RESAMPLES = 64, 1000, 499
BUMPS = Thresholds().bumps


@pytest.fixture(scope="module")
def bumps() -> np.ndarray:
    """Bumps a pair of 2048 seeds at every threshold, `(2048, thresholds)`."""
    sweep = (("learning_rate", (0.01,)), ("init_scale", (1.0,)))
    cell = Cell(study=LowRank(n=10, rank=4), sweep=sweep, seeds=2048, steps=400, records=128)
    parts = list(run_chunks(cell, root_seed=3))
    assert not any(part.rows["diverged"].any() for part in parts)
    return np.stack([np.concatenate([part.rows[name] for part in parts]) for name in BUMPS.columns], axis=1)


def verdicts(bumps: np.ndarray, trials: int, effect: float) -> collections.Counter:
    """Verdicts on PAIRS pairs of distinct seeds, drawn again for every trial; `effect` is added to one of each pair."""
    rng, found = np.random.default_rng(0), collections.Counter()
    for _ in range(trials):
        one, other = bumps[rng.choice(len(bumps), (2, PAIRS), replace=False)]
        difference = one + effect - other
        interval = bca_mean(difference[:, 0], rng=rng, resamples=RESAMPLES)
        means = zip(BUMPS.choices, difference.mean(axis=0), strict=True)
        grid = [GridPoint(choice, mean, np.nan, np.nan) for choice, mean in means]
        found[judge(interval, null=0.0, direction=1, grid=grid)[0]] += 1
    return found


def test_the_rule_finds_no_difference_between_sgd_and_itself_but_for_its_error_rate(bumps):
    found = verdicts(bumps, TRIALS, effect=0.0)
    rate = (found["supported"] + found["contradicted"]) / TRIALS
    print(f"false positives: {rate:.1%} of {TRIALS} trials of {PAIRS} pairs, {dict(found)}")
    # The nominal rate, and three standard errors of TRIALS trials. (BCa's interval of 64 pairs is a little narrow: over
    # 6500 trials the rate was 6.1 %.)
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS)


def test_the_rule_finds_a_difference_that_is_there(bumps):
    # Of half a standard deviation of the differences: 64 pairs find that with a power of 0.98.
    effect = 0.5 * np.sqrt(2) * bumps[:, 0].std()
    assert verdicts(bumps, 100, effect)["supported"] >= 85
    assert verdicts(bumps, 100, -effect)["contradicted"] >= 85
