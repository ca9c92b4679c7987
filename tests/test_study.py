# SPDX-License-Identifier: Apache-2.0
"""The base class of studies: what it supplies, and one line for whatever breaks its contract."""

import dataclasses
import functools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

from jaxmyopia import contract
from jaxmyopia.checks import ArgumentError
from jaxmyopia.curves import Curves
from jaxmyopia.measures import Derived, Measure
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell, Study
from jaxmyopia.training import Training


@dataclasses.dataclass(frozen=True)
class Walk(Study):
    """Every seed walks from a drawn place at a rate of its own."""

    size: int = 3
    spectrum: tuple[float, ...] = ()

    def init(self, keys, params):
        return {"t": jnp.zeros((), jnp.int32), "at": jax.vmap(lambda key: jax.random.normal(key, (self.size,)))(keys)}

    def step(self, state, params):
        return {"t": state["t"] + 1, "at": state["at"] * (1 - params["rate"][:, None])}

    def observe(self, state, params):
        return {"step": state["t"], "loss": jnp.square(state["at"]).sum(axis=1), "at": state["at"]}


@dataclasses.dataclass(frozen=True)
class Fit(Training):
    """One seed fits a drawn target."""

    n: int = 3

    def init(self, key, *, scale):
        a, b = jax.random.split(key)
        return scale * jax.random.normal(a, (self.n,)), jax.random.normal(b, (self.n,))

    def loss(self, trained, data):
        return jnp.square(trained - data).sum()


def wrong(base: type, **members: Any) -> Study:
    """An instance of a subclass with other members."""
    return dataclasses.dataclass(frozen=True)(type("Wrong", (base,), members))()


def record(**changes: Any):
    """Walk's observation with some entries changed, or left out where None."""

    def observe(self, state, params):
        kept = Walk.observe(self, state, params) | {name: value(state) for name, value in changes.items() if value}
        return {name: leaf for name, leaf in kept.items() if changes.get(name, True)}

    return observe


@struct.dataclass
class Pair:
    step: jax.Array
    loss: jax.Array


