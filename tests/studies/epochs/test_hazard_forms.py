# SPDX-License-Identifier: Apache-2.0
"""When a lure is worth it under a cutoff that nobody sees: closed forms against the planner."""

import dataclasses
import functools
import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs import hazard, planner, tables
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.model import LURE, WORK, EpochEnv, env_params

ELEVEN = np.linspace(0, 1, 11)


@functools.partial(jax.jit, static_argnums=0)
def optimal(env, params, discount=1.0, credit=1.0):
    """The planner's values and policy."""
    return planner.optimal(tables.make_model(env, params), planner.discounts(env, discount, credit))


def of_lure(params, lure, **more):
    """The parameters with another lure, and other numbers."""
    more |= {"lure_now": lure[0], "lure_later": lure[1]}
    return params.replace(**{name: jnp.float32(value) for name, value in more.items()})


@functools.partial(jax.jit, static_argnums=0)
def worth(env, params, actions):
    """What actions `(T,)` are worth over a run, whatever is pending."""
    policy = jnp.broadcast_to(jax.nn.one_hot(actions, 3)[:, None], (env.steps, env.epoch_steps + 1, 3))
    model = tables.make_model(env, params)
    return planner.policy_values(model, policy, planner.discounts(env, 1.0, 1.0))[0, 0]


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    actions=st.lists(st.integers(0, 1), min_size=12, max_size=12), time=st.integers(0, 8), stays=st.booleans(),
    now=st.floats(-3, 3), later=st.floats(-3, 9), cap=st.floats(-3, 3) | st.just(np.inf), penalty=st.floats(0, 2),
    h=st.sampled_from(ELEVEN.tolist()), cutoff=st.integers(0, 4),
)  # fmt: skip
def test_a_lure_gains_as_derived_under_any_cap(actions, time, stays, now, later, cap, penalty, h, cutoff):
    env, epoch = EpochEnv(epochs=4, epoch_steps=3), time // 3
    actions = np.array(actions)
    actions[3 * (epoch + 1)] = WORK if stays else 2
    own = actions[3 * epoch : 3 * epoch + 3].copy()
    own[time % 3] = WORK
    due = int((actions[3 * epoch - 3 : 3 * epoch] == LURE).sum()) if time % 3 == 0 and epoch else 0
    params = of_lure(env_params(cutoff=cutoff, hazard=h), (now, later), cap=cap, penalty=penalty)
    values = []
    for action in (LURE, WORK):
        actions[time] = action
        values.append(float(worth(env, params, jnp.asarray(actions, jnp.int32))))
    known = hazard.HiddenCutoff(h, cutoff, (now, later), cap, penalty)
    gain = known.gain(epoch, same=int((own == LURE).sum()), due=due, stays=stays)
    assert values[0] - values[1] == pytest.approx(gain, abs=1e-4)


@functools.partial(jax.jit, static_argnums=0)
def lured_and_working_on(env, params):
    """Whether the planner takes a lure at each place `(T, P)` where it cannot shut down."""
    model = tables.make_model(env, params)
    model = dataclasses.replace(
        model, reward=model.reward[..., :2], pending=model.pending[..., :2], goes_on=model.goes_on[..., :2]
    )
    return planner.optimal(model, planner.discounts(env, 1.0, 1.0))[1][..., LURE] > 0


@pytest.mark.parametrize("steps", [1, 3])
def test_who_works_on_invests_iff_the_hazard_is_below_its_border(steps):
    env, taken = EpochEnv(epochs=5, epoch_steps=steps), set()
    for lure, cap in (((-1.0, 3.0), -1.0), ((-0.5, 0.7), 0.5), ((-2.0, 9.0), -4.0), ((-1.0, 0.5), -1.0)):
        for h, cutoff in itertools.product(ELEVEN + 0.003, (2, 4, 5)):
            h = min(h, 1.0)
            found = np.asarray(lured_and_working_on(env, of_lure(env_params(cutoff=cutoff, hazard=h), lure, cap=cap)))
            for epoch in range(cutoff):
                # In the epoch before the last cutoff there can be, it never pays; once it is sure to hold, all is one.
                expected = h < hazard.border_hazard(lure) and epoch < min(cutoff, 4) - (cutoff < 5)
                if h == 1 and epoch > 0:
                    continue
                for step in range(steps):
                    can_be = found[epoch * steps + step, : step + 1]
                    assert (can_be == expected).all(), (lure, h, cutoff, epoch, step)
                taken.add((lure, expected))
    assert len(taken) == 7  # the last lure never pays


def test_who_borrows_once_does_so_iff_the_hazard_is_above_its_border():
    for h in ELEVEN[:-1]:
        gain = hazard.HiddenCutoff(h, 9, LURES["borrow"]).gain(3)
        assert (gain > 0) == (h > hazard.border_hazard(LURES["borrow"]))
        assert hazard.HiddenCutoff(h, 9, LURES["borrow"]).gain(3, stays=False) > 0


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (4, 1), (5, 3), (6, 4)])
def test_the_best_that_there_is_with_a_hidden_cutoff_is_that_of_the_closed_form(epochs, steps):
    env = EpochEnv(epochs=epochs, epoch_steps=steps)
    lures, caps = [(-1.0, 3.0), (-0.5, 0.7), (-2.0, 9.0), (0.0, 1.0)], [(-1.0, 0.0), (-0.25, 0.5), (-3.0, 0.8)]
    for lure, (cap, penalty), cutoff in itertools.product(lures, caps, {0, 1, epochs // 2, epochs}):
        if cap > 1 + lure[0] - penalty:
            continue
        for h in ELEVEN:
            params = of_lure(env_params(cutoff=cutoff, hazard=h), lure, cap=cap, penalty=penalty)
            expected = hazard.HiddenCutoff(h, cutoff, lure, cap, penalty).best(epochs, steps)
            assert float(optimal(env, params)[0][0, 0]) == pytest.approx(expected, abs=1e-4), (lure, cap, cutoff, h)


def test_closed_forms_are_refused_where_they_do_not_hold():
    for bad in ((1.0, 1.0), (0.0, 3.0)):
        with pytest.raises(ValueError, match=r"lure=.*is not allowed"):
            hazard.border_hazard(bad)
    with pytest.raises(ValueError, match=r"lure=.*must cost now and pay later"):
        hazard.HiddenCutoff(0.1, 3, LURES["borrow"]).best(4, 2)
    with pytest.raises(ValueError, match=r"cap=0\.5 is not allowed: must be at most 0"):
        hazard.HiddenCutoff(0.1, 3, LURES["invest"], cap=0.5).best(4, 2)
