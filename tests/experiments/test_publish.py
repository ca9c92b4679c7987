# SPDX-License-Identifier: Apache-2.0
"""What docs/results and the README show is what the committed runs say."""

import json

import pytest

from experiments import publish
from jaxmyopia.claims import Judgement
from jaxmyopia.engine.schema import built, fault

NAMES = sorted(folder.name for folder in publish.RESULTS.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_its_page_shows_the_committed_answer(name):
    folder = publish.RESULTS / name
    assert json.loads((folder / "manifest.json").read_text())["status"] == "complete"
    (page,) = publish.places(name)
    text = page.read_text()
    assert text == publish.put_between(text, f"answer {name}", publish.answer_text(folder))


@pytest.mark.parametrize("name", [name for name in NAMES if (publish.RESULTS / name / "claims.json").is_file()])
def test_published_claims_can_be_read(name):
    entries = json.loads((publish.RESULTS / name / "claims.json").read_text())
    assert fault(entries, list[Judgement]) is None
    assert [each.verdict for each in built(entries, list[Judgement])] == [entry["verdict"] for entry in entries]


def test_the_readme_shows_the_committed_verdicts():
    readme = publish.README.read_text()
    judged = {name for name in NAMES if (publish.RESULTS / name / "claims.json").is_file()}
    assert set(publish.MARK.findall(readme)) == judged
    for name in judged:
        claims = json.loads((publish.RESULTS / name / "claims.json").read_text())
        assert readme == publish.put_between(readme, f"answer {name}", publish.verdict_table(claims))


def test_every_mark_belongs_to_an_answer():
    marks = [name for page in publish.PAGES.glob("*.md") for name in publish.MARK.findall(page.read_text())]
    assert sorted(marks) == NAMES


def test_a_claim_too_long_for_its_line_loses_its_aside_and_then_its_end():
    long = "word " * 18 + "(an aside of many words) end."
    aside, cut = publish.verdict_table(
        [{"text": t, "verdict": "inconclusive"} for t in (long, "word " * 40)]
    ).splitlines()[2:]
    assert aside == f"| {'word ' * 18}end. | **inconclusive** |"
    assert cut.endswith("word … | **inconclusive** |") and len(cut) <= publish.WIDTH


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert publish.put_between(text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
