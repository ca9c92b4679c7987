# SPDX-License-Identifier: Apache-2.0
"""Figures and the page that a run ends with. Figures are objects of their own: no backend is asked for, or changed."""

import importlib
import os
import sys


def _import_matplotlib() -> None:
    """Imports matplotlib, which fails where MPLBACKEND names what is not there: a notebook's kernel gives its own to
    the programs it starts, in whatever environment. No figure here needs it."""
    try:
        importlib.import_module("matplotlib")
    except ValueError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # half imported
        named = os.environ.pop("MPLBACKEND", "")
        importlib.import_module("matplotlib")
        os.environ["MPLBACKEND"] = named  # those that this process starts may have it


_import_matplotlib()
