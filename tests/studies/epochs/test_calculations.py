# SPDX-License-Identifier: Apache-2.0
"""Calculations against the planner, and where it has no place for them, against brute force over all actions."""

import dataclasses
import functools
import itertools
import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs import calculations as of
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.model import LURE, WORK, EpochEnv, env_params

ELEVEN = np.linspace(0, 1, 11)
HARD = [(-1.0, 3.0), (-0.5, 0.7), (-2.0, 9.0), (-1.0, 0.5)]  # investments
SOFT = [(1.0, -1.5), (0.5, -0.6), (1.0, -2.5)]  # debts


def with_lure(params, lure):
    return params.replace(lure_now=jnp.float32(lure[0]), lure_later=jnp.float32(lure[1]))


@functools.partial(jax.jit, static_argnums=(0, 1))
def lured(env, actions, params, discount, credit):
    """Whether the planner takes a lure at each place `(T, P)`, of the first so many actions."""
    model = tables.make_model(env, params)
    model = dataclasses.replace(
        model,
        reward=model.reward[..., :actions],
        pending=model.pending[..., :actions],
        goes_on=model.goes_on[..., :actions],
    )
    _, policy = planner.optimal(model, planner.discounts(env, discount, credit))
    return policy[..., LURE] > 0


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_partial_credit_makes_a_lure_worth_it_where_the_planner_takes_it(discount):
    env, taken = EpochEnv(epochs=3, epoch_steps=3), set()
    for lure, credit in itertools.product(HARD + SOFT, ELEVEN + 0.003):
        credit = min(credit, 1.0)
        # A debtor may rather be gone than pay; what is asked is what is worth it to one who stays.
        found = lured(env, 2, with_lure(env_params("flat"), lure), discount, credit)
        for step in range(3):
            wait = 3 - step
            gain = of.lure_gain(lure, credit=credit, discount=discount, wait=wait)
            border = of.border_credit(lure, discount=discount, wait=wait)
            assert (gain > 0) == (credit > border if lure[0] < 0 else credit < border)
            for time in (step, 3 + step):
                can_be = found[time, : step + 1 if step else None]  # so many lures as there were steps
                assert (np.asarray(can_be) == (gain > 0)).all(), (lure, credit, time)
            taken.add((lure[0] < 0, gain > 0))
        if lure[0] < 0:
            with_shutdown = lured(env, 3, with_lure(env_params("flat"), lure), discount, credit)
            for time in range(6):
                np.testing.assert_array_equal(with_shutdown[time, : time % 3 + 1], found[time, : time % 3 + 1])
    assert len(taken) == 4


@hypothesis.settings(max_examples=100)
@hypothesis.given(
    now=st.floats(0.1, 3), later=st.floats(0.1, 9), sign=st.sampled_from([1, -1]), discount=st.floats(0.5, 1),
    wait=st.integers(1, 8), borders=st.integers(1, 3),
)  # fmt: skip
def test_at_the_border_credit_a_lure_is_worth_nothing(now, later, sign, discount, wait, borders):
    lure, settings = (-sign * now, sign * later), {"discount": discount, "wait": wait, "borders": borders}
    credit = of.border_credit(lure, **settings)
    assert of.lure_gain(lure, credit=credit, **settings) == pytest.approx(0, abs=1e-9)