TABLED = wrong(Walk, table=None, __annotations__={"table": object})
WRONG_STUDIES = {
    "init is missing": (lambda: wrong(Study), "Wrong.init"),
    "step is missing": (lambda: wrong(Study, init=Walk.init), "Wrong.step"),
    "observe is missing": (lambda: wrong(Study, init=Walk.init, step=Walk.step), "Wrong.observe"),
    "no function": (lambda: wrong(Walk, step=3), "Wrong.step"),
    "summarise is no function": (lambda: wrong(Walk, summarise="loss"), "Wrong.summarise"),
    "a field that cannot be hashed": (lambda: dataclasses.replace(TABLED, table=[1.0]), "Wrong.table"),
    "no measure": (lambda: Walk(measures=["loss"]), "Walk.measures"),
    "a measure of a table": (lambda: Walk(measures=(Derived("end", lambda trials: 0),)), "Walk.measures"),
    "a measure that raises": (lambda: Walk(measures=[Measure("end", lambda c: c["los"][-1])]), "Walk.measures, end"),
    "a measure of no number a seed": (lambda: Walk(measures=[Measure("end", lambda c: c.loss)]), "end"),
    "a class": (lambda: Walk, "study"),
    "no study": (lambda: 3, "study"),
    "no state of arrays": (lambda: wrong(Walk, init=lambda self, keys, params: "start"), "Wrong.init"),
    "init raises": (lambda: wrong(Walk, init=lambda self, keys, params: keys + params["rat"]), "Wrong.init"),
    "init of one argument": (lambda: wrong(Walk, init=lambda self, keys: keys), "Wrong.init"),
    "step drops a leaf": (lambda: wrong(Walk, step=lambda self, s, p: {"t": s["t"]}), "Wrong.step"),
    "step changes a dtype": (lambda: wrong(Walk, step=lambda self, s, p: s | {"t": jnp.zeros(())}), "Wrong.step"),
    "step changes a shape": (lambda: wrong(Walk, step=lambda self, s, p: s | {"at": s["at"][0]}), "Wrong.step"),
    "step gives nothing": (lambda: wrong(Walk, step=lambda self, s, p: None), "Wrong.step"),
    "a record that is an array": (lambda: wrong(Walk, observe=lambda self, s, p: s["at"]), "Wrong.observe"),
    "a record without step": (lambda: wrong(Walk, observe=record(step=None)), "Wrong.observe"),
    "a record with a list": (lambda: wrong(Walk, observe=record(at=lambda s: [s["at"], s["at"]])), "Wrong.observe"),
    "a record of other seeds": (lambda: wrong(Walk, observe=record(at=lambda s: s["at"].T)), "Wrong.observe"),
    "steps that are no number": (lambda: wrong(Walk, observe=record(step=lambda s: s["at"][:, 0])), "Wrong.observe"),
    "a record without loss": (lambda: wrong(Walk, observe=record(loss=None)), "Wrong.summarise"),
    "a summary of scalars": (
        lambda: wrong(Walk, summarise=lambda self, c: {"diverged": c.loss[-1] > 1, "end": c.loss.mean()}),
        "Wrong.summarise",
    ),
    "a summary that is no dict": (lambda: wrong(Walk, summarise=lambda self, c: c.loss[-1]), "Wrong.summarise"),
    "no diverged": (lambda: wrong(Walk, summarise=lambda self, c: {"end": c.loss[-1]}), "Wrong.summarise"),
    "quantiles of a number a seed": (
        lambda: wrong(Walk, quantiles=lambda self, c: {"loss": c.loss[-1]}),
        "Wrong.quantiles",
    ),
    "complex quantiles": (lambda: wrong(Walk, quantiles=lambda self, c: {"loss": c.loss * 1j}), "Wrong.quantiles"),
    "a complex column": (
        lambda: wrong(Walk, summarise=lambda self, c: {"diverged": c.loss[-1] > 0, "end": c.loss[-1] * 1j}),
        "Wrong.summarise",
    ),
    "a name of a curve misspelt": (lambda: wrong(Walk, quantiles=lambda self, c: {"l": c.los}), "Wrong.quantiles"),
    "params of another shape": (lambda: wrong(Walk, params=lambda self, rate: {"rate": rate.mean()}), "Wrong.params"),
    "params that raise": (lambda: wrong(Walk, params=lambda self, rate: rate + "1"), "Wrong.params"),
    "settings is no function": (lambda: wrong(Walk, settings={}), "Wrong.settings"),
    "no block": (lambda: wrong(Walk, block=0), "Wrong.block"),
}
WRONG_TRAININGS = {
    "init is missing": (lambda: wrong(Training), "Wrong.init"),
    "loss is missing": (lambda: wrong(Training, init=Fit.init), "Wrong.loss"),
    "init gives no pair": (lambda: wrong(Fit, init=lambda self, key, *, scale: jnp.ones(3)), "Wrong.init"),
    "init without a star": (lambda: wrong(Fit, init=lambda self, key, scale: (jnp.ones(3), 0)), "Wrong.init"),
    "nothing to train": (lambda: wrong(Fit, init=lambda self, key, *, scale: ({}, jnp.ones(3))), "Wrong.init"),
    "whole numbers trained": (
        lambda: wrong(Fit, init=lambda self, key, *, scale: (jnp.ones(3, int), 0.0)),
        "Wrong.init",
    ),
    "a setting named as a field": (lambda: wrong(Fit, init=lambda self, key, *, n: (n, n)), "Wrong.init"),
    "a loss an entry": (lambda: wrong(Fit, loss=lambda self, trained, data: trained - data), "Wrong.loss"),
    "a loss that raises": (lambda: wrong(Fit, loss=lambda self, trained, data: trained @ data[:2]), "Wrong.loss"),
    "no dict observed": (lambda: wrong(Fit, observe=lambda self, trained, data: trained), "Wrong.observe"),
    "loss observed": (lambda: wrong(Fit, observe=lambda self, t, d: {"loss": t}), "Wrong.observe"),
    "a validation an entry": (lambda: wrong(Fit, validation=lambda self, t, d: t), "Wrong.validation"),
    "a batch of another kind": (lambda: wrong(Fit, batch=lambda self, key, data: None), "Wrong.batch"),
    "an update that forgets": (lambda: wrong(Fit, update=lambda self, t, d, o, r: (t[:1], o)), "Wrong.step"),
    "a step of its own": (lambda: wrong(Fit, step=lambda self, t, d: t), "Wrong.step"),
    "batch is no function": (lambda: wrong(Fit, batch=32), "Wrong.batch"),
}


def refused(make, name: str, **settings: tuple[float, ...]) -> str:
    """The one line with which a study is refused."""
    with pytest.raises(ArgumentError) as error:
        Cell(study=make(), sweep=tuple(settings.items()), seeds=2, steps=5)
    assert error.value.name == name and error.value.allowed.startswith("must ")
    assert str(error.value).startswith(f"{name}=") and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("case", WRONG_STUDIES)
def test_a_wrong_study_is_one_line_that_names_the_member(case):
    refused(*WRONG_STUDIES[case], rate=(0.1,))


@pytest.mark.parametrize("case", WRONG_TRAININGS)
def test_a_wrong_training_is_one_line_that_names_the_member(case):
    refused(*WRONG_TRAININGS[case], learning_rate=(0.1,), scale=(1.0,))


def test_a_class_without_its_decorator_is_refused():
    class Bare(Walk):
        size: int = 4

    assert "dataclass" in refused(Bare, "study", rate=(0.1,))


@pytest.mark.parametrize(
    ("settings", "name", "known"),
    (
        ({"learning_rate": (0.1,), "scal": (1.0,)}, "scal", "learning_rate, scale"),
        ({"learning_rate": (0.1,)}, "scale", "learning_rate, scale"),
        ({"learning_rate": (0.0,), "scale": (1.0,)}, "learning_rate", "positive"),
        ({"learning_rate": (0.1,), "scale": (float("nan"),)}, "scale", "finite"),
    ),
)
def test_settings_that_are_not_known_are_refused_with_those_that_are(settings, name, known):
    assert known in refused(Fit, name, **settings)


