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
import numpy as np

from jaxmyopia import contract
from jaxmyopia.checks import RunError
from jaxmyopia.engine.chunk import chunks, chunks_of_rounds
from jaxmyopia.engine.files import differences, told_first
from jaxmyopia.engine.precision import HIGHEST, of_products
from jaxmyopia.engine.processes import gather
from jaxmyopia.fingerprint import describe, fingerprint, is_told
from jaxmyopia.study import Cell

_PACKAGES = ("jaxmyopia", "jax", "jaxlib", "optax", "flax", "numpy")
_PARTS = ("num_shards", "shard_index")  # what tells the shards of one run apart
# JAX's options that change numbers, as far as this version has them.
OPTIONS = (
    "jax_disable_most_optimizations", "jax_optimization_level", "jax_exec_time_optimization_effort",
    "jax_high_dynamic_range_gumbel", "jax_softmax_custom_jvp", "jax_default_dtype_bits", "jax_legacy_prng_key",
)  # fmt: skip
_RECORDS = 9  # T, where summaries are traced
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
        **{name: str(_config.values[name]) for name in OPTIONS if name in _config.values},
    }


def plan_of(cell: Cell) -> dict[str, object]:
    """A cell as its folder tells it: all that decides its rows, JSON values."""
    study = cell.study
    return {
        "name": str(study),
        "settings": study.settings(),
        "fields": {name: value for name, value in describe(study).items() if name != "measures"},
        "program": program_of(cell),
        "sweep": {name: list(values) for name, values in cell.sweep},
        "measures": [{**measure.describe(), "fn": describe(measure.fn)} for measure in _measures(cell)],
        **{name: getattr(cell, name) for name in ("seeds", "steps", "records")},
        "chunks": chunks(cell),
        **({"control": True} if cell.control else {}),
        **({"looks": list(cell.looks), "chunks_of_rounds": chunks_of_rounds(cell)} if cell.looks else {}),
    }


def program_of(cell: Cell) -> str | None:
    """Eight digits of all that a study computes, traced; None where its fields say it all, and the code is ours.

    Whatever user's code refers to is in them as far as it changes the arithmetic: other functions, globals, modules.
    """
    study = cell.study
    if is_told(type(study)) and is_told((study, [measure.fn for measure in _measures(cell)])):
        return None
    params = study.params(**cell.columns(np.arange(len(cell.combinations))))
    shapes = contract.shapes(study, cell.columns(np.zeros(1, int)))
    curves = jax.tree.map(lambda x: jax.ShapeDtypeStruct((_RECORDS, *x.shape), x.dtype), shapes.record)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), study.block))
    with of_products(HIGHEST):
        traced = [
            fingerprint(study.batched.init, keys, shapes.params),
            fingerprint(study.batched.step, shapes.state, shapes.params),
            fingerprint(study.batched.observe, shapes.state, shapes.params),
            fingerprint(lambda curves: (study.summarise(curves), study.quantiles(curves)), curves),
        ]
    told = [describe(leaf) for leaf in jax.tree.leaves(params)]
    return hashlib.sha256(json.dumps([traced, told]).encode()).hexdigest()[:8]


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
        found = told_first(differences(json.loads(texts[0]), json.loads(text)))
        if found:
            raise RunError(
                f"process {process} was given another run than process 0 ({'; '.join(found[:3])}): nothing is written; "
                "give every process the same command"
            )
