# SPDX-License-Identifier: Apache-2.0
"""What users get wrong: one line that names the argument, its value and what is allowed, and nothing is written."""

import dataclasses
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from experiments import adam_bumps, myopia, publish
from jaxmyopia import __main__ as program
from jaxmyopia import launch
from jaxmyopia.commands import COMMANDS
from jaxmyopia.stats.table import Trials

SEEDS = np.arange(48) // 2
RATES = np.tile([0.1, 0.2], 24)
TRIALS = Trials(
    {
        "seed": SEEDS, "learning_rate": RATES, "loss": np.linspace(0.0, 1.0, 48), "diverged": np.zeros(48, bool),
        "optimizer": np.full(48, "sgd"),
    },
    given=(("learning_rate", "optimizer"),),
)  # fmt: skip
LOW, HIGH = TRIALS.where(learning_rate=0.1), TRIALS.where(learning_rate=0.2)
SMALL = {"seeds": 2, "steps": 3, "records": 4, "progress": False}


@dataclasses.dataclass(frozen=True)
class Fit(jm.Training):
    """One seed fits ones."""

    width: int = 3

    def init(self, key, *, scale):
        return scale * jax.random.normal(key, (self.width,)), jnp.ones(self.width)

    def loss(self, trained, data):
        return jnp.square(trained - data).sum()


@jm.claim("A claim.")
def claimed(trials):
    return jm.share(trials, "loss", lambda loss: loss < 1).above(0.5)


def shown(show, **how):
    return jm.share(TRIALS, "loss", show, **how).above(0.5)


LIBRARY = {  # what is asked, and the argument that is named
    "a side that is no table": (lambda: jm.share(3, "loss", np.isfinite), "trials=3"),
    "a mean of no table": (lambda: jm.mean(None, "loss"), "trials=None"),
    "a curve of no table": (lambda: jm.along("run", "loss", "learning_rate", "rise"), "trials='run'"),
    "a claim on no table": (lambda: claimed.judge(3), "trials=3"),
    "no measure": (lambda: jm.share(TRIALS, 3, np.isfinite).above(0.5), "measure=3"),
    "no measure of a table": (lambda: TRIALS[None], "measure=None"),
    "a column of words": (lambda: jm.mean(TRIALS, "optimizer").above(0), "column='optimizer'"),
    "no function": (lambda: shown(3), "show=3"),
    "a function that raises": (lambda: shown(lambda loss: loss["x"]), "show=<function"),
    "a function of two sides for one": (lambda: shown(lambda a, b: a < b), "show=<function"),
    "a premise that raises": (lambda: shown(np.isfinite, given=lambda a, b: a), "given=<function"),
    "a share of numbers": (lambda: shown(lambda loss: loss), "show=<function"),
    "a share of words": (lambda: shown(lambda loss: ["x"] * len(loss)), "show=<function"),
    "one answer for all": (lambda: jm.mean(TRIALS, "loss", lambda loss: 1.0).above(0), "show=<function"),
    "a mean of words": (lambda: jm.mean(TRIALS, "loss", lambda x: ["x"] * len(x)).above(0), "show=<function"),
    "no way to combine": (lambda: shown(np.isfinite, combine=3), "combine=3"),
    "a name for names": (lambda: jm.paired(LOW, HIGH, "loss", apart="seed"), "apart='seed'"),
    "a setting that is none": (lambda: jm.paired(LOW, HIGH, "loss", over=("rate",)), "over='rate'"),
    "several values for one": (lambda: TRIALS.where(learning_rate=[0.1, 0.2]), r"learning_rate=\[0.1, 0.2\]"),
    "no reason": (lambda: jm.not_applicable(3), "why=3"),
    "conditions that are no list": (lambda: jm.Measure("a", len, conditions=3), "conditions=3"),
    "conditions as a word": (lambda: jm.Measure("a", len, conditions="x", x=1), "conditions='x'"),
    "a part that is no name": (lambda: jm.Measure("a", len, part=3), "part=3"),
    "a choice that is no dict": (lambda: jm.Measure("a", len, x=1).column(3), "choice=3"),
    "a folder that is none": (lambda: jm.verify(None), "folder=None"),
    "a registration of nothing": (lambda: jm.register(Fit(), [], "r.json", **SMALL, scale=1.0), r"claims=\[\]"),
    "a study that is none": (lambda: jm.main(3, claims=[claimed], **SMALL), "study=3"),
    "a class for a study": (lambda: jm.main(Fit, claims=[claimed], **SMALL), "study=<class"),
    "a flag of every program": (lambda: jm.main(Fit(), claims=[claimed], **SMALL, scale=1.0, verify=1), "verify=1"),
}


