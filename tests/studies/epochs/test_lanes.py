# SPDX-License-Identifier: Apache-2.0
"""What an agent comes to does not hang on its place in a block: the same agent in all of them stays the same, to the
bit, in programs that are compiled as users have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.engine.program import COMPILER_OPTIONS
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.studies.epochs.trait import Trait

SETTINGS = Settings(runs_a_batch=20, minibatches=1, passes=1)
ALONE = {"settings_of_learner": SETTINGS, "width": 32}
SHOWN = {"show_cutoff": True, "train_cutoffs": (1, 2, 4, 5, 7)}
RECIPE = {"schedule": 0.0, "lure": 1.0, "credit": 1.0, "cutoff": 3.0, "learning_rate": 0.01}
OF_TRAIT = {name: value for name, value in RECIPE.items() if name != "credit"}
CASES = {
    "scalar": (Myopia(reveal_epoch="scalar", **ALONE), RECIPE),
    "sinusoidal, cutoff shown": (Myopia(reveal_epoch="sinusoidal", **ALONE, **SHOWN), RECIPE),
    "a critic that is blind": (Myopia(learner="ppo", show_pending=False, **ALONE), RECIPE | {"decay": 0.65}),
    "a hidden cutoff, lures bind": (Myopia(lure_binds=True, **ALONE), RECIPE | {"hazard": 0.3}),
    "selection": (Selection(population=10), RECIPE | {"credit": 0.0, "interval": 2.0, "swap": 1.0}),
    "trait": (Trait(), OF_TRAIT | {"permuted": 0.0}),
}


def compiled(function, *given):
    return jax.jit(function).lower(*given).compile(compiler_options=COMPILER_OPTIONS.get(jax.default_backend(), {}))


@pytest.mark.parametrize("name", CASES)
def test_the_same_agent_is_the_same_wherever_it_is_in_a_block(name):
    study, given = CASES[name]
    params = study.params(**{setting: np.full(study.block, value) for setting, value in given.items()})
    keys = jnp.broadcast_to(jax.random.key(0), (study.block,))
    state = compiled(study.init, keys, params)(keys, params)
    step = compiled(study.step, state, params)
    for _ in range(6):
        state = step(state, params)
    record = compiled(study.observe, state, params)(state, params)
    for x in jax.tree.leaves(record):
        values = np.asarray(x, float)
        assert not x.ndim or np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True)
