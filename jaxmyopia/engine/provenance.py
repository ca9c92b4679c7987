# SPDX-License-Identifier: Apache-2.0
"""What a run was made with: versions, devices, machine, git revision."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import time
from collections.abc import Mapping
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


def first_entries(before: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The manifest's entries as a session begins, by those `before`: a run that goes on keeps its start and seconds."""
    entries = environment()
    # Rows that another revision computed stay its rows: a manifest names all revisions that made it.
    revisions = [each for each in (before.get("git") or "").split(", ") if each and each != entries["git"]]
    return {
        **entries,
        "git": ", ".join([*revisions, entries["git"] or "unknown"]),
        "status": "running",
        "command": command,
        "started": before.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        "seconds": before.get("seconds", 0.0),
        "compile_seconds": before.get("compile_seconds", {}),  # by cell
    }
