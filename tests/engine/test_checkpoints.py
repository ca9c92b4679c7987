# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a chunk goes on from any of its records with the same bytes; a damaged one is passed over."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxmyopia.engine import chunk as runner
from jaxmyopia.engine.checkpoints import Checkpoints, InFlight
from jaxmyopia.engine.chunk import ChunkRun, compile_cell
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell, Study

SWEEP = (("learning_rate", (0.01, 0.2)), ("init_scale", (0.5,)))


@struct.dataclass
class Walk:
    """A random walk's state: `step` scalar, `key` `(S,)` typed keys, `loss` `(S,)`."""

    step: jax.Array
    key: jax.Array
    loss: jax.Array


@dataclasses.dataclass(frozen=True)
class RandomWalk(Study):
    """A study whose state holds its keys."""

    @property
    def block(self):
        return 32

    def settings(self):
        return {"name": "walk"}

    def params(self, *, learning_rate, init_scale):
        return jnp.asarray(learning_rate * init_scale, jnp.float32)

    def init(self, keys, params):
        return Walk(step=jnp.zeros((), jnp.int32), key=keys, loss=params)

    def step(self, state, params):
        key, now = jax.vmap(jax.random.split, out_axes=1)(state.key)
        loss = state.loss + params * jax.vmap(jax.random.normal)(now)
        return Walk(step=state.step + 1, key=key, loss=loss)

    def observe(self, state, params):
        return Walk(step=state.step, key=jax.vmap(jax.random.bits)(state.key), loss=state.loss)

    def summarise(self, curves):
        return {"last": curves.loss[-1], "diverged": jnp.zeros(curves.loss.shape[1], bool)}

    def quantiles(self, curves):
        return {"loss": curves.loss}


class Stop(Exception):
    """Raised where a run is cut."""


def part_run(study, **options) -> ChunkRun:
    cell = Cell(study=study, sweep=SWEEP, seeds=20, steps=60, records=24)  # programs of test_chunk
    return ChunkRun(cell=cell, compiled=compile_cell(cell), index=0, root_seed=5, keep=100, **options)


def everything(chunk) -> list[bytes]:
    sketches = [getattr(each, name) for each in chunk.sketches.values() for name in ("group", "bucket", "count")]
    return [np.ascontiguousarray(x).tobytes() for x in [*chunk.rows.values(), *chunk.kept.values(), *sketches]]


def cut_at(study, wanted: int) -> InFlight:
    """What a checkpoint holds of a chunk that is cut at its first pause from record `wanted` on."""
    taken = []

    def pause(record, take):
        if record >= wanted:
            taken.append(take())
            raise Stop

    with pytest.raises(Stop):
        part_run(study, pause=pause)()
    return taken[0]


@pytest.mark.parametrize("study", (LowRank(n=5, rank=2, loss="cross_entropy", optimizer="adam"), RandomWalk()))
@pytest.mark.parametrize("devices", ((1, 1), (1, 2), (8, 1)))
def test_a_chunk_goes_on_with_the_same_bytes_also_on_other_devices(monkeypatch, tmp_path, study, devices):
    everywhere = jax.local_devices()
    monkeypatch.setattr(runner, "_STRETCH_SECONDS", 1e-9)

    def on(count):
        monkeypatch.setattr(jax, "local_devices", lambda: everywhere[:count])

    on(devices[0])
    whole = part_run(study)()
    for record in (2, 5, len(part_run(study).cell.record_steps())):
        on(devices[0])
        in_flight = cut_at(study, record)
        assert in_flight.record == record
        saved = Checkpoints(tmp_path, identity="mine", seconds=60)
        saved.save(record, in_flight, wait=True)
        saved.close()
        again = Checkpoints(tmp_path, identity="mine", seconds=60)
        on(devices[1])
        ticks = []
        resumed = part_run(study, resume=again.restore(record), tick=lambda steps, *_, into=ticks: into.append(steps))()
        again.clear()
        assert everything(resumed) == everything(whole)
        assert sum(ticks) == 20 * 2 * 60  # what was done before the cut counts as done


