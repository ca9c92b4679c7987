# SPDX-License-Identifier: Apache-2.0
"""Counts on labelled curves: a sample of every kind."""

import numpy as np
import pytest

from experiments.benchmarks import labelled
from experiments.benchmarks.labelled_curves import KINDS, LEAST_FALL

SMOOTH = ("sigmoids", "an exponential, then sigmoids", "flat tops", "staircases", "drift", "uneven records", "rises")
NOISY = {kind: 0.05 if "0.01," in kind else 0.01 for kind in KINDS if "noise" in kind}
ROUGH = {"spikes": 0.03, "jitter after arrival": 0.01, "jitter of 0.1 to 0.5 % throughout": 0.03} | NOISY


@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_curves_and_rises_are_counted_without_an_error(kind):
    found = labelled.check(kind, 400, 200, "none", root_seed=1)
    assert found.counted.all() and not found.wrong.any()
    assert not any(changed.any() for changed in found.changed.values())


@pytest.mark.parametrize("noise", ["none", pytest.param("estimated", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["spikes", "jitter after arrival"])
def test_spikes_and_jitter_are_hardly_ever_descents(kind, noise):
    found = labelled.check(kind, 400, 200, noise, root_seed=1)
    assert found.wrong.mean() <= ROUGH[kind] and found.counted.mean() >= (1 if noise == "none" else 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*NOISY, "jitter of 0.1 to 0.5 % throughout"])
def test_noisy_curves_are_counted_rightly_or_not_at_all(kind):
    found = labelled.check(kind, 400, 200, "estimated", root_seed=1)
    assert found.counted.mean() > 0.6
    assert found.wrong.sum() <= ROUGH[kind] * found.counted.sum() + 2 * np.sqrt(ROUGH[kind] * found.counted.sum())
    assert found.changed[2].mean() <= 0.02


def test_curves_are_what_they_are_labelled():
    for kind, make in KINDS.items():
        made = [make(np.random.default_rng(seed), np.linspace(0, 1, 200)) for seed in range(30)]
        assert {each.loss.shape for each in made} == {(200,)}, kind
        assert all(np.isfinite(each.loss).all() and np.all(np.diff(each.u) > 0) for each in made), kind
        assert len({each.descents for each in made}) >= 3, kind
        falls = [each.loss[0] - each.loss.min() for each in made if "rises" not in kind and "noise" not in kind]
        assert all(fall > 0.9 * LEAST_FALL * each.descents for fall, each in zip(falls, made, strict=False)), kind
