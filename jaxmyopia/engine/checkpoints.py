# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the chunk in flight, by orbax, written in the background while the chunk goes on.

Orbax's CheckpointManager writes in the background with the help of the other processes' connection, which this one has
given up (`processes.disconnect`); its Checkpointer, in a thread of ours, does without.

A checkpoint holds the state and the curves of the chunk's blocks, `(blocks, ...)` each whatever the number of devices,
where it stopped, and the hash of the run's identity. Its arrays carry a checksum: one that was altered or cut short, or
is another run's, is passed over, first for the one before it and then for the chunk's beginning.
"""

import dataclasses
import functools
import pathlib
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxmyopia.checks import RunError

if TYPE_CHECKING:
    from jaxmyopia.engine.in_flight import InFlightFiles

_KEEP = 2
_NAME = re.compile(r"(\d+)-(\d+)")  # of a checkpoint: chunk and record


@dataclasses.dataclass(frozen=True)
class InFlight:
    """A chunk on its way: the scalar `record`, the next to be observed, and the `leaves` `(blocks, ...)` it holds."""

    record: int
    leaves: list[np.ndarray]


def _is_key(x: jax.Array | jax.ShapeDtypeStruct) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def to_host(tree: object) -> list[np.ndarray]:
    """The leaves of a pytree, any shapes, as numpy arrays of their own; keys as their data."""
    return [np.array(jax.random.key_data(x) if _is_key(x) else x) for x in jax.tree.leaves(tree)]


def from_host(leaves: list[np.ndarray], like: object) -> object:
    """The pytree of the leaves from `to_host`, any shapes, with the structure and the keys of `like`."""
    shapes, tree = jax.tree.flatten(like)
    pairs = zip(leaves, shapes, strict=True)
    return jax.tree.unflatten(
        tree, [jax.random.wrap_key_data(jax.numpy.asarray(x)) if _is_key(like) else x for x, like in pairs]
    )


class Checkpoints:
    """A process's checkpoints in a run's folder.

    Args:
      folder: of the run; they lie in `checkpoints/PROCESS`.
      identity: the hash of the run's.
      seconds: between two of them.
      process: the number of this process.
      warn: is told in one line of a checkpoint that cannot be used.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        identity: str,
        seconds: float,
        process: int = 0,
        warn: Callable[[str], None] = print,
    ):
        self._folder, self._identity, self._seconds, self._warn = folder, identity, seconds, warn
        self._path, self._process = folder / "checkpoints" / str(process), process
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing, self._last = self._writer.submit(lambda: None), time.monotonic()

    @functools.cached_property
    def _files(self) -> "InFlightFiles":
        from jaxmyopia.engine.in_flight import InFlightFiles  # and orbax: 0.2 s that most runs can do without

        return InFlightFiles(self._process, self._identity)

    def due(self) -> bool:
        """Whether the last one, or the beginning, is long enough ago."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, chunk: int, in_flight: InFlight, *, wait: bool = False) -> None:
        """Writes a checkpoint in the background.

        Args:
          chunk: the number of the chunk among all of the run.
          in_flight: what it holds; arrays `(blocks, ...)`, which nobody else changes.
          wait: until it is on disk.

        Raises:
          RunError: if it, or the one before it, could not be written, or the folder has vanished.
        """
        self._wait()
        self._writing = self._writer.submit(self._save, self._files, chunk, in_flight)
        self._last = time.monotonic()
        if wait:
            self._wait()

    def _wait(self) -> None:
        try:
            self._writing.result()
        except OSError as error:
            what = "the folder has vanished" if not self._folder.is_dir() else error.strerror or str(error)
            self._writing = self._writer.submit(lambda: None)  # said once
            raise RunError(
                f"a checkpoint in {self._path} could not be written ({what}); what is completed is kept"
            ) from None

    def _save(self, files: "InFlightFiles", chunk: int, in_flight: InFlight) -> None:
        if not self._folder.is_dir():
            raise FileNotFoundError
        self._path.mkdir(parents=True, exist_ok=True)
        files.save(self._path / f"{chunk:06d}-{in_flight.record:06d}", in_flight)
        for old in self._found(chunk)[_KEEP:]:
            shutil.rmtree(old, ignore_errors=True)

    def _found(self, chunk: int) -> list[pathlib.Path]:
        """A chunk's checkpoints that were written to their end, the furthest first."""
        every = self._path.parent.glob(f"*/{chunk:06d}-*")  # also of a process that had the chunk before
        return sorted((path for path in every if _NAME.fullmatch(path.name)), key=lambda path: path.name, reverse=True)

    def done(self, chunk: int) -> None:
        """Deletes those of a chunk, by its scalar number: it stands. Others may be of chunks that are still to come."""
        self._wait()
        for path in self._found(chunk):
            shutil.rmtree(path, ignore_errors=True)

    def restore(self, chunk: int) -> InFlight | None:
        """The newest checkpoint of a chunk, by its scalar number, that is whole; None if there is none."""
        for path in self._found(chunk):
            try:
                return self._files.restore(path)
            except Exception as error:  # many kinds are raised for a damaged file
                what = " ".join(str(error).split())[:100]
                self._warn(f"checkpoint {path} cannot be used and is passed over ({what})")
        return None

    def close(self) -> None:
        """Waits for what is being written; raises RunError if it could not be."""
        try:
            self._wait()
        finally:
            self._writer.shutdown()

    def clear(self) -> None:
        """Deletes all of this process's checkpoints: its chunks stand."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