@pytest.mark.parametrize(("ask", "named"), LIBRARY.values(), ids=LIBRARY)
def test_of_the_library_a_bad_argument_is_named_and_nothing_is_written(ask, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(jm.ArgumentError, match=rf"^{named}.* is not allowed: must ") as refused:
        ask()
    assert "\n" not in str(refused.value) and list(tmp_path.iterdir()) == []


def test_what_a_function_of_ones_own_raised_is_the_cause():
    with pytest.raises(jm.ArgumentError, match="but raises ZeroDivisionError: ") as refused:
        shown(lambda loss: 1 // 0)
    assert isinstance(refused.value.__cause__, ZeroDivisionError)


def files(folder: pathlib.Path) -> None:
    """What commands are given in place of what they take."""
    (folder / "file").write_text("x")
    (folder / "foreign").mkdir()
    (folder / "foreign" / "manifest.json").write_text('{"hello": 1}')
    (folder / "junk.npy").write_bytes(b"\x00junk" * 40)
    (folder / "words.csv").write_text("step,loss\nx,y\n")


COMMAND_LINES = [  # what is typed, what is printed
    ("calibrate --root_seed=-1", "error: --root_seed=-1 is not allowed: must be a whole number from 0 to "),
    ("calibrate --out=file", "error: --out='file' is not allowed: must be a folder that can be written"),
    ("merge --out=x foreign", "error: foreign/manifest.json is damaged: config is missing"),
    ("merge file", "error: --out=None is not allowed: must be the folder of the whole run"),
    ("verify", "error: folder='' is not allowed: must be one folder of a run"),
    ("verify file", "error: folder='file' is not allowed: must be the folder of a run, with a manifest.json"),
    ("replay foreign --seed=x", "error: flag --seed=x: invalid literal"),
    ("curves junk.npy", "error: file='junk.npy' is not allowed: must hold the step and losses, numbers all (the magic"),
    ("curves words.csv", "error: file='words.csv' is not allowed: must hold numbers in column 'step', but one is 'x'"),
    ("curves words.csv --figure=x.pdf", "error: --figure='x.pdf' is not allowed: must end in .png or .svg"),
    ("list more", "error: arguments='more' is not allowed: there are none after list"),
    ("--version 3", "error: arguments='3' is not allowed: there are none after --version"),
    ("run", ""),
]


@pytest.mark.parametrize(("typed", "told"), COMMAND_LINES)
def test_of_a_command_what_is_wrong_takes_one_line_and_nothing_is_written(typed, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    try:
        code = launch.finish(lambda: program.main(typed.split()))
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err
    assert (
        said.startswith(told)
        and said.count("\n") == bool(told)
        and code == (0 if not told else 1 if "damaged" in told else 2)
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert typed.split()[0] in (*COMMANDS, "list", "run", "--version")


@pytest.mark.parametrize(
    ("binary", "typed", "told"),
    [
        (myopia.main, "--reveals=hot", "--reveals='hot' is not allowed: must be one of digits, "),
        (adam_bumps.main, "--n=1", "--ranks=2 is not allowed: must be between 1 and n=1"),
    ],
)
def test_a_flag_is_named_as_it_is_typed(binary, typed, told, tmp_path, capsys):
    assert binary.exit_code([typed, f"--out={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}") and not (tmp_path / "run").exists()


def test_a_figure_of_a_curve_with_one_record_warns_of_nothing(tmp_path, recwarn):
    (tmp_path / "one.csv").write_text("step,loss\n0,1\n")
    with pytest.raises(SystemExit) as stop:
        COMMANDS["curves"].launch(["curves", str(tmp_path / "one.csv")])
    assert not stop.value.code and [str(each.message) for each in recwarn if "empty" in str(each.message)] == []


def test_what_is_published_by_default_has_its_place():
    assert publish.places(inspect.signature(publish.Publish).parameters["name"].default)
