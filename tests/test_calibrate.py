# SPDX-License-Identifier: Apache-2.0
"""How often claims are wrong where there is nothing to find, on trials made up and on those that were run."""

import json

import numpy as np
import pytest

from jaxmyopia.calibrate import calibrate, kinds, pool, rates
from jaxmyopia.checks import ArgumentError
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import Thresholds

BUMPS, PLATEAUS = Thresholds().bumps, Thresholds().plateaus


def trials(seeds=4096) -> Trials:
    rng = np.random.default_rng(5)
    columns = {"seed": np.arange(seeds), "diverged": np.zeros(seeds, bool)}
    columns |= dict.fromkeys(BUMPS.columns, rng.poisson(0.4, seeds) / 2)
    return pool(Trials(columns | dict.fromkeys(PLATEAUS.columns, rng.poisson(0.8, seeds) * 1.0)), rng=rng)


def test_rates_hold_the_nominal_one_and_would_show_a_rule_that_does_not(monkeypatch):
    paired = [2]  # "paired above"; the next test draws all kinds
    monkeypatch.setattr("jaxmyopia.calibrate.kinds", lambda *args: [kinds(*args)[number] for number in paired])
    rng = np.random.default_rng(0)
    found = list(rates(trials(), trials=60, sizes=(64,), rng=rng))
    assert [rate.kind for rate in found] == 5 * ["paired above"]
    plain = [rate for rate in found if rate.number in ("normal", "bumps a pair")]
    for rate in plain:
        assert rate.wrong.estimate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60), rate
    assert sum(rate.wrong.estimate for rate in plain) > 0  # a rule that never decides would pass too


@pytest.mark.slow
def test_what_is_found_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxmyopia.calibrate.POOL", 512)
    monkeypatch.setattr("jaxmyopia.calibrate.CONDITIONS", 4)
    found = list(calibrate(str(tmp_path / "c"), trials=8, sizes=(24,), root_seed=0, command="typed"))
    written = json.loads((tmp_path / "c" / "calibration.json").read_text())["rates"]
    assert [rate.kind for rate in found] == [rate["kind"] for rate in written]
    assert len(written) == 5 * len(kinds("normal", lambda x: x > 0))
    (over,) = (rate for rate in found if "any of" in rate.kind and rate.number == "normal")
    assert over.wrong.n == 2  # of 8
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert (manifest["status"], manifest["command"]) == ("complete", "typed")


def test_too_few_seeds_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="sizes=10"):
        next(calibrate(str(tmp_path / "c"), trials=100, sizes=(10,), root_seed=0, command=""))
