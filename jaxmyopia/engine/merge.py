# SPDX-License-Identifier: Apache-2.0
"""Joins the folders of shards into the folder of the whole run."""

import itertools
import os
import pathlib
import re
import shlex
import shutil
from collections.abc import Sequence
from typing import Any, TypedDict

from jaxmyopia.checks import RunError, require, user_path
from jaxmyopia.engine.files import checksum_of, differences, told_first
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.identity import whole
from jaxmyopia.engine.lock import Lock
from jaxmyopia.engine.manifest import FORMAT, Files, plan_of, read_manifest, stem_of
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.schema import fault


class _Config(TypedDict):
    cells: list[dict[str, object]]
    num_shards: int
    shard_index: int


class _Shard(TypedDict):
    """What a finished shard's manifest must hold, beside what `read_manifest` checks."""

    config: _Config
    chunks: dict[str, Files]
    command: str
    git: str
    started: str
    seconds: int | float


def _check(folders: Sequence[str], manifests: list[dict[str, Any]]) -> None:
    """Refuses folders that do not make one whole run, by name."""
    for folder, manifest in zip(folders, manifests, strict=True):
        require(bool(manifest), "folders", folder, "must be folders of runs, but it has no manifest.json")
        written = manifest["config"].get("format")
        require(written == FORMAT, "folders", folder, f"must be of format {FORMAT}, but it is of format {written}")
        is_shard = "shard_index" in manifest["config"]
        require(is_shard, "folders", folder, "must be folders of shards, made with --num_shards and --shard_index")
        status = manifest.get("status", "not begun")
        require(status == "complete shard", "folders", folder, f"must be of finished shards, but it is {status}")
        wrong = fault(manifest, _Shard)
        require(not wrong, "folders", folder, f"must be of finished shards, but in its manifest {wrong}")
        differing = told_first(differences(whole(manifests[0]["config"]), whole(manifest["config"])))
        require(not differing, "folders", folder, f"must have {folders[0]}'s configuration: {'; '.join(differing[:3])}")
    holders: dict[str, str] = {}
    for folder, manifest in zip(folders, manifests, strict=True):
        for chunk in manifest["chunks"]:
            twice = f"must hold a chunk each once, but {chunk} is in {holders.get(chunk)} too"
            require(chunk not in holders, "folders", folder, twice)
            holders[chunk] = folder
    plan = plan_of(manifests[0]["config"]) or []
    wanted = (stem_of(cell, chunk) for cell, count in enumerate(plan) for chunk in range(count))
    lacking = [next((chunk for chunk in wanted if chunk not in holders), None)]
    shards = {manifest["config"]["shard_index"] for manifest in manifests}
    count = manifests[0]["config"]["num_shards"]
    absent = itertools.islice((str(shard) for shard in range(count) if shard not in shards), 8)
    allowed = f"must be all shards; of {count}, missing: {', '.join(absent) or 'none'}; "
    allowed += f"{sum(plan) - len(holders)} chunks, first {lacking}"
    require(lacking == [None], "folders", " ".join(folders), allowed)


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
    places = [user_path("folders", folder) for folder in folders]
    manifests = [read_manifest(place) for place in places]
    _check(folders, manifests)
    joined = RunFolder(out, whole(manifests[0]["config"]))
    with Lock(joined.path):
        begun = joined.manifest.get("status") in (None, "merging")
        require(begun, "out", out, "must be a new folder, or that of this merge, but it holds a run")
        joined.write_manifest(status="merging", command="")
        for place, manifest in zip(places, manifests, strict=True):
            for stem, files in manifest["chunks"].items():
                for name, checksum in files.items():
                    _copy(place / name, joined, name, checksum)
                joined.write_json(f"seeds/{stem}.json", files)
        command = whole_command(manifests[0]["command"], out)
        joined.write_manifest(**_entries(manifests), command=command, shards=[os.path.abspath(each) for each in places])
        joined.sweep()
    return joined, command


def _entries(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """What the whole run's manifest says of how it was made."""
    return environment() | {
        "git": ", ".join(dict.fromkeys(manifest["git"] for manifest in manifests)),
        "status": "complete",
        "started": min(manifest["started"] for manifest in manifests),
        "seconds": round(sum(manifest["seconds"] for manifest in manifests), 1),
        "compile_seconds": {},
    }


def _copy(source: pathlib.Path, joined: RunFolder, name: str, checksum: str) -> None:
    broken = f"{source} is damaged or missing; give its shard's command again with --repair, then merge anew"

    def copy(temporary: str) -> None:
        shutil.copyfile(source, temporary)
        if checksum_of(temporary) != checksum:
            raise RunError(broken)

    try:
        joined.write_with(name, copy)
    except RunError:
        if source.is_file():
            raise
        raise RunError(broken) from None
