# SPDX-License-Identifier: Apache-2.0
"""Planted agents: those of the planner are what the planner says, trial by trial."""

import numpy as np
import pytest

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.calculations import steps_past_cutoff
from jaxmyopia.studies.epochs.env_params import LURES, env_params
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import NEVER, code
from jaxmyopia.studies.epochs.planned import endless, memoryless, plan, planned

E, L = 5, 3


def rows(**several):
    """One trial for each value of the settings that are lists."""
    count = max(len(np.atleast_1d(value)) for value in several.values())
    given = {
        "seed": np.arange(count), "diverged": False, "epochs": E, "epoch_steps": L, "schedule": 2.0,
        "lure": code("lure", "invest"), "credit": code("credit", "run"), "cutoff": 3.0, "length": np.nan,
        "penalty": np.nan, "hazard": np.nan, "flat_from": np.nan,
    } | several  # fmt: skip
    measured = {f"{name}_{i}": np.nan for name in ("running", "acting", "lured") for i in range(E)}
    columns = {name: np.array(np.broadcast_to(value, count)) for name, value in (given | measured).items()}
    return Trials(columns, (tuple(given),))


def directly(credit, **params):
    env = EpochEnv(epochs=E, epoch_steps=L)
    model = tables.make_model(env, env_params(**params))
    return planner.outcome(model, planner.optimal(model, planner.discounts(env, 1.0, credit))[1])


@pytest.mark.parametrize("lure", ["invest", "borrow"])
@pytest.mark.parametrize("credit", ["epoch", "run"])
def test_a_plan_is_the_planners_in_every_arm_under_penalties_and_hazards(lure, credit):
    several = [
        {"schedule": "negative"}, {"schedule": "flat"}, {"schedule": "flat", "length": 3},
        {"schedule": "flat", "penalty": 2.0}, {"schedule": "zero", "hazard": 0.4},
        {"schedule": "negative", "cutoff": 1},
    ]  # fmt: skip
    trials = rows(
        schedule=[code("schedule", each["schedule"]) for each in several],
        **{
            name: [float(each.get(name, value)) for each in several]
            for name, value in (("length", np.nan), ("penalty", np.nan), ("hazard", np.nan), ("cutoff", 3))
        },
        lure=code("lure", lure), credit=code("credit", credit),
    )  # fmt: skip
    found = plan(trials)
    for i, each in enumerate(several):
        params = {"lure": lure, "cutoff": 3, "length": E} | each
        wanted = directly(planner.CREDITS[credit], **params)
        for name in ("running", "acting", "lured"):
            np.testing.assert_allclose(found[name][i], getattr(wanted, name), atol=1e-6, err_msg=f"{each}, {name}")


def test_another_credit_may_be_planted_and_what_went_flat_is_planned_flat():
    trials = rows(schedule=[0.0, 0.0], flat_from=[NEVER, 5.0])
    found = plan(trials, 0.0)
    assert found["running"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]] and (found["lured"] == 0).all()
    sighted = plan(trials, 1.0)
    assert sighted["lured"][0].tolist() == [1, 1, 0, 0, 0]  # what is invested in K - 1 pays when it is gone
    assert sighted["lured"][1].tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("penalty", [0.5, 1.5, 4.0, 12.0])
def test_the_plan_under_a_penalty_is_that_of_the_closed_form(penalty):
    found = plan(rows(penalty=[penalty]))
    steps = steps_past_cutoff(penalty, 3, LURES["invest"], "run", epochs=E, epoch_steps=L)
    assert found["acting"][0, 3:].sum() * L == pytest.approx(steps)


def test_planted_lures_tremble_differently_in_each_arm_and_the_same_when_asked_again():
    long, short = rows(schedule=np.zeros(64)), rows(length=np.full(64, 3.0))
    first, other = planned(long)["lured_0"], planned(short)["lured_0"]
    assert len(np.unique(first)) == 64 and (first != other).all()
    assert first.min() > 0.997 and first.max() < 1
    np.testing.assert_array_equal(first, planned(long)["lured_0"])


def test_agents_without_a_memory_cannot_stop_at_the_third_epoch_and_those_without_an_end_never_do():
    found = memoryless(rows(schedule=[0.0]))
    running = [float(found[f"running_{i}"][0]) for i in range(E)]
    assert not (running[2] > 0.9 and running[3] < 0.1)
    assert [float(endless(rows(schedule=[0.0]))[f"running_{i}"][0]) for i in range(E)] == [1.0] * E


def test_a_lure_that_is_borrowed_is_a_clock_to_whom_the_index_is_hidden():
    """What is pending counts: with `borrow` the best agent without a memory runs one epoch and stops in the second."""
    found = memoryless(rows(schedule=[0.0], lure=code("lure", "borrow"), cutoff=2.0))
    assert float(found["running_1"][0]) > 0.9 and float(found["running_2"][0]) < 0.1
