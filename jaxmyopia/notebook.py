# SPDX-License-Identifier: Apache-2.0
"""What a notebook asks first: which accelerator JAX runs on, and whether it is the one that this machine has."""

import glob
import os
from collections.abc import Mapping
from typing import Any

import jax

from jaxmyopia.checks import RunError
from jaxmyopia.engine.mesh import require_jax, use_cpu_devices

# Google's devices: /dev/accel0 up to TPU v4; later ones are groups of VFIO, as may be what a host lends to its guests.
_DEVICES, _LENT = "/dev/accel[0-9]*", "/dev/vfio/[0-9]*"
_config: Any = jax.config  # whose options no type names
_VARIABLES = ("TPU_ACCELERATOR_TYPE", "TPU_NAME", "COLAB_TPU_ADDR", "COLAB_TPU_1VM", "TPU_WORKER_HOSTNAMES")


def tpu_here(environment: Mapping[str, str] | None = None) -> str:
    """What says that this machine has a TPU: a device or a variable; empty if nothing does.

    Args:
      environment: variables by name, by default those of this process.
    """
    variables = os.environ if environment is None else environment
    named = next((name for name in _VARIABLES if variables.get(name)), "")
    found = sorted(glob.glob(_DEVICES)) or (sorted(glob.glob(_LENT)) if named else [])
    return found[0] if found else named


def accelerator() -> str:
    """Makes JAX ready and says what it runs on, in one line; call it first, in a notebook.

    >>> import jaxmyopia as jm
    >>> print(jm.accelerator())  # doctest: +SKIP
    JAX 0.7.2 on 8 devices: TPU v5 lite

    Returns:
      The line.

    Raises:
      RunError: if this machine has a TPU and JAX runs on the CPU though nobody asked it to, as it does while another
        process holds the TPU; or if JAX finds no device.
    """
    use_cpu_devices()
    require_jax()
    asked = (_config.jax_platforms or "").split(",")[0] == "cpu"  # JAX_PLATFORMS, where it is set
    tpu = tpu_here() if jax.default_backend() == "cpu" and not asked else ""
    if tpu:
        raise RunError(
            f"this machine has a TPU ({tpu}), but JAX runs on its CPU: one process alone may hold a TPU, so end the"
            " other, such as another notebook, and restart this one; to use the CPU all the same, set JAX_PLATFORMS=cpu"
        )
    devices = jax.local_devices()
    kind = "CPU cores" if jax.default_backend() == "cpu" else devices[0].device_kind
    return f"JAX {jax.__version__} on {len(devices)} device{'s' * (len(devices) != 1)}: {kind}"
