# SPDX-License-Identifier: Apache-2.0
"""One contract test that any study can be run through: the built-in ones are, and one's own should be.

jaxmyopia.testing.check_study(DeepLinear(n=3), learning_rate=0.01, init_scale=0.1)
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia import contract
from jaxmyopia.engine.checkpoints import from_host, to_host
from jaxmyopia.study import Curves, Study

_STEPS = 3  # before the stop, and after it


@dataclasses.dataclass(frozen=True)
class _Runs:
    """A study's functions, compiled for one block."""

    study: Study
    init: Callable[..., Any]
    advance: Callable[..., Any]
    observe: Callable[..., Any]
    summarise: Callable[..., Any]

    @classmethod
    def of(cls, study: Study) -> "_Runs":
        def advance(state, params):
            return jax.lax.fori_loop(0, _STEPS, lambda _, s: study.batched.step(s, params), state)

        def summarise(curves):
            curves = Curves.of(curves)
            return study.summarise(curves), study.quantiles(curves)

        functions = study.batched.init, advance, study.batched.observe, summarise
        return cls(study, *(jax.jit(function) for function in functions))

    def whole(self, keys: jax.Array, params: Any) -> tuple[Any, list[Any]]:
        """The state at the end and three records."""
        state = self.init(keys, params)
        records = [self.observe(state, params)]
        for _ in range(2):
            state = self.advance(state, params)
            records.append(self.observe(state, params))
        return state, records


def check_study(study: Study, **settings: float) -> None:
    """Tries out, on one block, all that the engine relies on.

    Shapes and names are checked; `init`, `step` and `observe` are pure; seeds differ; what a seed gives does not change
    with its company, nor with a stop in the middle; and all of it lowers for CPUs.

    Args:
      study: what is tried.
      **settings: a value for each of its settings, at which it changes within a few steps.

    Raises:
      ArgumentError: if a member is missing or gives what it should not, see `contract.check`.
      AssertionError: naming the member that does otherwise than it should.
    """
    contract.check(study, {name: np.full(1, value, float) for name, value in settings.items()})
    contract.check_traced(study, settings)
    runs, seeds = _Runs.of(study), study.block
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(jnp.arange(seeds))
    params = study.params(**{name: np.full(seeds, value, float) for name, value in settings.items()})
    state, records = runs.whole(keys, params)
    _check_purity(runs, keys, params, state, records)
    _check_records(study, records)
    _check_company(runs, keys, params, records)
    _check_resume(runs, keys, params, records)
    _check_summaries(runs, records)
    _check_lowering(runs, keys, params)


def _bytes(tree: Any) -> list[bytes]:
    return [leaf.tobytes() for leaf in to_host(tree)]


def _say(study: Study, member: str, what: str) -> str:
    return f"{type(study).__name__}.{member} {what}"


def _check_purity(runs: _Runs, keys: jax.Array, params: Any, state: Any, records: list[Any]) -> None:
    again, same = _Runs.of(runs.study).whole(keys, params)  # traced anew: what is kept outside would show
    for member, one, other in (("init or step", state, again), ("observe", records, same)):
        assert _bytes(one) == _bytes(other), _say(runs.study, member, "gives something else the second time: not pure")
    once = runs.init(keys, params)
    assert _bytes(once) != _bytes(runs.advance(once, params)), _say(runs.study, "step", "changes nothing")


def _check_records(study: Study, records: list[Any]) -> None:
    steps = [int(Curves.of(record)["step"]) for record in records]
    expected = [0, _STEPS, 2 * _STEPS]
    assert steps == expected, _say(study, "observe", f"counts the steps {steps} where {expected} were done")


def _split(record: Any, seeds: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What each seed has for itself, and what all share."""
    leaves = {name: np.asarray(leaf) for name, leaf in Curves.of(record).items()}
    own = {name: leaf for name, leaf in leaves.items() if leaf.shape != () and leaf.shape[0] == seeds}
    return own, {name: leaf for name, leaf in leaves.items() if name not in own}


def _check_company(runs: _Runs, keys: jax.Array, params: Any, records: list[Any]) -> None:
    """Another key and other settings for one seed change that seed, in some record, and no other."""
    study, seeds = runs.study, runs.study.block
    if seeds == 1:
        return
    trial, others = seeds // 2, np.arange(seeds) != seeds // 2
    changed_keys = keys.at[trial].set(jax.random.key(1))
    half = jax.tree.map(lambda x: x.at[trial].set((x[trial] / 2).astype(x.dtype)), params)
    differs = False
    for member, new_keys, new_params in (("a key", changed_keys, params), ("settings", changed_keys, half)):
        _, found = runs.whole(new_keys, new_params)
        for old, new in zip(records, found, strict=True):
            (mine, shared), (now, shared_now) = _split(old, seeds), _split(new, seeds)
            assert _bytes(shared) == _bytes(shared_now), _say(study, "observe", "shares what hangs on one seed")
            for name, leaf in mine.items():
                same = leaf[others].tobytes() == now[name][others].tobytes()
                assert same, _say(study, "step", f"lets seeds see each other: {name} changes with {member} of another")
                differs |= leaf[trial].tobytes() != now[name][trial].tobytes()
    assert differs, _say(study, "init", "draws the same whatever its key")


def _check_resume(runs: _Runs, keys: jax.Array, params: Any, records: list[Any]) -> None:
    half = runs.advance(runs.init(keys, params), params)
    back = from_host(to_host(half), jax.eval_shape(lambda: half))
    resumed = runs.observe(runs.advance(back, params), params)
    assert _bytes(resumed) == _bytes(records[-1]), _say(runs.study, "step", "gives something else after a stop")


def _check_summaries(runs: _Runs, records: list[Any]) -> None:
    curves = jax.tree.map(lambda *leaves: jnp.stack(leaves), *records)
    summary, quantiles = runs.summarise(curves)
    seeds = runs.study.block
    for member, columns, shape in (("summarise", summary, (seeds,)), ("quantiles", quantiles, (len(records), seeds))):
        for name, leaf in columns.items():
            assert leaf.shape == shape, _say(runs.study, member, f"gives {name} of shape {leaf.shape}, not {shape}")
    assert summary["diverged"].dtype == bool, _say(runs.study, "summarise", "gives no true or false as `diverged`")


def _check_lowering(runs: _Runs, keys: jax.Array, params: Any) -> None:
    for platform in ("cpu",):
        state = jax.eval_shape(runs.init, keys, params)
        for function, arguments in ((runs.init, (keys, params)), (runs.advance, (state, params))):
            jax.export.export(function, platforms=(platform,))(*arguments)
