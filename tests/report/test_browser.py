# SPDX-License-Identifier: Apache-2.0
"""A page as a browser shows it: nothing is asked for or complained of, and what can be clicked does what it says."""

import dataclasses
import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import pytest

import jaxmyopia as jm
from jaxmyopia.report.explorer import Panel
from jaxmyopia.report.page import Report

_spec = importlib.util.spec_from_file_location("chromium", pathlib.Path(__file__).with_name("chromium.py"))
chromium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chromium)

needs_browser = pytest.mark.skipif(chromium.found() is None, reason="no Chromium is installed")


@dataclasses.dataclass(frozen=True)
class Pair(jm.Training):
    """Two numbers whose product is learned."""

    power: int = 1

    def init(self, key, *, scale):
        return scale * jax.random.normal(key, (2,)), jnp.ones(())

    def loss(self, trained, target):
        return (trained.prod() ** self.power - target) ** 2

    def observe(self, trained, target):
        return {"numbers": trained, "plane": jnp.stack([trained, trained[::-1]])}


ENDS = jm.Measure("ends", lambda curves: curves["loss"][-1])


@jm.claim("The loss ends below a tenth.")
def ends(trials):
    return jm.mean(trials, ENDS).below(0.1)


@pytest.fixture(scope="module")
def page_of_a_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "run"
    given = {"power": [1, 3], "scale": [0.1, 0.5, 1.0], "learning_rate": [0.3, 0.03, 0.01]}
    answer = jm.settle(
        Pair(measures=[ENDS]),
        claims=[ends],
        seeds=8,
        steps=20,
        records=12,
        out=out,
        keep_curves=2,
        progress=False,
        **given,
    )
    panels = [
        Panel(("numbers",), "Numbers"), Panel(("plane",), "Plane", "vectors"),
        Panel(("numbers",), "By place", "profile", across="place"),
        Panel(("numbers", "numbers"), "Boxes", "strip", make=lambda each: each.round(), names=("low", "high")),
    ]  # fmt: skip
    answer.write(Report("Pairs", answer.report().figures, panels=panels))
    return (out / "report.html").as_uri()


@pytest.fixture(scope="module")
def page():
    with chromium.browser() as page:
        yield page


ROWS = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows]"
SEEDS = "document.querySelector('#seeds')"