@pytest.mark.parametrize(
    ("given", "name"),
    (
        ({"optimzer": "adam"}, "optimzer"),
        ({"init_scale": 1.0}, "init_scale"),
        ({"scale": "small"}, "scale"),
        ({"optimizer": "adamm"}, "optimizer"),
    ),
)
def test_cells_of_names_that_are_neither_fields_nor_settings_are_refused(given, name):
    with pytest.raises(ArgumentError) as error:
        Fit().cells(seeds=2, steps=5, **{"learning_rate": 0.1, "scale": 1.0} | given)
    assert error.value.name == name


def test_a_study_tells_fields_from_settings():
    rates = np.array([0.1, 0.2])
    cells = Fit().cells(seeds=7, steps=5, records=4, optimizer=("sgd", "adam"), n=(2, 3), learning_rate=rates, scale=1)
    assert [(cell.study.optimizer, cell.study.n) for cell in cells] == [
        ("sgd", 2), ("sgd", 3), ("adam", 2), ("adam", 3),
    ]  # fmt: skip
    assert all(cell.sweep == (("learning_rate", (0.1, 0.2)), ("scale", (1,))) for cell in cells)
    assert all((cell.seeds, cell.steps, cell.records) == (7, 5, 4) for cell in cells)


def test_an_object_is_one_value_and_takes_no_rate():
    own, named = Fit().cells(seeds=1, steps=5, optimizer=(optax.adam(0.1), "adam"), learning_rate=0.1, scale=1.0)
    assert own.sweep == (("scale", (1.0,)),) and len(named.sweep) == 2
    (alone,) = Fit().cells(seeds=1, steps=5, optimizer=optax.adam(0.1), scale=1.0)
    assert optax.GradientTransformation in type(alone.study.optimizer).__mro__


def test_a_field_that_holds_several_takes_them_as_one_value():
    study = Walk(spectrum=(1.0,))
    (one,) = study.cells(seeds=1, steps=5, spectrum=(2.0, 1.0), rate=0.1)
    assert one.study.spectrum == (2.0, 1.0)
    two = study.cells(seeds=1, steps=5, spectrum=((2.0, 1.0), (3.0,)), rate=0.1)
    assert [cell.study.spectrum for cell in two] == [(2.0, 1.0), (3.0,)]


def test_the_base_supplies_columns_summaries_and_quantiles():
    study = Walk(
        measures=[Measure("least", lambda curves, share: share * curves["loss"].min(axis=0), share=(1.0, 0.5))]
    )
    assert study.settings() == {"study": "Walk", "size": 3} and str(study) == "Walk, size 3"
    steps, loss = np.arange(3), np.array([[1.0, 1.0, 1.0], [2.0, np.nan, 0.5], [0.5, 0.5, 2.0]], np.float32)
    for curves in ({"step": steps, "loss": loss}, Pair(step=steps, loss=loss)):
        found = jax.jit(study.summarise)(curves)
        assert found["diverged"].tolist() == [False, True, True]
        assert found["least_s0.5"].tolist()[::2] == [0.25, 0.25] and found["least_s1"].tolist()[::2] == [0.5, 0.5]
        assert jax.jit(study.quantiles)(Curves.of(curves))["loss"][1].tolist() == [2.0, np.inf, 0.5]


def test_curves_are_a_pytree_by_name_and_by_attribute():
    curves = Curves.of(Pair(step=jnp.arange(2), loss=jnp.ones((2, 3))))
    last = jax.jit(lambda x: jax.tree.map(lambda leaf: leaf[-1], x))(curves)
    assert last.loss.shape == (3,) and last["step"] == 1 and set(last) == {"step", "loss"}
    assert Curves.of(curves) is curves and pickle.loads(pickle.dumps(curves)).loss.shape == (2, 3)
    with pytest.raises(AttributeError, match="no curve 'los'; there are loss, step"):
        _ = curves.los


def test_what_all_seeds_share_is_what_has_no_axis():
    columns = {"rate": np.array([0.1])}
    assert set(contract.shapes(Walk(), columns).by_seed()) == {"loss", "at"}
    study = LowRank(n=4, rank=2)
    columns = {"learning_rate": np.array([0.1]), "init_scale": np.array([1.0])}
    curves = {f"{name}_{side}" for name in ("norm", "align", "inner") for side in ("a", "b")}
    assert set(contract.shapes(study, columns).by_seed()) == {"loss"} | curves


def test_thousands_of_cells_trace_one_study(monkeypatch):
    traced = []
    monkeypatch.setattr(contract, "check_traced", functools.partial(lambda *args: traced.append(args)))
    study = wrong(Fit)
    for n in range(2, 302):
        study.cells(seeds=2, steps=5, n=n, learning_rate=0.1, scale=1.0)
    assert len(traced) == 1
