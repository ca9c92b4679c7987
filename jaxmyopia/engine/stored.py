# SPDX-License-Identifier: Apache-2.0
"""Executables on disk, beside JAX's cache, found without tracing what they were compiled from.

JAX's own cache is asked with a program's text, so that a program is traced and lowered before it is found. What a
study of this package computes is told by its fields and by the package's files: their hash is a name for it.
"""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import pickle
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
from jax.experimental import serialize_executable

from jaxmyopia.engine.numerics import numerics
from jaxmyopia.engine.provenance import instructions, processor
from jaxmyopia.fingerprint import describe, is_told

_config: Any = jax.config  # jax adds its options as attributes while it is imported: no type names them


def name_of(study: Any, matmul_precision: str, **sizes: object) -> str | None:
    """What tells a study's executables from all others.

    Args:
      study: the study.
      matmul_precision: a name of `precision.NAMES`.
      **sizes: whatever else decides them, JSON values.

    Returns:
      Hexadecimal digits; None where its fields do not say it all, such as code of a user's own, and where programs
      are not kept or are those of several processes.
    """
    told = is_told(type(study)) and is_told((study, [measure.fn for measure in (*study.standard, *study.measures)]))
    if not told or not _config.jax_compilation_cache_dir or jax.process_count() > 1:
        return None
    everything = {
        "study": [type(study).__qualname__, describe(study)],
        "source": _source(),
        "numerics": numerics(matmul_precision),
        "machine": [processor(), instructions(), [str(device) for device in jax.local_devices()]],
        **sizes,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


@functools.cache
def _source() -> str:
    """The hash of this package's files."""
    root, found = pathlib.Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()


def _path(name: str) -> pathlib.Path:
    return pathlib.Path(_config.jax_compilation_cache_dir) / "executables" / name


def load(name: str) -> dict[str, jax.stages.Compiled] | None:
    """The executables of a name, by theirs; None if there are none that can be loaded."""
    devices = jax.local_devices()
    with contextlib.suppress(Exception):  # absent, cut short, or another version's: they are compiled again
        stored = pickle.loads(_path(name).read_bytes())
        return {
            each: serialize_executable.deserialize_and_load(*parts, execution_devices=devices)
            for each, parts in stored.items()
        }
    return None


def keep(name: str, executables: Mapping[str, jax.stages.Compiled]) -> None:
    """Keeps executables under a name for the next process; where that fails they are compiled again."""
    path = _path(name)
    with contextlib.suppress(Exception):  # a backend that cannot, or a disk that is full: a cache is no result
        data = pickle.dumps({each: serialize_executable.serialize(one) for each, one in executables.items()})
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
