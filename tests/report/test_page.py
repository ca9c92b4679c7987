# SPDX-License-Identifier: Apache-2.0
"""What the figures mark and what the page says."""

import dataclasses
import json

import numpy as np
import pytest

from jaxmyopia.claims.judged import ControlResult, Evidence, GridPoint, Judgement
from jaxmyopia.claims.text import claims_json, claims_text
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.schema import built
from jaxmyopia.measures.spans import where_plateaus
from jaxmyopia.report.claim_figures import forest
from jaxmyopia.report.figures import Caption, panels
from jaxmyopia.report.page import Report, claims_html, write_page
from jaxmyopia.stats.intervals import Interval


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_plateaus_are_marked_where_the_curve_is_flat_and_descents_where_it_is_steep():
    steps = np.arange(0, 401, 2)
    loss = 0.2 + sigmoid((100 - steps) / 5) + sigmoid((300 - steps) / 5)
    found = where_plateaus(steps, loss, ratio=0.5, fall=0.02)
    peaks, spans = found.peaks, found.spans
    assert steps[peaks] == pytest.approx([100, 300], abs=2)
    # A logistic step of width 5 runs at half its greatest speed 5 * log(3 + sqrt(8)) = 8.8 steps from its middle.
    assert np.ravel(spans) == pytest.approx([0, 91, 109, 291], abs=3)


def evidence(name, verdict):
    interval = Interval(0.25, 0.1, 0.4, 64, "BCa")
    grid = (GridPoint({"bump_delta": 0.05}, 0.3, 0.1, 0.5), GridPoint({"bump_delta": 0.1}, 0.25, 0.1, 0.4))
    seen = Interval(0.5, 0.4, 0.6, 64, "Wilson")
    return Evidence(
        name,
        "bumps",
        interval,
        0.0,
        1,
        grid,
        1.0,
        verdict,
        "it excludes 0",
        0.2,
        {"rank": name},
        0.01,
        seen,
        diverged=3,
    )


PIECES = (evidence("a", "supported"), evidence("b", "contradicted"))
CLAIMS = [
    Judgement(
        "more-bumps",
        "There are <more> bumps.",
        "depends on the condition",
        "they disagree",
        "holds in 1 of 2 conditions: where rank is <a>",
        PIECES,
        controls=(ControlResult("a planted excess must pass", "held", {"a": "supported"}),),
    ),
    Judgement("never-run", "Nobody ran this.", "not judged", "the run does not hold the cells"),
]


def test_the_text_leads_with_the_verdict_and_names_the_evidence_and_the_seeds_lost():
    lines = claims_text(CLAIMS).splitlines()
    assert lines[0] == "DEPENDS ON THE CONDITION  There are <more> bumps. (more-bumps)"
    assert lines[1] == "  holds in 1 of 2 conditions: where rank is <a>"
    assert lines[2].split()[:2] == ["supported", "a:"] and "0.25 [0.1, 0.4], asked: above 0 by at least 0.2" in lines[2]
    assert "3 diverged" in lines[3] and "seen in five tries: 97%" in lines[3]
    assert lines[4].split()[:2] == ["contradicted", "b:"]
    assert lines[6:] == [
        "    control held: a planted excess must pass",
        "NOT JUDGED  Nobody ran this. (never-run)",
        "  the run does not hold the cells",
    ]


def test_a_long_claim_fits_a_terminal():
    long = Judgement("long", "word " * 80, "inconclusive", "so", "so " * 80, (evidence("piece " * 30, "supported"),))
    assert max(map(len, claims_text([long]).splitlines())) <= 80


def test_claims_survive_json():
    entries = json.loads(json.dumps(claims_json(CLAIMS, target="gaussian")))
    assert entries[0]["target"] == entries[1]["target"] == "gaussian"
    assert built(entries, list[Judgement]) == CLAIMS


def test_a_notebook_shows_claims_and_figure_with_what_they_print_escaped():
    html = claims_html(CLAIMS, "<svg></svg>")
    assert "There are &lt;more&gt; bumps." in html and "<svg></svg>" in html and "Nobody ran this." in html


def test_the_evidence_is_drawn_where_it_lies():
    axes = forest(CLAIMS).axes
    assert len(axes) == 1  # a claim without evidence has nothing to draw
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["b", "a"]
    (point,) = {tuple(line.get_xdata()) for line in axes[0].lines if line.get_marker() == "o"}
    assert point == (0.25,)


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
    gridless = Judgement(
        "same", "It is the same.", "supported", "so", "holds", (dataclasses.replace(PIECES[0], grid=()),)
    )
    report = Report("T", {Caption("line", "A line", "It rises."): figure}, [{"rank": 2, "seeds": 64}], ["note"])
    write_page(folder, report, [*CLAIMS, gridless])
    page = (folder.path / "report.html").read_text()
    assert page.count("% of grid") == 2
    assert "There are &lt;more&gt; bumps." in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert "src=" not in page.replace('src="data:', "")
    assert page.index("holds in 1 of 2 conditions: where rank is &lt;a&gt;") < page.index("Evidence: 2 condition")
    assert "a planted excess must pass (held)" in page
    assert page.count("<figure>") == 4  # evidence of two claims, specifications of one, and the run's own
    # Evidence of two claims, of three pieces, what one hangs on, and the rules.
    assert page.count("<details>") == 2 + 3 + 1 + 1
    assert "0.05" in page
