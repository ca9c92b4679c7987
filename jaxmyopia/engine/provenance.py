# SPDX-License-Identifier: Apache-2.0
"""What a run was made with: versions, devices, machine, git revision."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
from typing import Any

import jax

_PACKAGES = ("jaxmyopia", "jax", "jaxlib", "optax", "chex", "flax", "orbax-checkpoint", "numpy", "scipy")


def _git_revision() -> str | None:
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    except OSError:
        return None
    return answer.stdout.strip() or None


def processor() -> str:
    """The processor's name; empty where the system does not tell it."""
    with contextlib.suppress(OSError):
        names = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        return names[0] if names else platform.processor()
    return platform.processor()


def environment() -> dict[str, Any]:
    """What a run was made with: versions, devices, machine, git revision."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "devices": [str(device) for device in jax.devices()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "processor": processor(),
        "git": _git_revision(),
    }
