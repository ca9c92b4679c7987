# SPDX-License-Identifier: Apache-2.0
"""The contract test: every built-in study passes, and it catches what would spoil a run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.checks import ArgumentError
from jaxmyopia.studies.dilemma.study import SelfDilemma
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.studies.epochs.trait import Trait
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.studies.neutrality.study import Neutrality
from jaxmyopia.study import Study
from jaxmyopia.testing import check_study

AGENT = {"schedule": 2.0, "lure": 1.0, "credit": 1.0, "cutoff": 2.0, "learning_rate": 0.1}
TRAIT = {name: value for name, value in AGENT.items() if name != "credit"} | {"permuted": 1.0, "baseline": 1.0}
DILEMMA = {"learning_rate": 0.1, "epsilon": 0.2, "cost": 1.0, "gain": 3.0, "seen": 1.0, "swap": 1.0}
BUILT_IN = (
    (LowRank(n=5, rank=2, optimizer="noisy_sgd"), {"learning_rate": 0.05, "init_scale": 0.5}),
    (Myopia(epochs=2, epoch_steps=2, policy="table"), AGENT),
    (Selection(epochs=2, epoch_steps=2, population=4), AGENT | {"interval": 2.0, "swap": 1.0}),
    (Trait(epochs=2, epoch_steps=2, runs_a_batch=4), TRAIT),
    (SelfDilemma(population=2, window=4), DILEMMA),
    (Neutrality(episodes=4), {"learning_rate": 0.1, "repeat_discount": 0.9, "discount": 0.9, "per_length": 1.0}),
)


@pytest.mark.parametrize(("study", "settings"), BUILT_IN, ids=lambda x: str(x) if isinstance(x, Study) else "")
def test_built_in_studies_keep_the_contract(study, settings):
    check_study(study, **settings)


@dataclasses.dataclass(frozen=True)
class Drift(Study):
    """Seeds drift to their goals at rates of their own."""

    def init(self, keys, params):
        return jnp.zeros((), jnp.int32), jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)

    def step(self, state, params):
        return state[0] + 1, state[1] * (1 - params["rate"][:, None])

    def observe(self, state, params):
        return {"step": state[0], "loss": jnp.square(state[1]).sum(axis=1)}


def test_a_study_that_keeps_it_passes():
    check_study(Drift(), rate=0.1)


def _sees_others(self, state, params):
    return state[0] + 1, state[1] - 0.1 * state[1].mean(axis=0, keepdims=True)


def _shares_a_mean(self, state, params):
    return Drift.observe(self, state, params) | {"mean": state[1].mean()}


_CALLS = []


def _remembers(self, state, params):
    _CALLS.append(0)
    return state[0] + 1, state[1] * (1 - params["rate"][:, None]) + np.float32(len(_CALLS))


def _ranked(self, curves):
    return Drift().summarise(curves) | {"rank": jnp.argsort(curves.loss[-1])}


def _by_place(self, curves):
    noise = jax.random.normal(jax.random.key(0), curves.loss.shape[1:])  # a draw for each place in the block
    return Drift().summarise(curves) | {"noisy": curves.loss[-1] + noise}


CAUGHT = {
    "a summary that hangs on the place": ({"summarise": _by_place}, "Caught.summarise hangs on a seed's place"),
    "a summary that compares seeds": ({"summarise": _ranked}, "Caught.summarise lets seeds see each other"),
    "seeds see each other": ({"step": _sees_others}, "Caught.step lets seeds see each other"),
    "all share what hangs on one": ({"observe": _shares_a_mean}, "Caught.observe has for all"),
    "a step that remembers": ({"step": _remembers}, "Caught.step is not pure"),
    "no draw": (
        {"init": lambda self, keys, params: (jnp.zeros((), jnp.int32), jnp.ones((keys.shape[0], 2)))},
        "Caught.init draws the same whatever its key",
    ),
    "steps that are not counted": ({"step": lambda self, s, p: (s[0], s[1] * 0.5)}, "Caught.observe counts the steps"),
    "a step that does nothing": ({"step": lambda self, s, p: (s[0] + 1, s[1])}, "Caught.step changes nothing"),
}


@pytest.mark.parametrize("case", CAUGHT)
def test_it_catches(case):
    members, message = CAUGHT[case]
    with pytest.raises(AssertionError, match=message):
        check_study(dataclasses.dataclass(frozen=True)(type("Caught", (Drift,), members))(), rate=0.1)


def test_it_names_a_setting_that_is_missing():
    with pytest.raises(ArgumentError, match=r"^init_scale="):
        check_study(LowRank(n=4), learning_rate=0.1)
