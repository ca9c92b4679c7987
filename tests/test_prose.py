# SPDX-License-Identifier: Apache-2.0
"""Prose stays short, its links lead somewhere, and versions agree."""

import configparser
import functools
import importlib
import inspect
import pathlib
import re

import pytest

import jaxmyopia

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short_and_links_lead_somewhere(page):
    text = page.read_text()
    assert [line for line in text.splitlines() if len(line) >= 120] == []
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_no_page_is_an_orphan():
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    }
    assert [page for page in PAGES if page.parent != ROOT and page not in linked] == []


def test_the_readme_and_the_notes_are_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130
    assert len((ROOT / "BUILD_NOTES.md").read_text().splitlines()) <= 60


def test_the_reference_lists_every_public_name_with_the_first_sentence_of_its_docstring():
    text = (ROOT / "docs" / "api.md").read_text()
    listed = dict(re.findall(r"^- `jm\.([\w.]+)`: (.*(?:\n  .*)*)", text, flags=re.MULTILINE))
    measures = {f"measures.{name}" for name in jaxmyopia.measures.__all__ if name[0].islower()}
    assert measures - {*listed} == {"measures.summarise"}
    assert {*jaxmyopia.__all__} - {*listed} == {"measures"}
    for name, told in listed.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            importlib.import_module(".".join(["jaxmyopia", *parts[:depth]]))
        said = inspect.getdoc(functools.reduce(getattr, parts, jaxmyopia)).partition("\n\n")[0]
        assert " ".join(said.split()).startswith(" ".join(told.split())), name


def test_versions_agree():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    version = setup["metadata"]["version"]
    assert jaxmyopia.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()
