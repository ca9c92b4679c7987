# SPDX-License-Identifier: Apache-2.0
"""The documents' Python runs as it stands: each block by itself, as a user would paste it.

A comment on the line before a block says what else there is to say of it, `<!-- goes on; needs xarray -->`: that it
goes on where the block before ended, which packages it needs, without which it is not run, or `not run: WHY`.
"""

import dataclasses
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

import jaxmyopia as jm

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL = ["--seeds=16", "--steps=60", "--records=20"]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def start(path: pathlib.Path, *flags: str) -> subprocess.CompletedProcess:
    """Runs a file as a program, its programs compiled unoptimised into the folder of this test run."""
    command = [sys.executable, path.name, *flags, f"--compilation_cache={jax.config.jax_compilation_cache_dir}"]
    quickly = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, env=quickly)


def test_the_readmes_claim_is_that_of_the_guide():
    plain = lambda text: [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]
    (short,) = (block for block in blocks("README.md") if "@jm.claim" in block)
    assert plain(short) == plain(blocks("docs/own_claim.md")[0])


@pytest.fixture(scope="module")
def own_claim(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("own") / "deep_linear.py"
    path.write_text(blocks("docs/own_claim.md")[0])
    return path


def test_ones_own_claim_is_a_binary_with_flags_resume_and_page(own_claim):
    first = start(own_claim, *SMALL)
    assert first.returncode == 0, first.stderr
    assert re.match(r"[A-Z ]+  From a small start, SGD shows two plateaus or more", first.stdout)
    run = own_claim.parent / "runs" / "deep_linear"
    assert {path.name for path in run.iterdir()} >= {"manifest.json", "claims.json", "report.html", "figures", "seeds"}
    before = {path: path.stat().st_mtime_ns for path in run.glob("seeds/*")}
    again = start(own_claim, *SMALL)
    assert again.stdout == first.stdout  # it resumes: nothing is computed anew
    assert {path: path.stat().st_mtime_ns for path in run.glob("seeds/*")} == before
    answer = jm.load(run)
    assert {cell.settings["optimizer"] for cell in answer.cells} == {"sgd", "adam"}
    assert len(answer.trials) == 2 * 3 * 16 and answer.trials.unique("init_scale") == [0.01, 0.1, 1.0]


def test_its_flags_are_its_fields_and_settings(own_claim):
    helped = start(own_claim, "--help")
    assert helped.returncode == 0
    for name in ("depth", "n", "learning_rate", "init_scale", "optimizer", "seeds", "steps", "out"):
        assert f"--{name}" in helped.stdout
    other = start(own_claim, *SMALL, "--depth=2", "--n=4", "--optimizer=sgd,adam", "--init_scale=0.1", "--out=shallow")
    assert other.returncode == 0, other.stderr
    assert len(jm.load(own_claim.parent / "shallow").trials) == 2 * 16
    bad = start(own_claim, "--learning_rate=-1", "--out=bad")
    assert bad.returncode == 2 and len(bad.stderr.strip().splitlines()) == 1
    assert "--learning_rate=-1.0 is not allowed" in bad.stderr and not (own_claim.parent / "bad").exists()


def test_ones_own_claim_settles_in_a_notebook(own_claim):
    scope = {"__name__": "a notebook"}
    exec(compile(own_claim.read_text(), own_claim.name, "exec"), scope)
    study, claims = scope["DeepLinear"](measures=[scope["PLATEAUS"]]), [scope["sgd_plateaus"]]
    rates = {"optimizer": ("sgd", "adam"), "learning_rate": 0.01, "init_scale": (0.01, 0.1, 1.0)}
    answer = jm.settle(study, claims=claims, seeds=16, steps=60, records=20, progress=False, **rates)
    assert "<svg" in answer._repr_html_() and answer.claims[0].evidence[0].interval.n <= 16


def test_observations_measures_and_minibatches_of_ones_own(capsys):
    text = blocks("docs/own_claim.md")[1]
    assert len([line for line in text.splitlines() if line.strip()]) <= 40
    text = text.replace("steps=2000", "steps=400")
    assert "seeds=64, steps=400" in text
    scope = {"__name__": "a notebook"}
    exec(compile(text, "regression.py", "exec"), scope)
    (claim,) = scope["answer"].claims
    assert {piece.name: piece.verdict for piece in claim.evidence}["clean"] == "supported"
    assert "With noisy labels most seeds overfit" in capsys.readouterr().out


def test_a_loss_and_a_target_of_ones_own(capsys):
    scope = {"__name__": "a notebook"}
    exec(compile(blocks("docs/own_claim.md")[2], "huber.py", "exec"), scope)
    assert not scope["answer"].trials["diverged"].any() and scope["study"].target_rank == 3
    assert float(capsys.readouterr().out.split()[0]) >= 1


def test_a_curve_over_a_setting(capsys):
    text = blocks("docs/own_claim.md")[3].replace("steps=300", "steps=100")
    exec(compile(text, "along.py", "exec"), {"__name__": "a notebook"})
    printed = capsys.readouterr().out
    assert printed.startswith("SUPPORTED  What it learns falls nowhere") and "{'from': " in printed


def test_an_agents_runs_in_the_environment(capsys):
    alone, wrapped = blocks("docs/environment.md")
    assert len([line for line in alone.splitlines() if line.strip()]) <= 14
    exec(compile(alone, "alone.py", "exec"), {"__name__": "a notebook"})
    assert capsys.readouterr().out == "[ 0.  4.  8. 12. 16. 12.  8.  4.  0.]\n"
    pytest.importorskip("gymnax")
    exec(compile(wrapped, "wrapped.py", "exec"), {"__name__": "a notebook"})
    assert capsys.readouterr().out == "-16.0\n"


@dataclasses.dataclass(frozen=True)
class Block:
    """A block with what the comment before it says."""

    line: int
    text: str
    goes_on: bool = False
    needs: tuple[str, ...] = ()
    why_not: str = ""


def told(page: str) -> list[Block]:
    """The blocks of a page; a comment that says none of what may be said is an error."""
    found, text = [], (ROOT / page).read_text()
    for match in re.finditer(r"(?:^<!-- ([^\n]*) -->\n)?^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        how = {}
        for mark in (match[1] or "").split("; "):
            if mark.startswith("not run: "):
                how["why_not"] = mark.removeprefix("not run: ")
            elif mark.startswith("needs "):
                how["needs"] = tuple(mark.removeprefix("needs ").split(", "))
            elif mark:
                assert mark == "goes on", f"{page}: {mark}"
                how["goes_on"] = True
        found.append(Block(text[: match.start(2)].count("\n"), match[2], **how))
    return found


# Of these pages every block has a test of its own above, with fewer steps or with what it prints.
TESTED = {"docs/own_claim.md": 4, "docs/environment.md": 2}
PAGES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]


def test_every_block_is_run_or_says_why_not():
    for page in PAGES:
        every = told(page)
        assert len(every) == (ROOT / page).read_text().count("```python"), page
        assert len(every) == TESTED.get(page, len(every)), page


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TESTED and told(page)])
def test_other_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for block in told(page):
        lacking = [name for name in block.needs if importlib.util.find_spec(name) is None]
        if block.why_not or lacking:
            continue
        scope = scope if block.goes_on else {"__name__": "a notebook"}
        exec(compile("\n" * block.line + block.text, page, "exec"), scope)
    assert "on_chunk failed" not in capsys.readouterr().err  # a run goes on after it
