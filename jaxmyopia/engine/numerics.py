# SPDX-License-Identifier: Apache-2.0
"""What decides the arithmetic of every program, beside the study: versions, backend, precision, random numbers."""

import importlib.metadata
import os
from typing import Any

import jax

_PACKAGES = ("jaxmyopia", "jax", "jaxlib", "optax", "flax", "numpy")
# JAX's options that change numbers, as far as this version has them.
OPTIONS = (
    "jax_disable_most_optimizations", "jax_optimization_level", "jax_exec_time_optimization_effort",
    "jax_high_dynamic_range_gumbel", "jax_softmax_custom_jvp", "jax_default_dtype_bits", "jax_legacy_prng_key",
)  # fmt: skip
_DEVICES = "--xla_force_host_platform_device_count"  # of XLA's flags, what changes no number
_config: Any = jax.config  # jax adds its options as attributes while it is imported: no type names them


def numerics(matmul_precision: str) -> dict[str, object]:
    """What decides the arithmetic of every program, JSON values; `matmul_precision`: a name of `precision.NAMES`."""
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
