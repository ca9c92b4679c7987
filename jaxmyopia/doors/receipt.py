# SPDX-License-Identifier: Apache-2.0
"""The one line that goes with a run's numbers: what they were made by, so that they can be made again."""

from collections.abc import Sequence

from jaxmyopia.claims.judged import Judgement
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.replay import IN_PYTHON

_PACKAGES = ("jax", "jaxlib", "optax", "numpy")
_SHOWN = 3  # claims


def receipt_line(folder: RunFolder, claims: Sequence[Judgement] = ()) -> str:
    """How to get the same numbers again: the run's identity, its root seed and versions, and what was called.

    Two runs of one identity have the same numbers to the bit, but for what `verify` tells.

    Args:
      folder: of the run.
      claims: that were judged.

    Returns:
      One line.
    """
    config, manifest = folder.config, folder.manifest
    numerics, revision = config.get("numerics", {}), manifest.get("git")
    own = f"jaxmyopia {numerics.get('jaxmyopia', manifest.get('versions', {}).get('jaxmyopia', 'unknown'))}"
    made = [f"{own} ({revision})" if revision and revision != "unknown" else own]
    made += [f"{name} {numerics[name]}" for name in _PACKAGES if name in numerics]
    ids = [each.id for each in claims]
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    asked = f", claims {', '.join(ids[:_SHOWN])}{more}" if ids else ""
    call = "the same call in Python" if config.get("experiment") == IN_PYTHON else manifest.get("command", "")
    where = f"{numerics['backend']} ({numerics['device_kind']})" if "device_kind" in numerics else ""
    parts = (f"run {folder.identity[:12]}", f"root_seed {config.get('root_seed', 0)}", *made, where)
    return f"receipt: {', '.join(filter(None, parts))}; again: {' '.join(call.split())}{asked}"
