# SPDX-License-Identifier: Apache-2.0
"""The runner: a seed's bytes depend on the study, the root seed, the seed and its settings, and on nothing else."""

import dataclasses
import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmyopia.engine import chunk as runner
from jaxmyopia.engine.chunk import Chunk, chunks, run_chunks
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.studies.lowrank.gradients import Path
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell, Study

# An odd side, so that vector registers do not divide anything evenly, and a loss with exponentials.
STUDY = LowRank(n=5, rank=2, loss="cross_entropy", optimizer="adam")
SWEEP = (("learning_rate", (0.01, 0.05, 0.2)), ("init_scale", (0.5,)))
STEPS, RECORDS, KEEP = 60, 24, 1000


def cell(seeds: int, study: LowRank = STUDY, sweep=SWEEP) -> Cell:
    return Cell(study=study, sweep=sweep, seeds=seeds, steps=STEPS, records=RECORDS)


@dataclasses.dataclass(frozen=True)
class ChosenCell(Cell):
    """A cell of chosen seeds, in a chosen order, instead of 0, 1, ..."""

    chosen: tuple[int, ...] = ()

    def seed_of(self, trials: np.ndarray) -> np.ndarray:
        return np.asarray(self.chosen)[super().seed_of(trials)]


def chosen_cell(*chosen: int, sweep=SWEEP) -> ChosenCell:
    return ChosenCell(study=STUDY, sweep=sweep, seeds=len(chosen), steps=STEPS, records=RECORDS, chosen=chosen)


def on_devices(monkeypatch, count: int) -> None:
    devices = jax.local_devices()[:count]
    assert len(devices) == count
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    monkeypatch.setattr(jax, "local_device_count", lambda: count)


def bytes_by_trial(found: list[Chunk]) -> dict[tuple[float, ...], bytes]:
    """Everything that a run gives of each (seed, rate, scale): its row and its curves."""
    trials = {}
    for block in found:
        for trial, seed in enumerate(block.rows["seed"]):
            identity = (int(seed), *(float(block.rows[name][trial]) for name, _ in SWEEP))
            assert identity not in trials
            row = [block.rows[name][trial] for name in sorted(block.rows)]
            curves = [block.kept[name][:, trial] for name in sorted(block.kept)]
            trials[identity] = b"".join(np.ascontiguousarray(x).tobytes() for x in row + curves)
    return trials


def run_trials(cell: Cell, **options) -> dict[tuple[float, ...], bytes]:
    return bytes_by_trial(list(run_chunks(cell, root_seed=7, keep_curves=KEEP, **options)))


@functools.cache
def whole() -> dict[tuple[float, ...], bytes]:
    """25 seeds at 3 rates, on one device, in 2 chunks: of 2 blocks, and of one that is padded."""
    assert cell(25).blocks == 3 and chunks(cell(25)) == 2
    with pytest.MonkeyPatch.context() as patch:
        on_devices(patch, 1)
        trials = run_trials(cell(25))
    assert len(trials) == 75 == len(set(trials.values()))
    return trials


def assert_same(trials: dict[tuple[float, ...], bytes], expected: int) -> None:
    assert len(trials) == expected
    for identity, found in trials.items():
        assert found == whole()[identity], identity


# Two blocks a chunk: one a device, and one device idles in the second chunk; or six do from the start.
@pytest.mark.parametrize("devices", (2, 8))
def test_the_number_of_devices_changes_no_byte(monkeypatch, devices):
    on_devices(monkeypatch, devices)
    assert_same(run_trials(cell(25)), 75)


@pytest.mark.parametrize(
    ("few", "trials"),
    (
        (cell(24), 72),  # other padding
        (chosen_cell(23), 3),  # a seed of the last block, alone
        (chosen_cell(24, 3, 17, 0), 12),  # seeds of three blocks, in another order
        (cell(25, sweep=(("learning_rate", (0.2,)), ("init_scale", (0.5,)))), 25),  # other trials of other blocks
    ),
)
def test_the_company_a_seed_keeps_changes_no_byte(monkeypatch, few, trials):
    on_devices(monkeypatch, 1)
    assert_same(run_trials(few), trials)


# Muon's bits are not those of another number of devices, but a resumed run has the devices of the first.
@pytest.mark.parametrize(("study", "devices"), ((STUDY, 1), (STUDY, 2), (LowRank(n=5, rank=2, optimizer="muon"), 2)))
@pytest.mark.parametrize("skip", (0, 1))
def test_a_resumed_run_changes_no_byte_of_what_is_left(monkeypatch, study, devices, skip):
    on_devices(monkeypatch, devices)
    expected = whole() if study is STUDY else run_trials(cell(25, study))
    ticks = []
    found = list(
        run_chunks(
            cell(25, study),
            root_seed=7,
            keep_curves=KEEP,
            skip=frozenset({skip}),
            tick=lambda steps, *_: ticks.append(steps),
        )
    )
    assert [chunk.index for chunk in found] == [1 - skip]
    trials = bytes_by_trial(found)
    assert len(trials) == sum(len(chunk.rows["seed"]) for chunk in found) == sum(ticks) / STEPS
    assert all(expected[identity] == found for identity, found in trials.items())


