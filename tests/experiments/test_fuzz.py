# SPDX-License-Identifier: Apache-2.0
"""Flags and studies drawn at random, as `experiments.benchmarks.fuzz` does in numbers: a few, of programs that are
shared, with a page without figures."""

import dataclasses
import random

import hypothesis
import hypothesis.strategies as st
import pytest

from experiments.benchmarks import fuzz, fuzz_pools
from jaxmyopia.cli import Binary
from jaxmyopia.report.page import Report
from jaxmyopia.studies.lowrank import controls

# These decide the program, or how much is drawn: each of their right values has been run by the benchmark.
SLOW = {"losses", "targets", "spectrum", "optimizers", "ranks", "records", "steps", "rates", "n", "uptick"}
SLOW |= fuzz_pools.THRESHOLDS.keys()


@st.composite
def cases(draw):
    """Some flags of `plateaus`: right values of those that leave the program as it is, wrong ones of all."""
    pools, chosen = fuzz.POOLS["plateaus"], {}
    for name in draw(st.lists(st.sampled_from(sorted(pools)), min_size=1, max_size=5, unique=True)):
        right, wrong = pools[name]
        fine = right and name not in SLOW and draw(st.integers(0, 9)) > 0
        chosen[name] = draw(st.sampled_from(right if fine else wrong))
    return chosen


@pytest.fixture(scope="module")
def binary(short_controls):
    """The experiment without its figures; of the known cases one, as no flag that is drawn here changes them."""
    experiment, known = fuzz.BINARIES["plateaus"].experiment, controls.cells
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "cells", lambda thresholds: known(thresholds)[:1])
        yield Binary(dataclasses.replace(experiment, report=lambda answer, sweep: Report("fuzz")))


@hypothesis.settings(max_examples=12)
@hypothesis.given(chosen=cases())
def test_drawn_flags_end_in_a_complete_folder_or_in_one_line(chosen, binary, tmp_path_factory):
    found = fuzz.outcome(binary, fuzz.words_of("plateaus", chosen), tmp_path_factory.mktemp("fuzz"))
    assert found in ("complete", "refused"), found


@pytest.mark.parametrize("name", fuzz.BINARIES)
def test_every_wrong_value_of_every_flag_is_refused(name, tmp_path):
    for flag, (_, wrong) in fuzz.POOLS[name].items():
        for value in random.Random(flag).sample(wrong, min(len(wrong), 2)):
            if value == "1_0":  # Python's way to write 10
                continue
            words = fuzz.words_of(name, {flag: value})
            assert fuzz.outcome(fuzz.BINARIES[name], words, tmp_path) == "refused", words


# Those that are refused before anything is compiled, and a few that run.
REFUSED = ("nothing", "a text", "objects of numpy", "raises", "branches")


@pytest.mark.parametrize("base", fuzz.MEMBERS, ids=lambda base: base.__name__)
def test_nonsense_is_refused_in_one_line(base):
    for member in fuzz.MEMBERS[base]:
        for kind in REFUSED:
            if (member, kind) not in {("validation", "nothing"), ("params", "branches"), ("batch", "objects of numpy")}:
                found = fuzz.outcome_of_study(base, member, kind)
                assert found in ("refused", "complete"), f"{member}, {kind}: {found}"
                assert found == "refused" or kind in ("branches", "nothing"), f"{member}, {kind}"


def test_odd_numbers_run_and_what_no_memory_holds_does_not():
    assert fuzz.outcome_of_study(fuzz.Walk, "step", "NaN") == "complete"
    assert fuzz.outcome_of_study(fuzz.Walk, "observe", "huge") == "refused"