def some_checkpoint(record: int) -> InFlight:
    return InFlight(record=record, leaves=[np.arange(5.0) * record, np.array(record)])


def test_the_newest_whole_checkpoint_of_the_chunk_is_found(tmp_path):
    said = []
    checkpoints = Checkpoints(tmp_path, identity="mine", seconds=60, warn=said.append)
    for record in (3, 7, 9):
        checkpoints.save(2, some_checkpoint(record), wait=True)
    assert checkpoints.restore(2).record == 9
    assert checkpoints.restore(1) is None and checkpoints.restore(3) is None and not said
    kept = sorted((tmp_path / "checkpoints" / "0").iterdir())
    assert len(kept) == 2  # older ones are gone
    file = next(kept[1].rglob("in_flight.npz"))
    whole = file.read_bytes()
    for damage in (
        whole[: len(whole) // 2],
        b"",
        whole.replace(np.float64(36.0).tobytes(), np.float64(37.0).tobytes()),
    ):
        assert damage != whole
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(damage)
        again = Checkpoints(tmp_path, identity="mine", seconds=60, warn=said.append)
        found = again.restore(2)
        assert found.record == 7
        np.testing.assert_array_equal(found.leaves[0], np.arange(5.0) * 7)
        assert "cannot be used and is passed over" in said.pop() and not said
        again.save(2, some_checkpoint(9), wait=True)
        assert again.restore(2).record == 9
        again.close()
    next(kept[1].rglob("in_flight.npz")).write_bytes(b"")
    next(kept[0].rglob("in_flight.npz")).write_bytes(b"")
    last = Checkpoints(tmp_path, identity="mine", seconds=60, warn=said.append)
    assert last.restore(2) is None and len(said) == 2
    last.clear()
    assert not (tmp_path / "checkpoints" / "0").exists()


def test_one_is_due_after_the_time_given_by_a_clock_that_does_not_jump(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("jaxmyopia.engine.checkpoints.time.monotonic", lambda: now[0])
    monkeypatch.setattr("jaxmyopia.engine.checkpoints.time.time", lambda: 1e5)
    checkpoints = Checkpoints(tmp_path, identity="mine", seconds=60)
    assert not checkpoints.due()
    now[0] += 61
    assert checkpoints.due()
    checkpoints.save(0, some_checkpoint(1))
    assert not checkpoints.due()
    checkpoints.close()


def test_another_run_s_checkpoint_is_passed_over(tmp_path):
    said = []
    theirs = Checkpoints(tmp_path, identity="theirs", seconds=60)
    theirs.save(2, some_checkpoint(7), wait=True)
    theirs.close()
    mine = Checkpoints(tmp_path, identity="mine", seconds=60, warn=said.append)
    assert mine.restore(2) is None
    assert "it is of another run, of identity theirs" in said[0]
    mine.close()


def test_checkpoints_of_chunks_still_to_come_are_kept_whoever_wrote_them(tmp_path):
    """A run that is resumed by fewer processes, or with --repair, does an earlier chunk first."""
    other = Checkpoints(tmp_path, identity="mine", seconds=60)
    for record in (3, 7):
        other.save(5, some_checkpoint(record), wait=True)
    other.close()
    (tmp_path / "checkpoints" / "0").rename(tmp_path / "checkpoints" / "1")  # as if process 1 had
    checkpoints = Checkpoints(tmp_path, identity="mine", seconds=60)
    for record in (2, 4, 6):
        checkpoints.save(1, some_checkpoint(record), wait=True)
        assert checkpoints.restore(1).record == record
    checkpoints.done(1)
    assert checkpoints.restore(1) is None
    assert checkpoints.restore(5).record == 7
    checkpoints.close()
