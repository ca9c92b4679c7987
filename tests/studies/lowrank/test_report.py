# SPDX-License-Identifier: Apache-2.0
"""What the figures mark and what the page says."""

import dataclasses
import json

import numpy as np
import pytest

from jaxmyopia.claims.verdicts import Claim, Evidence, GridPoint
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import Caption, panels, save
from jaxmyopia.report.page import claims_json, claims_text, write_page
from jaxmyopia.stats.intervals import Interval
from jaxmyopia.studies.lowrank.figures import plateau_spans
from jaxmyopia.studies.lowrank.measures import Thresholds


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_plateaus_are_marked_where_the_curve_is_flat_and_descents_where_it_is_steep():
    steps = np.arange(0, 401, 2)
    loss = 0.2 + sigmoid((100 - steps) / 5) + sigmoid((300 - steps) / 5)
    peaks, spans = plateau_spans(steps, loss, Thresholds())
    assert steps[peaks] == pytest.approx([100, 300], abs=2)
    # A logistic step of width 5 runs at half its greatest speed 5 * log(3 + sqrt(8)) = 8.8 steps from its middle.
    assert np.ravel(spans) == pytest.approx([0, 91, 109, 291], abs=3)


def evidence(name, verdict):
    interval = Interval(0.25, 0.1, 0.4, 64, "BCa")
    grid = (GridPoint({"bump_delta": 0.05}, 0.3, 0.1, 0.5), GridPoint({"bump_delta": 0.1}, 0.25, 0.1, 0.4))
    return Evidence(name, "bumps", interval, 0.0, 1, grid, 1.0, verdict, "it excludes 0", diverged=3)


PIECES = (evidence("a", "supported"), evidence("b", "contradicted"))
CLAIMS = [
    Claim("more-bumps", "There are <more> bumps.", "mixed", "they disagree", PIECES),
    Claim("never-run", "Nobody ran this.", "not judged", "the run does not hold the cells"),
]


def test_the_text_names_every_claim_its_evidence_and_the_seeds_lost():
    lines = claims_text(CLAIMS).splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:2] == ["more-bumps", "mixed"]
    assert "0.25 [0.1, 0.4] against 0" in lines[2]
    assert "3 diverged" in lines[2]
    assert "never-run" in lines[4]
    assert "not judged" in lines[4]


def test_claims_survive_json():
    first, second = json.loads(json.dumps(claims_json(CLAIMS, target="gaussian")))
    assert first["target"] == second["target"] == "gaussian"
    assert first["evidence"][1]["grid"][0] == {
        "thresholds": {"bump_delta": 0.05},
        "estimate": 0.3,
        "low": 0.1,
        "high": 0.5,
    }
    assert second["evidence"] == []


def test_the_page_is_one_file_that_holds_its_figures_and_escapes_what_it_prints(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    manifest = {
        "started": "now",
        "machine": "m",
        "versions": {"jax": "1"},
        "seconds": 1,
        "git": None,
        "status": "complete",
    }
    folder.write_manifest(command="python -m x --out='<b>'", **manifest)
    figure, axes = panels(1, 1)
    axes[0, 0].plot([0, 1], [0, 1])
    save(folder, "line", figure)
    captions = [Caption("line", "A line", "It rises.")]
    gridless = Claim("same", "It is the same.", "supported", "so", (dataclasses.replace(PIECES[0], grid=()),))
    write_page(
        folder,
        title="T",
        claims=[*CLAIMS, gridless],
        captions=captions,
        rows=[{"rank": 2, "seeds": 64}],
        notes=["note"],
    )
    page = (folder.path / "report.html").read_text()
    assert page.count("% of grid") == 2
    assert "There are &lt;more&gt; bumps." in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert "src=" not in page.replace('src="data:', "")
    assert page.count("<details>") == 3
    assert "0.05" in page
