# SPDX-License-Identifier: Apache-2.0
"""One contract test that any study can be run through: the built-in ones are, and one's own should be.

jaxmyopia.testing.check_study(DeepLinear(n=3), learning_rate=0.01, init_scale=0.1)
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia import contract
from jaxmyopia.curves import Curves
from jaxmyopia.engine.checkpoints import from_host, to_host
from jaxmyopia.study import Study

_STEPS = 3  # before the stop, and after it
_RECORDS = 3
_MEMBERS = ("init", "step", "observe", "summarise or quantiles")
# A few steps are run: compiling is what takes long.
_OPTIONS = {"cpu": {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}}


def check_study(study: Study, **settings: float) -> None:
    """Tries out, on one block, all that the engine relies on.

    Shapes and names are checked; the functions are pure, compile, and lower for CPUs; what a seed gives hangs on its
    key, does not change with its company or its place in a block, nor with a stop in the middle.

    Args:
      study: what is tried.
      **settings: a value for each of its settings, at which it changes within a few steps.

    Raises:
      ArgumentError: if a member is missing or gives what it should not, see `contract.check`.
      AssertionError: naming the member that does otherwise than it should.
    """
    contract.check(study, {name: np.full(1, value, float) for name, value in settings.items()})
    contract.check_traced(study, settings)
    size = study.block
    params = jax.tree.map(np.asarray, study.params(**{name: np.full(size, value) for name, value in settings.items()}))
    seeds = np.arange(size, dtype=np.uint32)
    runs = _Runs.of(study, seeds, params)
    records = runs.whole(seeds, params)
    _check_records(study, records)
    _check_company(runs, seeds, params, records)
    _check_place(runs, records)
    _check_resume(runs, seeds, params, records)


def _say(study: Study, member: str, what: str) -> str:
    return f"{type(study).__name__}.{member} {what}"


@dataclasses.dataclass(frozen=True)
class _Runs:
    """A study's functions, compiled for one block: states at the start and some steps later, and records."""

    study: Study
    begin: Callable[..., Any]
    advance: Callable[..., Any]
    observe: Callable[..., Any]
    summarise: Callable[..., Any]

    @classmethod
    def of(cls, study: Study, seeds: np.ndarray, params: Any) -> "_Runs":
        first, second = (_traced(study, seeds, params) for _ in range(2))
        for member, one, other in zip(_MEMBERS, first, second, strict=True):
            pure = _arithmetic(one) == _arithmetic(other)
            assert pure, _say(study, member, "is not pure: traced a second time, it is something else")
        lowered = [traced.lower(lowering_platforms=("cpu",)) for traced in first]
        if jax.default_backend() != "cpu":
            lowered = [traced.lower() for traced in first]
        return cls(study, *(each.compile(_OPTIONS.get(jax.default_backend())) for each in lowered))

    def whole(self, seeds: np.ndarray, params: Any) -> list[Any]:
        """The records of an unbroken run, arrays on the host."""
        state = self.begin(seeds, params)
        records = [self.observe(state, params)]
        while len(records) < _RECORDS:
            state = self.advance(state, params)
            records.append(self.observe(state, params))
        return jax.device_get(records)


def _traced(study: Study, seeds: np.ndarray, params: Any) -> list[jax.stages.Traced]:
    def begin(seeds, params):
        keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(seeds)
        return study.batched.init(keys, params)

    def advance(state, params):
        return jax.lax.fori_loop(0, _STEPS, lambda _, s: study.batched.step(s, params), state)

    def observe(state, params):
        return study.batched.observe(state, params)

    def summarise(records):
        curves = Curves.of(jax.tree.map(lambda *leaves: jnp.stack(leaves), *records))
        return study.summarise(curves), study.quantiles(curves)

    began = jax.jit(begin).trace(seeds, params)
    advanced, observed = (jax.jit(function).trace(began.out_info, params) for function in (advance, observe))
    return [began, advanced, observed, jax.jit(summarise).trace([observed.out_info] * _RECORDS)]


def _arithmetic(traced: jax.stages.Traced) -> tuple[str, list[bytes]]:
    text = re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr.jaxpr))  # without addresses
    return text, _bytes(traced.jaxpr.consts)


def _bytes(tree: Any) -> list[bytes]:
    return [leaf.tobytes() for leaf in to_host(tree)]


def _check_records(study: Study, records: list[Any]) -> None:
    steps = [int(Curves.of(record)["step"]) for record in records]
    expected = [_STEPS * number for number in range(_RECORDS)]
    assert steps == expected, _say(study, "observe", f"counts the steps {steps} where {expected} were done")
    moves = any(_bytes(_split(record)[0]) != _bytes(_split(records[0])[0]) for record in records)
    assert moves, _say(study, "step", "changes nothing that is observed")


def _split(record: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What each seed has for itself, and what all share."""
    leaves = {name: np.asarray(leaf) for name, leaf in Curves.of(record).items()}
    shared = {name: leaf for name, leaf in leaves.items() if leaf.shape == ()}
    return {name: leaf for name, leaf in leaves.items() if name not in shared}, shared


def _check_company(runs: _Runs, seeds: np.ndarray, params: Any, records: list[Any]) -> None:
    """Another key and other settings for one seed change that seed, in some record, and no other."""
    study, trial = runs.study, len(seeds) // 2
    summary = jax.device_get(runs.summarise(records))
    others, differs = np.arange(len(seeds)) != trial, False
    keyed = np.where(others, seeds, seeds + np.uint32(len(seeds)))
    halved = jax.tree.map(lambda x: np.where(others, x, x / 2).astype(x.dtype), params)
    for what, its_params in (("key", params), ("key and settings", halved)):
        found = runs.whole(keyed, its_params)
        for old, new in zip(records, found, strict=True):
            (mine, shared), (now, shared_now) = _split(old), _split(new)
            assert _bytes(shared) == _bytes(shared_now), _say(study, "observe", "has for all what hangs on one seed")
            for name, leaf in mine.items():
                same = leaf[others].tobytes() == now[name][others].tobytes()
                assert same, _say(
                    study, "step", f"lets seeds see each other: {name} changes with the {what} of another"
                )
                differs |= what == "key" and leaf[trial].tobytes() != now[name][trial].tobytes()
        for member, old, new in zip(("summarise", "quantiles"), summary, runs.summarise(found), strict=True):
            for name, leaf in old.items():
                same = leaf[..., others].tobytes() == np.asarray(new[name])[..., others].tobytes()
                assert same, _say(
                    study, member, f"lets seeds see each other: {name} changes with the {what} of another"
                )
    assert differs, _say(study, "init", "draws the same whatever its key")


def _check_place(runs: _Runs, records: list[Any]) -> None:
    """The same records in another order of seeds: the same numbers in that order."""
    turned = [jax.tree.map(lambda leaf: leaf[::-1] if np.ndim(leaf) else leaf, record) for record in records]
    for member, here, there in zip(
        ("summarise", "quantiles"), runs.summarise(records), runs.summarise(turned), strict=True
    ):
        for name, leaf in here.items():
            same = np.asarray(leaf)[..., ::-1].tobytes() == np.asarray(there[name]).tobytes()
            assert same, _say(runs.study, member, f"hangs on a seed's place in its block: {name} changes with it")


def _check_resume(runs: _Runs, seeds: np.ndarray, params: Any, records: list[Any]) -> None:
    state = runs.begin(seeds, params)
    for _ in records[1:]:
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
        state = runs.advance(from_host(to_host(state), like), params)
    record = runs.observe(state, params)
    assert _bytes(record) == _bytes(records[-1]), _say(runs.study, "step", "gives something else after a stop")
