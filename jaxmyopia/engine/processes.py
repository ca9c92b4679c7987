# SPDX-License-Identifier: Apache-2.0
"""Who does what: the chunks of a run are dealt to shards (machines that do not know of each other) and to processes.

Processes of one run find each other by `jax.distributed` and share its folder; each works through chunks of its own on
its own devices, and nothing but files passes between them. Shards have folders of their own, which
`experiments.merge` joins.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from jaxmyopia.checks import RunError, require
from jaxmyopia.values import conform


@dataclasses.dataclass(frozen=True)
class Share:
    """This process's share of a run: scalars `shard` of `shards`, and within it `process` of `processes`.

    Raises ValueError if a number is not allowed.
    """

    shard: int = 0
    shards: int = 1
    process: int = 0
    processes: int = 1

    def __post_init__(self):
        conform(self)
        require(self.shards >= 1, "num_shards", self.shards, "must be at least 1")
        within = f"must be between 0 and num_shards - 1 = {self.shards - 1}"
        require(0 <= self.shard < self.shards, "shard_index", self.shard, within)

    def in_shard(self, number: int) -> bool:
        """Whether the chunk of this scalar number belongs to this shard."""
        return number % self.shards == self.shard

    def mine(self, number: int) -> bool:
        """Whether the chunk of this scalar number is this process's."""
        return self.in_shard(number) and number // self.shards % self.processes == self.process

    @property
    def leads(self) -> bool:
        """Whether this process writes what a run has one of: the manifest, claims, figures."""
        return self.process == 0

    @property
    def judges(self) -> bool:
        """Whether this process has the whole run, once it is complete, to judge and to show."""
        return self.leads and self.shards == 1


def meet(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Makes this process one of several, before any device is used.

    Args:
      coordinator: `host:port` of process 0, where alone it listens, or None to let JAX find it (TPU pods, Slurm, MPI).
      processes: how many there are, a scalar, or None.
      process: the number of this one, a scalar, or None.

    Raises:
      ValueError: if an argument is not allowed.
      RunError: if the processes do not find each other.
    """
    if coordinator is not None:
        host, _, port = coordinator.rpartition(":")
        fine = host != "" and port.isdecimal() and 0 < int(port) < 2**16
        require(fine, "coordinator", coordinator, "must be HOST:PORT of process 0, such as 10.0.0.2:8476")
    if processes is not None:
        require(processes >= 1, "num_processes", processes, "must be at least 1")
    if process is not None:
        most = "" if processes is None else f" and at most num_processes - 1 = {processes - 1}"
        require(0 <= process < (processes or process + 1), "process_id", process, f"must be at least 0{most}")
    try:
        # Unless it is told, the coordinator listens on every interface of its machine.
        jax.distributed.initialize(coordinator, processes, process, coordinator_bind_address=coordinator)
    except (ValueError, RuntimeError) as error:
        raise RunError(f"the processes did not find each other: {' '.join(str(error).split())[:200]}") from None


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Within it, what goes wrong is that another process has gone."""
    try:
        yield
    except Exception as error:  # whatever the transport raises
        what = " ".join(str(error).split())[:100]
        lost = f"another process was lost before the run began ({what})"
        raise RunError(f"{lost}; give every process its command again") from None


def gather(text: str) -> list[str]:
    """The texts of all processes, in their order, `(processes,)`; every process waits for the others' here."""
    from jax.experimental import multihost_utils  # it starts a backend when it is imported

    data = np.frombuffer(text.encode(), np.uint8)
    with _together():
        sizes = np.asarray(multihost_utils.process_allgather(np.asarray(len(data), np.int32))).ravel()
        padded = np.zeros(sizes.max(), np.uint8)
        padded[: len(data)] = data
        every = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [each[:size].tobytes().decode() for each, size in zip(every, sizes, strict=True)]


def disconnect() -> None:
    """Waits until all processes have come here, and ends their connection: from here on files are all that they share.

    A process that loses the connection is aborted by JAX, in whatever it does; without it, one that sees another go
    has time for a checkpoint and a word.
    """
    if jax.process_count() > 1 and jax.distributed.is_initialized():
        from jax.experimental import multihost_utils  # it starts a backend when it is imported

        with _together():
            multihost_utils.sync_global_devices("the folder is open")
            jax.distributed.shutdown()
