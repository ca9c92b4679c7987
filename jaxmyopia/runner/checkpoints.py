# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the part in flight, by orbax, written in the background while the part goes on.

A checkpoint holds the state and the curves of the part's blocks, `(blocks, ...)` each whatever the number of devices,
and where it stopped. Its arrays carry a checksum: one that was altered or cut short is passed over, first for the one
before it and then for the part's beginning.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxmyopia.checks import RunError

_KEEP = 2
_FILE = "in_flight.npz"
_PLACES = 1 << 24  # records a part has at most, for numbering checkpoints


@dataclasses.dataclass(frozen=True)
class InFlight:
    """A part on its way: the scalar `record`, the next to be observed, and the `leaves` `(blocks, ...)` it holds."""

    record: int
    leaves: list[np.ndarray]


def _is_key(x: jax.Array | jax.ShapeDtypeStruct) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def to_host(tree: object) -> list[np.ndarray]:
    """The leaves `(m,)` of a pytree as numpy arrays of their own; keys as their data."""
    return [np.array(jax.random.key_data(x) if _is_key(x) else x) for x in jax.tree.leaves(tree)]


def from_host(leaves: list[np.ndarray], like: object) -> object:
    """The pytree of the leaves `(m,)` from `to_host`, with the structure and the keys of `like`."""
    shapes, tree = jax.tree.flatten(like)
    pairs = zip(leaves, shapes, strict=True)
    return jax.tree.unflatten(tree, [jax.random.wrap_key_data(x) if _is_key(like) else x for x, like in pairs])


def _digest(record: int, leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256(str(record).encode())
    for leaf in leaves:
        digest.update(f"{leaf.dtype}{leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()


class InFlightHandler(ocp.AsyncCheckpointHandler):
    """Writes what one process has in flight; orbax's own handlers write what all processes hold in common."""

    def __init__(self):
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    async def async_save(self, directory: os.PathLike, args: "SaveInFlight") -> list[Future]:
        """Begins to write; leaves are `(blocks, ...)`."""
        return [self._writer.submit(self.save, directory, args)]

    def save(self, directory: os.PathLike, args: "SaveInFlight") -> None:
        """Writes; leaves are `(blocks, ...)`."""
        record, leaves = args.in_flight.record, args.in_flight.leaves
        named = {f"{number:04d}": leaf for number, leaf in enumerate(leaves)}
        with open(pathlib.Path(directory) / _FILE, "wb") as file:
            np.savez(file, record=np.array(record), sha256=np.array(_digest(record, leaves)), **named)
            file.flush()
            os.fsync(file.fileno())

    def restore(self, directory: os.PathLike, args: "RestoreInFlight") -> InFlight:
        """Reads the leaves, `(blocks, ...)` each; raises ValueError if they are not what was written."""
        with np.load(pathlib.Path(directory) / _FILE, allow_pickle=False) as file:
            leaves = [file[name] for name in sorted(file.files) if name.isdigit()]
            record, digest = int(file["record"]), str(file["sha256"])
        if _digest(record, leaves) != digest:
            raise ValueError("its checksum differs")
        return InFlight(record=record, leaves=leaves)

    def finalize(self, directory: os.PathLike) -> None:
        """Nothing is left to be done."""

    def close(self) -> None:
        """Waits for what is being written."""
        self._writer.shutdown()


@ocp.args.register_with_handler(InFlightHandler, for_save=True)
@dataclasses.dataclass
class SaveInFlight(ocp.args.CheckpointArgs):
    """Save `in_flight`, leaves `(blocks, ...)`."""

    in_flight: InFlight


@ocp.args.register_with_handler(InFlightHandler, for_restore=True)
@dataclasses.dataclass
class RestoreInFlight(ocp.args.CheckpointArgs):
    """Restore it."""


class Checkpoints:
    """A process's checkpoints in a run's folder.

    Args:
      folder: of the run; they lie in `checkpoints/PROCESS`.
      seconds: between two of them.
      process: the number of this process.
      warn: is told in one line of a checkpoint that cannot be used.
    """

    def __init__(self, folder: pathlib.Path, *, seconds: float, process: int = 0, warn: Callable[[str], None] = print):
        self._folder, self._seconds, self._process, self._warn = folder, seconds, process, warn
        self._last, self._manager = time.monotonic(), None

    @property
    def _path(self) -> pathlib.Path:
        return self._folder / "checkpoints" / str(self._process)

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            if not self._folder.is_dir():
                raise RunError(f"{self._folder} has vanished; the same command begins it again")
            self._path.mkdir(parents=True, exist_ok=True)
            alone = ocp.options.MultiprocessingOptions(
                primary_host=self._process,
                active_processes={self._process},
                barrier_sync_key_prefix=f"process{self._process}",
            )
            options = ocp.CheckpointManagerOptions(
                max_to_keep=_KEEP,
                create=False,
                multiprocessing_options=alone,
                async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            )
            self._manager = ocp.CheckpointManager(self._path.absolute(), options=options)
        return self._manager

    def due(self) -> bool:
        """Whether the last one, or the beginning, is long enough ago."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, part: int, in_flight: InFlight, *, wait: bool = False) -> None:
        """Writes a checkpoint in the background.

        Args:
          part: the number of the part among all of the run.
          in_flight: what it holds; arrays `(blocks, ...)`, which nobody else changes.
          wait: until it is on disk.

        Raises:
          RunError: if the folder has vanished.
          OSError: if it, or the one before it, could not be written.
        """
        manager = self._open()
        if not self._path.is_dir():
            raise RunError(f"{self._folder} has vanished; the same command begins it again")
        step = part * _PLACES + in_flight.record
        if step not in manager.all_steps():  # one that was resumed from, and stopped before another record
            manager.save(step, args=SaveInFlight(in_flight), force=True)
        if wait:
            manager.wait_until_finished()
        self._last = time.monotonic()

    def restore(self, part: int) -> InFlight | None:
        """The newest checkpoint of a part, by its scalar number, that is whole; None if there is none."""
        if not self._path.is_dir():
            return None
        for step in sorted(self._open().all_steps(), reverse=True):
            if step // _PLACES == part:
                try:
                    return self._open().restore(step, args=RestoreInFlight())
                except Exception as error:  # orbax and its storage raise many kinds for a damaged file
                    what = " ".join(str(error).split())[:100]
                    self._warn(f"checkpoint {self._path / str(step)} is damaged and passed over ({what})")
                    self._open().delete(step)
        return None

    def close(self) -> None:
        """Waits for what is being written."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def clear(self) -> None:
        """Deletes all of this process's checkpoints: its parts stand."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
