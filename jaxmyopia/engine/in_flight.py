# SPDX-License-Identifier: Apache-2.0
"""The files of a checkpoint, written and read by orbax; see `checkpoints`."""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np
import orbax.checkpoint as ocp

from jaxmyopia.engine.checkpoints import InFlight

_FILE = "in_flight.npz"


def _digest(identity: str, record: int, leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256(f"{identity} {record}".encode())
    for leaf in leaves:
        digest.update(f"{leaf.dtype}{leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


class InFlightHandler(ocp.CheckpointHandler):
    """Writes what one process has in flight; orbax's own handlers write what all processes hold in common."""

    def save(self, directory: os.PathLike, args: "SaveInFlight") -> None:
        """Writes; leaves are `(blocks, ...)`."""
        record, leaves, identity = args.in_flight.record, args.in_flight.leaves, args.identity
        named = {f"{number:04d}": leaf for number, leaf in enumerate(leaves)}
        with open(pathlib.Path(directory) / _FILE, "wb") as file:
            named |= {"record": np.array(record), "identity": np.array(identity)}
            named |= {"sha256": np.array(_digest(identity, record, leaves))}
            np.savez(file, **named)  # type: ignore[arg-type]  # its stub takes each for `allow_pickle`
            file.flush()
            os.fsync(file.fileno())

    def restore(self, directory: os.PathLike, args: "RestoreInFlight") -> InFlight:
        """Reads the leaves, `(blocks, ...)` each; raises ValueError if they are not what this run wrote."""
        with np.load(pathlib.Path(directory) / _FILE, allow_pickle=False) as file:
            leaves = [file[name] for name in sorted(file.files) if name.isdigit()]
            record, identity, digest = int(file["record"]), str(file["identity"]), str(file["sha256"])
        if _digest(identity, record, leaves) != digest:
            raise ValueError("its checksum differs")
        if identity != args.identity:
            raise ValueError(f"it is of another run, of identity {identity[:8]}; this one's is {args.identity[:8]}")
        return InFlight(record=record, leaves=leaves)


@ocp.args.register_with_handler(InFlightHandler, for_save=True)
@dataclasses.dataclass
class SaveInFlight(ocp.args.CheckpointArgs):
    """Save `in_flight`, leaves `(blocks, ...)`, of the run of an `identity`."""

    in_flight: InFlight
    identity: str


@ocp.args.register_with_handler(InFlightHandler, for_restore=True)
@dataclasses.dataclass
class RestoreInFlight(ocp.args.CheckpointArgs):
    """Restore what the run of an `identity` saved."""

    identity: str


class InFlightFiles:
    """Writes and reads a process's checkpoints.

    Args:
      process: its number.
      identity: the hash of the run's.
    """

    def __init__(self, process: int, identity: str):
        self._identity = identity
        alone = ocp.options.MultiprocessingOptions(
            primary_host=process, active_processes={process}, barrier_sync_key_prefix=f"process{process}"
        )
        self._checkpointer = ocp.Checkpointer(InFlightHandler(), multiprocessing_options=alone)

    def save(self, place: pathlib.Path, in_flight: InFlight) -> None:
        """Writes a checkpoint, whole or not at all, in place of what is there; raises OSError if the disk fails."""
        self._checkpointer.save(place.absolute(), args=SaveInFlight(in_flight, self._identity), force=True)

    def restore(self, place: pathlib.Path) -> InFlight:
        """What a checkpoint holds; what is raised for a damaged one is of many kinds."""
        return self._checkpointer.restore(place.absolute(), args=RestoreInFlight(self._identity))
