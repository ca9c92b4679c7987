# SPDX-License-Identifier: Apache-2.0
"""Joins the folders of shards into the folder of the whole run."""

import os
import pathlib
import re
import shlex
import shutil
from collections.abc import Sequence
from typing import Any

from jaxmyopia.checks import RunError, require
from jaxmyopia.engine.files import differences, read_manifest
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.identity import whole
from jaxmyopia.engine.provenance import environment


def _check(folders: Sequence[str], manifests: list[dict[str, Any]]) -> None:
    """Refuses folders that do not make one whole run, by name."""
    for folder, manifest in zip(folders, manifests, strict=True):
        require(bool(manifest), "folders", folder, "must be folders of runs, but it has no manifest.json")
        is_shard = "shard_index" in manifest["config"]
        require(is_shard, "folders", folder, "must be folders of shards, made with --num_shards and --shard_index")
        status = manifest["status"]
        require(status == "complete shard", "folders", folder, f"must be of finished shards, but it is {status}")
        differing = list(differences(whole(manifests[0]["config"]), whole(manifest["config"])))
        require(not differing, "folders", folder, f"must have {folders[0]}'s configuration: {'; '.join(differing[:3])}")
    holders: dict[str, str] = {}
    for folder, manifest in zip(folders, manifests, strict=True):
        for chunk in manifest["chunks"]:
            twice = f"must hold a chunk each once, but {chunk} is in {holders.get(chunk)} too"
            require(chunk not in holders, "folders", folder, twice)
            holders[chunk] = folder
    cells = manifests[0]["config"]["cells"]
    wanted = [f"chunk-{cell:03d}-{chunk:05d}" for cell, each in enumerate(cells) for chunk in range(each["chunks"])]
    lacking = [chunk for chunk in wanted if chunk not in holders]
    shards = sorted({manifest["config"]["shard_index"] for manifest in manifests})
    count = manifests[0]["config"]["num_shards"]
    missing = ", ".join(str(shard) for shard in range(count) if shard not in shards) or "none"
    allowed = f"must be all shards; of {count}, missing: {missing}; {len(lacking)} chunks, first {lacking[:1]}"
    require(not lacking, "folders", " ".join(folders), allowed)


def whole_command(command: str, out: str) -> str:
    """The command of a shard as that of the whole run.

    Args:
      command: as it was typed.
      out: the folder of the whole run.

    Returns:
      The command.
    """
    shard = re.compile(r"--(num_shards|shard_index|out)(=|$)")
    words, kept = iter(shlex.split(command)), []
    for word in words:
        found = shard.match(word)
        if not found:
            kept.append(word)
        elif not found[2]:
            next(words, None)  # `--flag value`
    return shlex.join([*kept, f"--out={out}"])


def merge(folders: Sequence[str], out: str) -> tuple[RunFolder, str]:
    """Joins shards; their files are checked, and copied as they are.

    Args:
      folders: of the shards, `(m,)`.
      out: the folder to make.

    Returns:
      The folder, and the command that judges it.

    Raises:
      ValueError: if the folders overlap, leave gaps or differ in their configuration.
      RunError: if a file is damaged or cannot be written.
    """
    require(len(folders) >= 1, "folders", "", "must be the folders of all shards")
    manifests = [read_manifest(folder) for folder in folders]
    _check(folders, manifests)
    joined = RunFolder(out, whole(manifests[0]["config"]))
    begun = joined.manifest.get("status") in (None, "merging")
    require(begun, "out", out, "must be a new folder, or that of this merge, but it holds a run")
    joined.write_manifest(status="merging", command="")
    for folder, manifest in zip(folders, manifests, strict=True):
        for stem, files in manifest["chunks"].items():
            for name, checksum in files.items():
                _copy(pathlib.Path(folder) / name, joined, name, checksum)
            joined.write_json(f"seeds/{stem}.json", files)
    command = whole_command(manifests[0]["command"], out)
    entries = environment() | {
        "git": ", ".join(dict.fromkeys(manifest["git"] for manifest in manifests)),
        "status": "complete",
        "command": command,
        "started": min(manifest["started"] for manifest in manifests),
        "seconds": round(sum(manifest["seconds"] for manifest in manifests), 1),
        "compile_seconds": {},
        "shards": [os.path.abspath(folder) for folder in folders],
    }
    joined.write_manifest(**entries)
    joined.sweep()
    return joined, command


def _copy(source: pathlib.Path, joined: RunFolder, name: str, checksum: str) -> None:
    try:
        copied = joined.write_with(name, lambda temporary: shutil.copyfile(source, temporary))
    except RunError:
        if source.is_file():
            raise
        copied = None
    if copied != checksum:
        (joined.path / name).unlink(missing_ok=True)
        raise RunError(f"{source} is damaged or missing; give its shard's command again with --repair, then merge anew")
