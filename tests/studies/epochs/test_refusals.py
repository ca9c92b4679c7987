# SPDX-License-Identifier: Apache-2.0
"""What is refused: in one line that names the argument, and nothing that is allowed."""

import math
import numbers

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.checks import ArgumentError
from jaxmyopia.studies.epochs.model import SHUTDOWN, WORK, EpochEnv, env_params
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia

KEY = jax.random.key(0)
ENV = EpochEnv(epochs=3, epoch_steps=2, indices=5)
NO_ACTIONS = [
    3, -1, 1.0, 1.5, "x", b"1", True, None, 2**40, 2**80, math.nan, 1j, {}, [], [1], [1, [2]], np.zeros(2, int),
    np.zeros(1, int), np.int64(2**32), np.bool_(True), np.str_("1"), jnp.float32(1), jnp.int32(7), KEY, object(),
]  # fmt: skip


def said(call, *names):
    """The words of what is refused: one line that names one of these."""
    with pytest.raises(ArgumentError) as refused:
        call()
    words = str(refused.value)
    assert words.isprintable() and " is not allowed: must be " in words and len(words) < 400, words
    assert any(f"{name}=" in words for name in names), words
    return words


@pytest.mark.parametrize("action", NO_ACTIONS, ids=lambda action: f"{type(action).__name__}")
def test_what_is_no_action_is_refused_outside_compiled_functions(action):
    _, state = ENV.reset(KEY)
    said(lambda: ENV.step(KEY, state, action), "action")
    said(lambda: ENV.step_env(KEY, state, action, ENV.default_params), "action")


@pytest.mark.parametrize("action", [1, np.int8(1), np.uint8(1), np.array(1), jnp.int32(1), jnp.uint8(1)])
def test_a_whole_number_of_any_kind_is_an_action(action):
    assert float(ENV.step(KEY, ENV.reset(KEY)[1], action)[2]) == 0.0


def test_of_traced_actions_kind_and_shape_are_refused():
    _, state = ENV.reset(KEY)
    for action in (1.0, True, np.zeros(2, np.int32)):
        said(lambda action=action: jax.jit(ENV.step)(KEY, state, action), "action")


@pytest.mark.parametrize(("field", "most"), [("epoch", 3), ("step", 1), ("pending", 2), ("cutoff", 3)])
def test_a_state_in_which_no_run_can_be_is_refused_outside_compiled_functions(field, most):
    state, params = ENV.reset(KEY)[1], ENV.default_params
    for bad in (-1, most + 1, 1.5, "x", None, np.zeros(2, int)):
        wrong = state.replace(**{field: bad})
        for call in (ENV.step, lambda *given: ENV.step_env(*given, params), lambda _, s, a: ENV.get_obs(s, params)):
            said(lambda call=call, wrong=wrong: call(KEY, wrong, WORK), f"state.{field}")
    for fine in range(most + 1):
        ENV.step(KEY, state.replace(**{field: fine}), WORK)


def test_where_lures_bind_a_place_has_twice_as_many_counts():
    env = EpochEnv(epochs=3, epoch_steps=2, lure_binds=True)
    state = env.reset(KEY)[1].replace(step=1)
    for pending in range(6):
        env.step(KEY, state.replace(pending=pending), SHUTDOWN)
    said(lambda: env.step(KEY, state.replace(pending=6), SHUTDOWN), "state.pending")


def test_within_one_an_epoch_that_there_is_not_has_one_meaning():
    step, state = jax.jit(ENV.step), ENV.reset(KEY)[1]
    before = step(KEY, state.replace(epoch=-2), WORK, env_params(cutoff=0))
    assert (float(before[2]), bool(before[3]), bool(before[4])) == (1.0, False, False)  # the cutoff is not reached
    for epoch in (3, 4, 2**30):
        _, after, reward, terminated, truncated, _ = step(KEY, state.replace(epoch=epoch), SHUTDOWN, env_params())
        assert (float(reward), bool(terminated), bool(truncated)) == (0.0, False, True)
        assert int(after.epoch) == 0


def whole(least, most):
    return lambda x: isinstance(x, numbers.Integral) and not isinstance(x, bool) and least <= x <= most


def real(least, most):
    return lambda x: isinstance(x, numbers.Real) and not isinstance(x, bool) and least <= x <= most


def one_of(*names):
    return lambda x: isinstance(x, str) and x in names


def small_if_whole(test):
    """A program takes a whole number as such, and none beyond int32."""
    return lambda x: test(x) and not (isinstance(x, int) and abs(x) > 2**31 - 1)


def columns(test):
    """A number that passes, or four."""
    return lambda x: len(x) == 4 and all(map(test, x)) if isinstance(x, list) else test(x)


def counted(least, most):
    return columns(lambda x: real(least, most)(x) and x == int(x))