@pytest.mark.parametrize("seconds", (1e-9, 1e-3, 1e9))
def test_the_length_of_the_stretches_changes_no_byte(monkeypatch, seconds):
    on_devices(monkeypatch, 1)
    monkeypatch.setattr(runner, "_STRETCH_SECONDS", seconds)
    chunks = []
    assert_same(run_trials(cell(3), tick=lambda steps, *_: chunks.append(steps)), 9)
    points = len(cell(3).record_steps())
    # A chunk a record, but for the first two; or the first step, which is timed, and all the rest.
    assert {1e-9: points - 1, 1e9: 2}.get(seconds, len(chunks)) == len(chunks)
    assert sum(chunks) == 9 * STEPS  # ticks count each real trial's steps once, and no padding


class Bare(LowRank):
    """Without the measures, which take longest to compile and are the same on every path."""

    def summarise(self, curves):
        return {"final_loss": curves.loss[-1], "diverged": ~jnp.isfinite(curves.loss[-1])}


# By matrix products, dense and factored, and by sums, on either side of what is chosen for its size.
@pytest.mark.slow
@pytest.mark.skipif(jax.__version_info__ < (0, 8), reason="sums in another order on one device than on two")
@pytest.mark.parametrize(
    "study",
    (
        Bare(n=19, rank=17, optimizer="sgd"),
        Bare(n=19, rank=5, optimizer="adam"),
        Bare(n=19, rank=5, loss="cross_entropy", optimizer="adam"),
        Bare(n=9, rank=2, optimizer="adam"),
    ),
)
def test_every_path_keeps_its_bytes(monkeypatch, study):
    sweep = (("learning_rate", (0.003,)), ("init_scale", (0.5,)))
    on_devices(monkeypatch, 2)
    two = run_trials(cell(35, study, sweep))
    on_devices(monkeypatch, 1)
    one = run_trials(cell(9, study, sweep))
    assert len(two) == 35 and len(one) == 9
    assert all(two[identity] == found for identity, found in one.items())


def test_a_root_seed_changes_every_trial(monkeypatch):
    on_devices(monkeypatch, 1)
    other = bytes_by_trial(list(run_chunks(cell(3), root_seed=8, keep_curves=KEEP)))
    assert all(other[identity] != whole()[identity] for identity in other)


def test_a_sweep_compiles_once(monkeypatch):
    on_devices(monkeypatch, 1)
    study = LowRank(n=5, rank=2, optimizer="sgd")
    chex.clear_trace_counter()
    monkeypatch.setattr(Path, "gradient", chex.assert_max_traces(Path.gradient, n=1))
    for seeds, rates, scales in ((2, (0.01,), (1.0,)), (40, (0.001, 0.003), (0.1, 1.0)), (3, (0.02,), (0.01, 0.1))):
        swept = cell(seeds, study, (("learning_rate", rates), ("init_scale", scales)))
        trials = sum(len(chunk.rows["seed"]) for chunk in run_chunks(swept, root_seed=0))
        assert trials == seeds * len(rates) * len(scales)
    with pytest.raises(AssertionError, match="traced > 1 times"):  # what is static does compile again
        list(run_chunks(cell(1, LowRank(n=6, rank=2)), root_seed=0))


def test_rows_say_what_the_curves_show(monkeypatch):
    on_devices(monkeypatch, 1)
    kept = 0
    for block in run_chunks(cell(25), root_seed=7, keep_curves=15):
        first = block.rows["seed"] < 15
        curves = block.kept
        if not first.any():
            assert not curves
            continue
        assert curves["loss"].shape == (len(cell(25).record_steps()), first.sum())
        np.testing.assert_array_equal(block.rows["initial_loss"][first], curves["loss"][0])
        np.testing.assert_allclose(block.rows["loss_ratio"][first], curves["loss"][-1] / curves["loss"][0], rtol=1e-6)
        best = (curves["align_a"][-1].max(axis=1) + curves["align_b"][-1].max(axis=1)).mean(axis=1) / 2
        np.testing.assert_allclose(block.rows["final_alignment"][first], best, rtol=1e-6)
        kept += curves["loss"].shape[1]
        for name, values in SWEEP:
            assert set(block.rows[name].tolist()) == set(values)
    assert kept == 15 * 3


