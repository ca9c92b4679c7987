# SPDX-License-Identifier: Apache-2.0
"""What docs/results and the README show is what the committed runs say."""

import json

import pytest

from experiments import publish
from experiments.pages.claims import evidence_grid, evidence_list, evidence_rows, verdict_table
from experiments.pages.markdown import WIDTH, number
from jaxmyopia.claims import Judgement
from jaxmyopia.engine.schema import built, fault

NAMES = sorted(folder.name for folder in publish.RESULTS.iterdir())
JUDGED = [name for name in NAMES if publish.holds(publish.RESULTS / name, "claims.json")]


@pytest.mark.parametrize("name", NAMES)
def test_its_page_shows_the_committed_answer(name):
    folder = publish.RESULTS / name
    assert publish.read(folder, "manifest.json")["status"] == "complete"
    (page,) = publish.places(name)
    text = page.read_text()
    assert text == publish.put_between(text, f"answer {name}", publish.answer_text(folder))


@pytest.mark.parametrize("name", JUDGED)
def test_published_claims_can_be_read(name):
    entries = publish.read(publish.RESULTS / name, "claims.json")
    assert fault(entries, list[Judgement]) is None
    assert [each.verdict for each in built(entries, list[Judgement])] == [entry["verdict"] for entry in entries]
    assert publish.text_of(publish.RESULTS / name, "evidence.csv") == evidence_rows(entries)


def test_of_many_conditions_a_page_counts_what_came_out_and_shows_the_ends():
    entries = publish.read(publish.RESULTS / "adam_bumps", "claims.json")
    text = evidence_list(entries[:1], publish.read(publish.RESULTS / "adam_bumps", "manifest.json"))
    told = [piece["verdict"] for piece in entries[0]["evidence"]]
    assert f"| everywhere | {told.count('supported')} |" in text
    estimates = sorted(piece["interval"]["estimate"] for piece in entries[0]["evidence"])
    assert text.count("\n- ") == 2 and all(f": {number(each, 2)} [" in text for each in (estimates[0], estimates[-1]))
    few = [{**entries[0], "evidence": entries[0]["evidence"][:12]}]
    assert evidence_list(few, publish.read(publish.RESULTS / "adam_bumps", "manifest.json")).count("\n- ") == 12


def test_large_files_are_kept_compressed_and_read_alike(tmp_path):
    told = {"a": "b" * publish.LARGE}
    for name, value in (("small.json", {"a": 1}), ("large.json", told)):
        publish.keep(json.dumps(value).encode(), tmp_path / name)
        assert publish.holds(tmp_path, name) and publish.read(tmp_path, name) == value
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.json.gz", "small.json"]
    once = (tmp_path / "large.json.gz").read_bytes()
    publish.keep(json.dumps(told).encode(), tmp_path / "large.json")
    assert (tmp_path / "large.json.gz").read_bytes() == once


@pytest.mark.parametrize("name", JUDGED)
def test_verdicts_that_are_shown_are_the_committed_ones(name):
    table = verdict_table(publish.read(publish.RESULTS / name, "claims.json"))
    pages = publish.showing_verdicts(name)
    assert pages or name in ("adam_bumps", "thread")  # which have pages of their own
    for page in pages:
        assert page.read_text() == publish.put_between(page.read_text(), f"verdicts {name}", table)


@pytest.mark.parametrize("page", sorted(publish.PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_tables_of_evidence_in_a_text_are_those_of_the_answers(page):
    text = page.read_text()
    assert len(publish.GRID.findall(text)) == text.count("<!-- grid ") == text.count("<!-- /grid -->")
    for name in {found[1] for found in publish.GRID.findall(text)}:
        assert text == publish.with_grids(text, name)


def test_a_table_of_evidence_has_a_cell_a_piece_in_bold_where_it_is_supported():
    def piece(verdict, **condition):
        interval = {"estimate": 0.5, "low": -0.25, "high": 1.0, "n": 64, "method": "Wilson", "level": 0.95, "why": ""}
        at = {"name": "", "statistic": "", "null": 0.0, "direction": 1, "grid": [], "holds": 1.0, "reason": ""}
        return at | {"verdict": verdict, "interval": interval, "condition": condition}

    asked = (("supported", 1.0, 0.1, "a"), ("inconclusive", 0.01, 0.1, "a"), ("not applicable", 1.0, 0.3, "a"),
             ("supported", 1.0, 0.1, "b"))  # fmt: skip
    evidence = [piece(verdict, scale=scale, rate=rate, clock=clock) for verdict, scale, rate, clock in asked]
    claims = [{"id": "a-claim", "text": "", "verdict": "supported", "reason": "", "evidence": evidence}]
    assert evidence_grid(claims, "a-claim", {"clock": "a"}, ["rate"], "scale").splitlines() == [
        "| rate; scale: | 1 | 0.01 |", "|---|---|---|",
        "| 0.1 | **.50 [−.25, 1.0]** | .50 [−.25, 1.0] |", "| 0.3 |  |  |",
    ]  # fmt: skip
    for where in ({}, {"clock": "c"}):
        with pytest.raises(ValueError, match=r"a-claim: (several pieces|nothing was asked)"):
            evidence_grid(claims, "a-claim", where, ["rate"], "scale")


def test_every_mark_belongs_to_an_answer():
    marks = [name for page in publish.PAGES.glob("*.md") for name in publish.MARK.findall(page.read_text())]
    assert sorted(marks) == NAMES


def test_a_claim_too_long_for_its_line_loses_its_aside_and_then_its_end():
    long = "word " * 18 + "(an aside of many words) end."
    aside, cut = verdict_table([{"text": t, "verdict": "inconclusive"} for t in (long, "word " * 40)]).splitlines()[2:]
    assert aside == f"| {'word ' * 18}end. | **inconclusive** |"
    assert cut.endswith("word … | **inconclusive** |") and len(cut) <= WIDTH


def test_a_claim_says_in_how_many_conditions_it_holds_and_which_were_not_asked_are_no_claims():
    counts = {"supported": 2, "contradicted": 1, "inconclusive": 4, "not applicable": 8}
    asked = {"text": "It is.", "verdict": "inconclusive", "conditions": {"verdicts": counts}}
    depends = asked | {
        "verdict": "depends on the condition",
        "conditions": {"verdicts": {"supported": 2, "contradicted": 1}},
    }
    table = verdict_table([asked, depends, {"text": "It was.", "verdict": "not judged", "evidence": []}])
    assert table.splitlines()[2:] == ["| It is. | **inconclusive**, 2 of 7, 4 open |", "| It is. | **2 of 3** |"]


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert publish.put_between(text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
