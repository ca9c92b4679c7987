# SPDX-License-Identifier: Apache-2.0
"""The figures of coverage: of what is known, and the table of them."""

import json

import numpy as np
import pytest
from absl.testing import flagsaver

from experiments.benchmarks import coverage


def test_the_truth_of_every_kind_is_its_mean():
    rng = np.random.default_rng(0)
    for name, kind in coverage.SEQUENCES.items():
        drawn = np.asarray(kind.draw(rng, (1000, 200)), float)
        assert drawn.mean() == pytest.approx(kind.truth, abs=5 * drawn.std() / np.sqrt(drawn.size)), name
        if kind.range:
            assert kind.range[0] <= drawn.min() and drawn.max() <= kind.range[1], name


def test_refusals_are_counted_apart():
    rng = np.random.default_rng(0)
    rare = coverage.fixed(coverage.KINDS["4.5 % gamma"], 24, 100, rng)
    assert rare == {"n": 24, "given": 0, "held": None, "methods": {"none": 1}}
    both = coverage.fixed(coverage.KINDS["10 % ±1"], 64, 300, rng)
    assert 0.2 < both["given"] < 0.5 and both["held"] > 0.9
    assert both["given"] + both["methods"]["none"] == pytest.approx(1)


def test_the_table_has_a_row_a_kind(tmp_path, capsys):
    with flagsaver.flagsaver():
        coverage.FLAGS(["coverage", f"--out={tmp_path}", "--trials=40", "--seeds=24,64"])
        coverage.main()
    found = json.loads((tmp_path / "coverage.json").read_text())
    assert found["settings"]["trials"] == 40 and found["fixed"]["normal"][1]["n"] == 64
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| numbers | 24 | 64 | wrong when stopped |" and "| 4.5 % gamma | none | none | 0.0 |" in lines
    assert lines[-1].startswith("Wilson, shares 0.02-0.98: n 64, least 0.93")