def test_sketches_hold_every_trial_under_its_combination(monkeypatch):
    on_devices(monkeypatch, 1)
    found = list(run_chunks(cell(25), root_seed=7, keep_curves=KEEP))
    sketch = Sketch.merged([chunk.sketches["relative_loss"] for chunk in found])
    assert sketch.counts().tolist() == [[25] * 3] * len(cell(25).record_steps())
    loss = np.concatenate([chunk.kept["loss"] for chunk in found], axis=1)
    rates = np.concatenate([chunk.rows["learning_rate"] for chunk in found])
    for place, (rate, _) in enumerate(cell(25).combinations):
        exact = np.median((loss / loss[0])[:, rates == rate], axis=1)
        np.testing.assert_allclose(sketch.quantile(0.5)[:, place], exact, rtol=2**-8)


@given(steps=st.integers(1, 2**31 - 1), records=st.integers(4, 2000))
def test_record_steps_go_from_the_start_to_the_end(steps, records):
    sweep = (("learning_rate", (0.1,)), ("init_scale", (1.0,)))
    found = Cell(study=STUDY, sweep=sweep, seeds=1, steps=steps, records=records).record_steps()
    assert found[0] == 0 and found[-1] == steps
    assert (np.diff(found) > 0).all() and found.dtype == np.int32
    assert len(found) == min(records, steps + 1)


def _slope(x):
    return 2 * x


@dataclasses.dataclass(frozen=True)
class Falling(Study):
    """A number that goes to zero."""

    slope: Callable = _slope

    def init(self, keys, params):
        return {"x": jnp.ones(len(keys)), "step": jnp.zeros((), jnp.int32)}

    def step(self, state, params):
        return {"x": state["x"] - params["learning_rate"] * self.slope(state["x"]), "step": state["step"] + 1}

    def observe(self, state, params):
        return {"step": state["step"], "loss": jnp.square(state["x"])}


def test_another_number_of_steps_compiles_nothing():
    def losses(steps: int, study: Study) -> np.ndarray:
        each = Cell(study=study, sweep=(("learning_rate", (1e-3,)),), seeds=2, steps=steps, records=200)
        (found,) = run_chunks(each, root_seed=0, keep_curves=2)
        return found.kept["loss"][-1]

    traces = []
    study = Falling(slope=lambda x: traces.append(x) or _slope(x))
    losses(200, study)
    once = chex.assert_max_traces(lambda x: _slope(x), n=len(traces))
    again = Falling(slope=once)
    for steps in (200, 1000, 5000, 20_000):
        np.testing.assert_allclose(losses(steps, again), (1 - 2e-3) ** (2 * steps), rtol=1e-3)


@pytest.mark.parametrize(("steps", "records"), ((10**6, 200), (1000, 64)))
def test_record_steps_are_dense_early_and_nowhere_sparse(steps, records):
    found = dataclasses.replace(cell(1), steps=steps, records=records).record_steps()
    assert np.diff(found).max() <= 2 * steps / (records // 2 - 1)
    log_gap = np.log(steps) / (records // 2 - 1)
    late = found[found > 2 / np.expm1(log_gap)]  # before that, every step is a record
    assert (np.diff(np.log(late)) <= 2 * log_gap).all()


@given(seeds=st.integers(1, 300), rates=st.integers(1, 5), scales=st.integers(1, 3), data=st.data())
def test_trials_are_all_pairs_of_seeds_and_combinations(seeds, rates, scales, data):
    sweep = (
        ("learning_rate", tuple(0.01 * (i + 1) for i in range(rates))),
        ("init_scale", tuple(0.1 * (i + 1) for i in range(scales))),
    )
    filled = Cell(study=STUDY, sweep=sweep, seeds=seeds, steps=1)
    trials = np.arange(filled.trials)
    columns = filled.columns(trials)
    identities = set(zip(filled.seed_of(trials).tolist(), *(columns[name].tolist() for name, _ in sweep), strict=True))
    assert len(identities) == filled.trials == seeds * rates * scales
    assert (filled.blocks - 1) * STUDY.block < filled.trials <= filled.blocks * STUDY.block
    one = data.draw(st.integers(0, filled.trials - 1))
    assert filled.columns(np.array([one]))["init_scale"][0] == columns["init_scale"][one]


@pytest.mark.parametrize(
    ("name", "change"),
    (
        ("seeds", {"seeds": 0}),
        ("steps", {"steps": 0}),
        ("records", {"records": 3}),
        ("learning_rate", {"sweep": (("learning_rate", ()), ("init_scale", (1.0,)))}),
        ("learning_rate", {"sweep": (("learning_rate", (0.1, 0.1)), ("init_scale", (1.0,)))}),
        ("learning_rates", {"sweep": (("learning_rate", (0.1, 0.0)), ("init_scale", (1.0,)))}),
        ("init_scale", {"sweep": (("learning_rate", (0.1,)), ("init_scale", (float("nan"),)))}),
    ),
)
def test_cells_that_are_not_allowed_are_refused_by_name(name, change):
    with pytest.raises(ValueError, match=rf"^{name}=[^\n]* is not allowed: must [^\n]*$"):
        dataclasses.replace(cell(1), **change)