def test_a_run_of_this_page_has_what_is_looked_at(page_of_a_run):
    text = pathlib.Path(page_of_a_run.removeprefix("file://")).read_text()
    assert 'id="seeds"' in text and "table.sortable" in text and len(text) < 3_000_000


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_it_fits_asks_nothing_of_a_network_and_says_nothing(page, page_of_a_run, width, dark):
    page.open(page_of_a_run, width=width, dark=dark)
    assert page.ask("document.documentElement.scrollWidth") <= width
    page.ask("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.ask("document.documentElement.scrollWidth") <= width
    light = page.ask("getComputedStyle(document.body).backgroundColor").startswith("rgb(255")
    assert light != dark
    assert page.said == []
    assert {each for each in page.asked if not each.startswith("data:")} == {page_of_a_run}


@needs_browser
def test_the_theme_is_turned_round_by_its_button(page, page_of_a_run):
    page.open(page_of_a_run)
    colour = "getComputedStyle(document.body).color"
    before = page.ask(colour)
    page.ask("document.getElementById('theme').click()")
    assert page.ask(colour) != before
    page.open(page_of_a_run)
    assert page.ask(colour) != before  # it stays
    page.ask("document.getElementById('theme').click(); localStorage.clear()")


@needs_browser
def test_a_table_sorts_by_number_and_filters_by_words_and_verdict(page, page_of_a_run):
    page.open(page_of_a_run)
    estimates = f"{ROWS}.map((row) => Number(row.cells[2].textContent))"
    before = page.ask(estimates)
    click = "document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[2].querySelector('button').click()"
    page.ask(click)
    assert page.ask(estimates) == sorted(before) != before
    page.ask(click)
    assert page.ask(estimates) == sorted(before, reverse=True)
    tool = "document.querySelector('.tools[data-for]')"
    shown = f"{ROWS}.filter((row) => !row.hidden).map((row) => row.cells[1].textContent)"
    page.ask(f"{tool}.querySelector('input').value = 'scale 0.5, RATE 0.3'")
    page.ask(f"{tool}.querySelector('input').dispatchEvent(new Event('input'))")
    found = page.ask(shown)
    assert len(found) == 2 and all("scale 0.5" in each and "rate 0.3" in each for each in found)
    verdict = page.ask(f"{tool}.querySelector('select').options[1].value")
    page.ask(f"{tool}.querySelector('input').value = ''; {tool}.querySelector('select').value = '{verdict}'")
    page.ask(f"{tool}.querySelector('select').dispatchEvent(new Event('change'))")
    kept = page.ask(f"{ROWS}.filter((row) => !row.hidden).map((row) => row.cells[0].textContent)")
    assert (
        set(kept) == {verdict} and page.ask(f"{tool}.querySelector('output').value") == f"{len(kept)} of {len(before)}"
    )


@needs_browser
def test_the_explorer_draws_the_seed_that_is_chosen(page, page_of_a_run):
    page.open(page_of_a_run)
    titles = f"[...{SEEDS}.querySelectorAll('h4')].map((each) => each.textContent)"
    assert page.ask(titles) == ["Loss", "Numbers", "Plane", "By place", "Boxes"]
    line = f"{SEEDS}.querySelector('path.line').getAttribute('d')"
    first = page.ask(line)
    page.ask(f"{SEEDS}.querySelector('select.seed').value = '1'")
    page.ask(f"{SEEDS}.querySelector('select.seed').dispatchEvent(new Event('change'))")
    second = page.ask(line)
    assert second != first and "seed 1" in page.ask(f"{SEEDS}.querySelector('.numbers').textContent")
    choose = f"{SEEDS}.querySelector('.choices select')"  # the power
    page.ask(f"{choose}.value = '1'; {choose}.dispatchEvent(new Event('change'))")
    assert page.ask(line) not in (first, second)
    assert "power 3" in page.ask(f"{SEEDS}.querySelector('.numbers').textContent")
    boxes = f"{SEEDS}.querySelectorAll('rect.box').length"
    assert page.ask(boxes) in (0, 1, 2) and page.ask(f"{SEEDS}.querySelectorAll('line.line').length") == 2
    moved = f"{SEEDS}.querySelector('line.line').getAttribute('x2')"
    end = page.ask(moved)
    slide = f"{SEEDS}.querySelector('.slider input')"
    page.ask(f"{slide}.value = '0'; {slide}.dispatchEvent(new Event('input'))")
    assert page.ask(moved) != end
    address = page.ask("location.href")
    assert address.startswith(f"{page_of_a_run}#seed-")
    page.open("about:blank")
    page.open(address)
    assert "power 3" in page.ask(f"{SEEDS}.querySelector('.numbers').textContent")


@needs_browser
def test_a_mark_tells_its_values_when_pointed_at(page, page_of_a_run):
    page.open(page_of_a_run)
    place = page.ask(
        "(() => { const image = document.querySelector('img[data-hints]'); image.scrollIntoView({behavior: 'instant'});"
        " const [left, top, wide, high, words] = JSON.parse(image.dataset.hints)[0];"
        " const box = image.getBoundingClientRect();"
        " return [box.left + (left + wide / 2) * box.width, box.top + (top + high / 2) * box.height, words]; })()"
    )
    page.do("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    told = page.ask("document.getElementById('tip').textContent")
    assert place[2] in told and "n = " in told
    page.ask(f"{SEEDS}.scrollIntoView({{behavior: 'instant'}})")
    x, y = page.ask(
        f"(() => {{ const box = {SEEDS}.querySelector('svg').getBoundingClientRect();"
        " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    page.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert page.ask("document.getElementById('tip').textContent").startswith("step ")