LARGEST = float(np.finfo(np.float32).max)
FINITE, POSITIVE, RATE = real(-LARGEST, LARGEST), real(0, LARGEST), real(1.2e-38, LARGEST)
BOOL = lambda x: isinstance(x, bool)
OF_SEEDS = {name: np.ones(4) for name in ("schedule", "lure", "credit", "cutoff", "learning_rate")}
# What makes something of an argument, and the arguments with what is allowed of those that are drawn below.
MAKERS = {
    "EpochEnv": (
        lambda **given: EpochEnv(**({"epochs": 2, "epoch_steps": 2} | given)),
        {
            "epochs": whole(1, 2048),
            "epoch_steps": whole(1, 2048),
            "reveal_epoch": one_of("one_hot", "scalar", "digits", "sinusoidal"),
            "show_pending": BOOL,
            "show_cutoff": BOOL,
            "lure_binds": BOOL,
            "indices": lambda x: whole(2, 8192)(x) or whole(0, 0)(x),
        },
    ),
    "env_params": (
        env_params,
        {
            "schedule": one_of("flat", "zero"),
            "lure": one_of("invest", "none"),
            "cutoff": whole(0, 4096),
            "length": whole(1, 4096),
            "work": FINITE,
            "penalty": POSITIVE,
            "hazard": lambda x: x is None or real(0, 1)(x),
            "debt": FINITE,
        },
    ),
    "EnvParams": (
        lambda **given: ENV.reset(KEY, ENV.default_params.replace(**given)),
        {
            "cutoff": whole(0, 2**31 - 1),
            "length": whole(1, 2**31 - 1),
            "first_index": whole(0, 2),
            "max_steps_in_episode": whole(1, math.inf),
            "work": small_if_whole(FINITE),
            "lure_now": small_if_whole(FINITE),
            "lure_later": small_if_whole(FINITE),
            "debt": small_if_whole(FINITE),
            "penalty": small_if_whole(POSITIVE),
            "cap": small_if_whole(real(-LARGEST, math.inf)),
            "index_shown": real(0, 1),
            "hazard": lambda x: x is None or real(0, 1)(x),
        },
    ),
    "Myopia": (
        lambda **given: Myopia(**({"epochs": 2, "epoch_steps": 2} | given)),
        {
            "epochs": whole(1, 2048),
            "epoch_steps": whole(1, 2048),
            "reveal_epoch": one_of("one_hot", "scalar"),
            "show_pending": BOOL,
            "learner": one_of("ppo"),
            "policy": one_of("table"),
            "optimizer": one_of("sgd"),
            "width": whole(1, math.inf),
        },
    ),
    "Selection": (
        lambda **given: Selection(**({"epochs": 2, "epoch_steps": 2} | given)),
        {
            "epochs": whole(1, 2048),
            "epoch_steps": whole(1, 2048),
            "population": whole(2, math.inf),
            "optimizer": one_of("sgd"),
            "replaced": lambda x: real(0, 0.5)(x) and x > 0,
            "spread": lambda x: real(0, math.inf)(x) and x < math.inf,
        },
    ),
    "Myopia.params": (
        lambda **given: Myopia(epochs=3, epoch_steps=2).params(**(OF_SEEDS | given)),
        {
            "lure": counted(0, 2),
            "credit": counted(0, 1),
            "cutoff": counted(0, 3),
            "length": lambda x: x is None or counted(1, 3)(x),
            "learning_rate": columns(RATE),
            "discount": columns(real(0, 1)),
            "flat_from": counted(0, 1e9),
            "penalty": columns(POSITIVE),
            "debt": columns(FINITE),
            "hazard": lambda x: x is None or columns(real(0, 1))(x),
            "decay": lambda x: x is None or columns(real(0, 1))(x),
        },
    ),
    "Selection.params": (
        lambda **given: Selection(epochs=3).params(**(OF_SEEDS | {"interval": np.ones(4), "swap": np.ones(4)} | given)),
        {
            "interval": counted(0, 1e9),
            "swap": counted(0, 1),
            "cutoff": counted(0, 3),
            "learning_rate": columns(RATE),
        },
    ),
}
ANYTHING = st.one_of(
    st.none(), st.text(max_size=8), st.integers(-3, 9),
    st.sampled_from(["one_hot", "flat", "gold", "invest", "4", "sgd", "ppo", "table"]),
    st.integers(-(2**70), 2**70), st.floats(width=32), st.floats(-2, 2, width=16), st.complex_numbers(max_magnitude=9),
    st.binary(max_size=3), st.sampled_from([2**31, 1e39, math.inf, -math.inf, math.nan, 1e9, 4096, 4097, 8192, 8193]),
    st.lists(st.integers(-1, 3), min_size=2, max_size=5), st.lists(st.floats(0, 2, width=16), min_size=4, max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2), st.just([[1, 2], [3]]), st.just(object()),
)  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
@hypothesis.settings(max_examples=200)
@hypothesis.given(data=st.data())
def test_of_anything_in_an_argument_what_is_allowed_passes_and_the_rest_is_refused_in_a_line(maker, data):
    make, allowed = MAKERS[maker]
    name = data.draw(st.sampled_from(sorted(allowed)))
    value = data.draw(ANYTHING)
    if allowed[name](value):
        make(**{name: value})
    else:
        said(lambda: make(**{name: value}), name, f"{name}s", {"policy": "policies"}.get(name))
