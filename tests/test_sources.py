# SPDX-License-Identifier: Apache-2.0
"""Digits of sources: whatever a function refers to changes them, and nothing else does, in whichever process."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from jaxmyopia.sources import digest

ROOT = pathlib.Path(__file__).parents[1]
HELPER = "def scale(x):\n    return 2 * x\n"
OWN = """
import dataclasses, functools, os, pathlib, types
import numpy as np
import helper

LIMIT = 0.5
TABLE = {"a": LIMIT}
WEIGHTS = np.array([0.25, 0.5])
BY_FUNCTION = types.MappingProxyType({len: 1, max: 2})
NAMES = {"b", "a", "c"}
SEEN = []
HERE = pathlib.Path(__file__).parent  # told from where it lies
FILES = (str(HERE / "table.csv"), HERE)

def above(x, margin=0.1):
    return x > LIMIT + margin

@functools.cache
def cached(x):
    return x + 1

@dataclasses.dataclass(frozen=True)
class Rule:
    share: float = 0.8
    def holds(self, x):
        return x > self.share and self.twice
    @property
    def twice(self):
        return other()

def other():
    return 3 if os.path.exists(__file__) and FILES else 4

RULE = Rule(0.7)

def make(threshold):
    def claim(trials):
        SEEN.append(trials)
        first, second = (lambda x: x > 1), (lambda x: x > threshold)
        named = [name for name in ("a", "b") if name in {"a", "b"}] and (NAMES, WEIGHTS, BY_FUNCTION)
        return above(trials), cached(trials), TABLE["a"], helper.scale(trials), RULE.holds(trials), first, second, named
    return claim

def unrelated():
    return 1

claim = make(0.25)
"""


def load(folder, own=OWN, helper=HELPER):
    folder.mkdir()
    (folder / "own.py").write_text(own)
    (folder / "helper.py").write_text(helper)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.delitem(sys.modules, "helper", raising=False)
        spec = importlib.util.spec_from_file_location("own", folder / "own.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "own", module)
        spec.loader.exec_module(module)
        told = digest(module.claim, of=[module.claim])
        module.claim(2)  # what fills as it runs tells nothing
        assert digest(module.claim, of=[module.claim]) == told
    sys.modules.pop("helper", None)
    return told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 0.5", "LIMIT = 0.6"),
        ("margin=0.1", "margin=0.2"),
        ("x > LIMIT", "x >= LIMIT"),
        ("x + 1", "x + 2"),
        ('{"a": LIMIT}', '{"a": 2 * LIMIT}'),
        ('"b", "a", "c"', '"b", "a"'),
        ("[0.25, 0.5]", "[0.25, 0.75]"),
        ("max: 2", "min: 2"),
        ("Rule(0.7)", "Rule(0.75)"),
        ("x > self.share", "x < self.share"),
        ("return 3 if", "return 5 if"),
        ("table.csv", "tables.csv"),
        ("make(0.25)", "make(0.26)"),
        ("x > threshold", "x < threshold"),
        ("2 * x", "3 * x"),  # in a file beside
    ],
)
def test_all_that_a_function_refers_to_tells(tmp_path, before, after):
    assert before in OWN + HELPER
    changed = load(tmp_path / "changed", OWN.replace(before, after), HELPER.replace(before, after))
    assert changed != load(tmp_path / "as it was")


def test_nothing_else_does(tmp_path):
    moved = "# a line\n" + OWN.replace("return 1", "return 2").replace("def unrelated", "def foreign")
    assert load(tmp_path / "moved", moved, HELPER + "\nY = 1\n") == load(tmp_path / "as it was")


def test_lambdas_of_one_line_are_told_apart_and_what_they_close_over():
    several = [lambda x: x > 1, lambda x: x > 2, *[(lambda least: lambda x: x > least)(each) for each in (1, 2)]]
    assert len({digest(each, of=[each]) for each in several}) == 4


def test_what_refers_to_itself_ends():
    around = [1]
    around.append(around)
    twice = lambda x: (around, twice) if x else x
    assert len(digest(twice, of=[twice])) == 64


def in_a_process(folder, hash_seed, *arguments):
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


HERE = "__file__ = '/no/file.py'\n"
PRINT = "\nfrom jaxmyopia.sources import digest\nprint(digest(claim, of=[claim]))\n"


def test_processes_agree_wherever_the_file_lies_and_however_it_is_started(tmp_path):
    told = {load(tmp_path / "first")}
    for number, start in enumerate((["own.py"], ["-m", "own"])):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "own.py").write_text(OWN + PRINT)
        (tmp_path / str(number) / "helper.py").write_text(HELPER)
        told.add(in_a_process(tmp_path / str(number), number + 1, *start).strip())
    assert len(told) == 1


def test_without_a_source_bytecode_tells(tmp_path):
    (tmp_path / "helper.py").write_text(HELPER)
    same = {in_a_process(tmp_path, seed, "-c", HERE + OWN + PRINT) for seed in (1, 2)}
    assert len(same) == 1
    for before, after in (("x > LIMIT", "x >= LIMIT"), ("make(0.25)", "make(0.26)")):
        same.add(in_a_process(tmp_path, 1, "-c", HERE + OWN.replace(before, after) + PRINT))
    assert len(same) == 3
