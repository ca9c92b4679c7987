# SPDX-License-Identifier: Apache-2.0
"""The identity of a run: everything that can change a row, as JSON values, and its hash.

A folder holds it in its manifest; chunks, checkpoints and the barrier between processes carry the hash.
"""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from typing import Any

import jax

from jaxmyopia.checks import RunError
from jaxmyopia.engine.chunk import chunks
from jaxmyopia.engine.files import differences
from jaxmyopia.engine.processes import gather
from jaxmyopia.fingerprint import describe, source_of
from jaxmyopia.study import Cell

_PACKAGES = ("jaxmyopia", "jax", "jaxlib", "optax", "flax", "numpy")
_PARTS = ("num_shards", "shard_index")  # what tells the shards of one run apart
_DEVICES = "--xla_force_host_platform_device_count"  # of XLA's flags, what changes no number
_config: Any = jax.config  # jax adds its options as attributes while it is imported: no type names them


def numerics(matmul_precision: str) -> dict[str, object]:
    """What decides the arithmetic of every program: versions, backend, precision, random numbers."""
    flags = sorted(flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(_DEVICES))
    return {
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "backend": jax.default_backend(),
        "device_kind": jax.local_devices()[0].device_kind,
        "x64": bool(_config.jax_enable_x64),
        "matmul_precision": matmul_precision,
        "prng": str(_config.jax_default_prng_impl),
        "threefry_partitionable": bool(_config.jax_threefry_partitionable),
        "random_seed_offset": int(_config.jax_random_seed_offset),
        "xla_flags": " ".join(flags),
    }


def plan_of(cell: Cell) -> dict[str, object]:
    """A cell as its folder tells it: all that decides its rows, JSON values."""
    study = cell.study
    return {
        "name": str(study),
        "settings": study.settings(),
        "fields": {name: value for name, value in describe(study).items() if name != "measures"},
        "source": source_of(type(study)),
        "sweep": {name: list(values) for name, values in cell.sweep},
        "measures": [{**measure.describe(), "fn": describe(measure.fn)} for measure in _measures(cell)],
        **{name: getattr(cell, name) for name in ("seeds", "steps", "records")},
        "chunks": chunks(cell),
    }


def _measures(cell: Cell) -> list[Any]:
    return list(dict.fromkeys((*cell.study.standard, *cell.study.measures)))


def whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the whole run, of which this may be a shard's."""
    return {name: value for name, value in config.items() if name not in _PARTS}


def hash_of(config: Mapping[str, Any]) -> str:
    """The SHA-256 of a configuration, in hexadecimal, the same for all shards of a run."""
    return hashlib.sha256(json.dumps(whole(config), sort_keys=True).encode()).hexdigest()


def agree(config: Mapping[str, Any]) -> None:
    """Compares this process's configuration with that of process 0, before anything is written.

    Args:
      config: of the run, JSON values.

    Raises:
      RunError: in every process, if they are not the same; it names what differs.
    """
    if jax.process_count() == 1:
        return
    texts = gather(json.dumps(config, sort_keys=True))
    for process, text in enumerate(texts):
        found = list(differences(json.loads(texts[0]), json.loads(text)))
        if found:
            raise RunError(
                f"process {process} was given another run than process 0 ({'; '.join(found[:3])}): nothing is written; "
                "give every process the same command"
            )
