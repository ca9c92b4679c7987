# SPDX-License-Identifier: Apache-2.0
"""Devices as one axis of seeds: every device takes blocks of its own."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxmyopia.checks import RunError, require, user_path

CACHE = "~/.cache/jaxmyopia"  # of compiled programs
_config: Any = jax.config  # jax adds its options as attributes while it is imported: no type names them


def use_cpu_devices(count: int | None = None) -> None:
    """Makes every CPU core a device of its own, if no backend has started yet and no number was chosen before.

    One XLA CPU program does not use several cores well on work this small; one block a core does.

    Args:
      count: how many devices instead, a scalar.

    Raises:
      ValueError: if `count` is not allowed.
    """
    require(count is None or count >= 1, "cpu_devices", count, "must be at least 1")
    if count is None and _config.jax_num_cpu_devices > 0:
        return
    with contextlib.suppress(RuntimeError):  # jax runs already: its devices are what there is
        jax.config.update("jax_num_cpu_devices", count or len(os.sched_getaffinity(0)))


def use_compilation_cache(folder: str, *, unless_set: bool = False) -> None:
    """Keeps compiled programs in a folder, so that the next run (and the next cell of the same shape) finds them.

    Args:
      folder: where; `~` is the user's home. Empty for no cache.
      unless_set: leave a folder that was chosen before.
    """
    if folder and not (unless_set and _config.jax_compilation_cache_dir):
        jax.config.update("jax_compilation_cache_dir", str(user_path("compilation_cache", folder)))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def require_jax() -> None:
    """Refuses to run where JAX cannot: without a device, uncompiled, or within a function that is being traced.

    Raises:
      RunError: one line that says what is in the way.
    """
    if _config.jax_disable_jit:
        raise RunError("programs are compiled, but JAX_DISABLE_JIT=1 forbids it; unset it")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where a platform's plugin is not installed
        asked = f" of JAX_PLATFORMS={_config.jax_platforms}" if _config.jax_platforms else ""
        said = (str(error).strip().splitlines() or ["there is none"])[0][:200]
        raise RunError(f"JAX finds no device{asked}: {said}") from None
    if isinstance(jnp.zeros(()), jax.core.Tracer):  # a run is no function of arrays: it writes files
        raise RunError("run and settle cannot be called while jax.jit or the like traces a function; call them outside")


def seed_mesh() -> Mesh:
    """The mesh of all local devices, one axis `seeds`."""
    return Mesh(np.asarray(jax.local_devices()), ("seeds",), axis_types=(jax.sharding.AxisType.Auto,))


def per_device(function: Callable, mesh: Mesh) -> Callable:
    """Runs a function of one device's arrays on every device at once.

    Args:
      function: takes and returns pytrees of arrays.
      mesh: from `seed_mesh`, D devices.

    Returns:
      The same function with one more axis `(D, ...)` in front of every array.
    """

    def local(*args):
        own = jax.tree.map(lambda x: x[0], args)
        return jax.tree.map(lambda x: x[None], function(*own))

    spread = PartitionSpec("seeds")
    return jax.shard_map(local, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