def delayed_run(sequences, *, steps, cutoff, lure, delay, credit):
    """What sequences of actions `(N, T)` are worth where lures pay `delay` epochs later, the cap past K being -1."""
    count, times = sequences.shape
    owed = np.zeros((count, times // steps + delay))
    total, running = np.zeros(count), np.ones(count, bool)
    for t in range(times):
        epoch, first = t // steps, t % steps == 0
        running &= sequences[:, t] != 2
        took = sequences[:, t] == LURE
        paid = 1 + lure[0] * took + (lure[1] * owed[:, epoch] if first else 0)
        if cutoff is not None and epoch >= cutoff:
            paid = np.minimum(paid, -1)
        total += np.where(running, credit**epoch * paid, 0)
        owed[:, epoch + delay] += took & running
    return total


@pytest.mark.parametrize(("epochs", "steps"), [(6, 1), (3, 2)])
def test_delayed_lures_are_worth_it_where_the_best_of_all_runs_takes_them(epochs, steps):
    sequences = np.array(list(itertools.product(range(3), repeat=epochs * steps)))
    lures = [(-1.0, 3.0), (-0.5, 0.7), (0.3, -0.9)]
    seen = set()
    for lure, delay, credit in itertools.product(lures, (1, 2, 3), (1.0, 0.77, 0.55, 0.0)):
        for cutoff in (None, *range(1, epochs)):
            if credit < 1 and lure[0] > 0:
                continue  # who does not see all its debts may do best to leave before they fall due
            worth = delayed_run(sequences, steps=steps, cutoff=cutoff, lure=lure, delay=delay, credit=credit)
            best = sequences[np.flatnonzero(worth > worth.max() - 1e-9)]
            for epoch in range(epochs if cutoff is None else cutoff):
                if credit == 0 and epoch:
                    break  # nothing later is of any account
                expected = of.delayed_is_worth_it(lure, epoch, delay, epochs=epochs, cutoff=cutoff, credit=credit)
                own = best[:, epoch * steps : (epoch + 1) * steps]
                assert ((own == LURE) if expected else (own == WORK)).all(), (lure, delay, credit, cutoff, epoch)
                seen.add((lure[0] > 0, expected))
    assert len(seen) == 4


@hypothesis.settings(max_examples=100)
@hypothesis.given(
    now=st.floats(0.1, 3), later=st.floats(0.1, 9), credit=st.floats(0, 0.9) | st.just(1.0), hazard=st.floats(0, 1)
)
def test_the_farthest_delay_is_the_last_at_which_a_lure_gains(now, later, credit, hazard):
    far = of.farthest_delay((-now, later), credit=credit, hazard=hazard)
    gains = lambda borders: of.lure_gain((-now, later), credit=credit, hazard=hazard, borders=borders)
    if far == math.inf:
        assert gains(10**6) > 0
    else:
        hypothesis.assume(all(abs(gains(max(far + i, 1))) > 1e-9 for i in (0, 1)))
        assert gains(far + 1) <= 0 and (far == 0 or gains(far) > 0)


@functools.partial(jax.jit, static_argnums=0)
def far_sighted(env, params, cutoff):
    """Usefulness before K of the planner's agent of the flat run."""
    model = tables.make_model(env, params)
    earned = planner.outcome(model, planner.optimal(model, planner.discounts(env, 1.0, 1.0))[1]).earned
    before = jnp.arange(env.epochs) < cutoff
    return jnp.where(before, earned, 0.0).sum() / planner.most_earned(env, params.replace(cutoff=cutoff))


@pytest.mark.parametrize(("epochs", "steps"), [(4, 1), (7, 3), (5, 4)])
def test_a_far_sighted_agent_is_as_useful_before_the_cutoff_as_calculated(epochs, steps):
    env = EpochEnv(epochs=epochs, epoch_steps=steps)
    for lure in [*HARD, *SOFT, (0.0, 0.0), (0.5, 0.5), (0.0, 1.0), (2.0, -1.0)]:
        for cutoff in range(1, epochs):
            found = far_sighted(env, with_lure(env_params("flat", cutoff=epochs), lure), jnp.int32(cutoff))
            assert float(found) == pytest.approx(of.usefulness_at_full_sight(lure, cutoff), abs=1e-5), (lure, cutoff)


@functools.partial(jax.jit, static_argnums=0)
def acted(env, params, credit):
    """The planner's expected number of steps by epoch, `(E,)`."""
    model = tables.make_model(env, params)
    _, policy = planner.optimal(model, planner.discounts(env, 1.0, credit))
    return planner.outcome(model, policy).acting * env.epoch_steps


@pytest.mark.parametrize(("epochs", "steps"), [(5, 1), (4, 2), (6, 4)])
@pytest.mark.parametrize("credit", ["run", "epoch"])
def test_who_meets_a_penalty_stops_where_the_planner_does(epochs, steps, credit):
    env, seen = EpochEnv(epochs=epochs, epoch_steps=steps), set()
    for lure in [*HARD, *SOFT, (0.0, 0.0)]:
        penalties = np.linspace(0, 1.3 * (1 + steps * max(sum(lure), 0.5)), 11) + 0.0137
        cutoffs = np.arange(1, epochs)
        expected = of.penalty_map(penalties, cutoffs, lure, credit, epochs=epochs, epoch_steps=steps)
        for (i, penalty), (j, cutoff) in itertools.product(enumerate(penalties), enumerate(cutoffs)):
            params = with_lure(env_params("flat", cutoff=int(cutoff), penalty=float(penalty)), lure)
            steps_acted = np.asarray(acted(env, params, planner.CREDITS[credit]))
            assert steps_acted[cutoff:].sum() == pytest.approx(expected[i, j]), (lure, penalty, cutoff)
            seen.add((expected[i, j] == 0, expected[i, j] == 1, expected[i, j] % steps == 0))
    assert len(seen) >= 2


def test_far_sighted_and_myopic_agents_part_where_the_penalty_is_between_two_borders():
    settings = {"lure": LURES["invest"], "epochs": 8, "epoch_steps": 4}
    for penalty, far, near in ((0.5, 16, 16), (2.0, 13, 0), (5.0, 1, 0), (9.5, 0, 0)):
        assert of.steps_past_cutoff(penalty, 4, credit="run", **settings) == far
        assert of.steps_past_cutoff(penalty, 4, credit="epoch", **settings) == near


def test_the_table_has_every_calculation_and_says_nothing_twice():
    head, *rows = of.rows()
    assert len({row[:2] for row in rows}) == len(rows) and len(head) == 3
    said = {row[:2]: row[2] for row in rows}
    assert said["partial credit over a border", "invest, no discount"] == "worth it iff above 0.333"
    assert said["usefulness before K, full sight, flat run", "invest, K = 4"] == "0.9 of the most"
    assert said["hidden cutoff, cap of -1", "borrow once an epoch and work on"].endswith("above 0.333")


@pytest.mark.parametrize(
    "call",
    [
        lambda: of.border_credit((1.0, 1.0)),
        lambda: of.farthest_delay((1.0, -1.0)),
        lambda: of.usefulness_at_full_sight((-1.0, 3.0), 0),
        lambda: of.penalty_borders((1.0, 1.0), "run", epoch_steps=2),
        lambda: of.penalty_borders((-1.0, 1.0), "half", epoch_steps=2),
        lambda: of.steps_past_cutoff(1.0, 8, (-1.0, 3.0), "run", epochs=8, epoch_steps=4),
    ],
)
def test_what_a_calculation_is_not_made_for_is_refused(call):
    with pytest.raises(ValueError, match="is not allowed"):
        call()
