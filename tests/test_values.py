# SPDX-License-Identifier: Apache-2.0
"""Where values enter: one line that names the argument for whatever is not what it should be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.studies.dilemma.sweep import Sweep as Dilemma
from jaxmyopia.studies.epochs.sweep import Sweep as Epochs
from jaxmyopia.studies.lowrank.adam_bumps import Sweep as Bumps
from jaxmyopia.studies.lowrank.sweep import Sweep
from jaxmyopia.study import Cell
from jaxmyopia.values import conform

STUDY = jm.LowRank(n=4, rank=1)
RUN = {"seeds": 2, "steps": 4, "records": 4, "progress": False, "learning_rate": 0.1, "init_scale": 0.1}


def run(**changes):
    return jm.run(STUDY, **RUN | changes)


def cells(**changes):
    return STUDY.cells(**{name: value for name, value in (RUN | changes).items() if name != "progress"})


REFUSED = {
    "a rate beyond the dtype": (lambda: cells(learning_rate=1e39), "learning_rate", "most 3.4e+38 in size, in float32"),
    "a rate that is 0 in it": (lambda: cells(learning_rate=1e-46), "learning_rate", "0 or at least 1.18e-38 in size"),
    "a rate that programs take for 0": (lambda: cells(learning_rate=1e-40), "learning_rate", "0 or at least"),
    "a scale beyond it": (lambda: cells(init_scale=[1.0, -1e39]), "init_scale", "at most 3.4e+38"),
    "two rates that are one": (lambda: cells(learning_rate=[0.1, 0.1 + 1e-12]), "learning_rate", "the same in float32"),
    "a number that no float holds": (lambda: cells(learning_rate=10**400), "learning_rate", "number"),
    "rates of a sweep beyond it": (lambda: Sweep(learning_rates=(0.1, 1e39)), "learning_rates", "at most"),
    "rates of a sweep that are one": (lambda: Epochs(learning_rates=(0.1, 0.1 + 1e-12)), "learning_rates", "float32"),
    "shares of a sweep that are one": (lambda: Dilemma(epsilons=(0.1, 0.1 + 1e-12)), "epsilons", "float32"),
    "a float for a whole number": (lambda: jm.LowRank(n=10.0), "n", "a whole number"),
    "a truth for a whole number": (lambda: jm.LowRank(n=True), "n", "a whole number"),
    "a text for a whole number": (lambda: jm.LowRank(n="10"), "n", "a whole number"),
    "nothing for a whole number": (lambda: jm.LowRank(n=None), "n", "a whole number"),
    "a float for a rank": (lambda: jm.LowRank(n=4, rank=1.0), "rank", "a whole number"),
    "a float for one cell": (lambda: cells(n=[4, 5.0]), "n", "a whole number"),
    "a dict for thresholds": (lambda: jm.LowRank(n=4, thresholds={"bump_delta": 0.1}), "thresholds", "a Thresholds"),
    "a text for several": (lambda: jm.LowRank(n=4, spectrum="2.0"), "spectrum", "a tuple of numbers"),
    "a float in a sweep": (lambda: Bumps(n=4.0), "n", "a whole number"),
    "a text for a sweep's ranks": (lambda: Sweep(ranks="12"), "ranks", "a tuple of whole numbers"),
    "seeds in words": (lambda: cells(seeds="8"), "seeds", "a whole number"),
    "truths for records": (lambda: cells(records=True), "records", "a whole number"),
    "no steps": (lambda: cells(steps=None), "steps", "a whole number"),
    "a misspelt setting": (lambda: cells(lerning_rate=0.1), "lerning_rate", "the settings learning_rate, init_scale"),
    "a misspelt field": (lambda: cells(optimzer="adam"), "optimzer", "the fields"),
    "a dict": (lambda: cells(learning_rate={"a": 1}), "learning_rate", "a number or several"),
    "a setting in words": (lambda: cells(learning_rate="0.1"), "learning_rate", "a number or several"),
    "lists of several lengths": (lambda: cells(learning_rate=[[0.1], [0.1, 0.2]]), "learning_rate", "a number"),
    "no value": (lambda: cells(learning_rate=[]), "learning_rate", "at least one"),
    "no value of a field": (lambda: cells(optimizer=[]), "optimizer", "at least one"),
    "a field's value twice": (lambda: cells(optimizer=["sgd", "sgd"]), "optimizer", "without repeats"),
    "curves in words": (lambda: run(keep_curves="4"), "keep_curves", "a whole number"),
    "half a curve": (lambda: run(keep_curves=4.5), "keep_curves", "a whole number"),
    "a root in words": (lambda: run(root_seed="0"), "root_seed", "a whole number"),
    "half a root": (lambda: run(root_seed=1.5), "root_seed", "a whole number"),
    "progress in words": (lambda: run(progress="no"), "progress", "True or False"),
    "a number for a folder": (lambda: run(out=3), "out", "a path"),
    "no name of a folder": (lambda: run(out="a\0b"), "out", "path"),
    "nobody's folder": (lambda: run(out="~nobody-of-this-name/x"), "out", "no such user"),
    "no name of a folder to read": (lambda: jm.load("a\0b"), "folder", "path"),
    "nothing to read": (lambda: jm.load(None), "folder", "path"),
    "nothing to settle with": (lambda: jm.settle(STUDY, []), "seeds, steps", "must be given"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_value_is_one_line_that_names_it(case):
    make, name, allowed = REFUSED[case]
    with pytest.raises(ArgumentError) as refused:
        make()
    assert refused.value.name == name and allowed.replace("a path", "path") in refused.value.allowed
    assert "\n" not in str(refused.value)


def test_what_single_precision_lacks_double_precision_has(x64):
    (cell,) = cells(learning_rate=[0.1, 0.1 + 1e-12, 1e39, 1e-46])
    assert len(cell.combinations) == 4
    with pytest.raises(ArgumentError, match="in float64"):
        cells(learning_rate=[0.1, 0.1 + 1e-18, 1e-320])


def test_a_run_within_a_traced_function_is_refused():
    for inside in (lambda x: run(), lambda x: run(learning_rate=x)):
        with pytest.raises(RunError, match="cannot be called while"):
            jax.jit(inside)(0.1)
    for transform in (jax.grad, jax.vmap):
        with pytest.raises(ArgumentError, match="known before anything is traced"):
            transform(lambda x: run(init_scale=x))(jnp.ones(2) if transform is jax.vmap else 1.0)


def test_values_of_the_right_kind_are_kept_and_those_of_numpy_become_pythons():
    @dataclasses.dataclass(frozen=True)
    class Net:
        width: int = 8
        rate: float = 0.1
        deep: bool = False
        sizes: tuple[int, ...] = ()
        names: tuple[str, ...] = ()
        least: float | None = None
        table: object = None

    net = Net(np.int32(4), 1, np.bool_(True), np.arange(2), ["a"], None, [1])
    conform(net)
    assert net == Net(4, 1.0, True, (0, 1), ("a",), None, [1])
    assert [type(value) for value in (net.width, net.rate, net.deep, net.sizes[1])] == [int, float, bool, int]
    assert jm.LowRank(n=4, rank=1, target="spectrum", spectrum=[2]) == jm.LowRank(
        n=4, rank=1, target="spectrum", spectrum=(2.0,)
    )
    assert hash(Cell(study=STUDY, sweep=(("learning_rate", (0.1,)), ("init_scale", (1.0,))), seeds=1, steps=4))


def test_a_function_that_is_refused_is_named_without_its_address():
    said = str(ArgumentError("show", lambda x: x, "must be another"))
    assert "<lambda>" in said and " at 0x" not in said and "<locals>" not in said
