# SPDX-License-Identifier: Apache-2.0
"""Whole runs, each in a process of its own: the same bytes however they are dealt out, and what they take."""

import hashlib
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from jaxmyopia.checks import require
from jaxmyopia.engine.manifest import read_manifest

Row = dict[str, object]
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Two cells in some chunks of a second or two each, and a report of a few seconds.
JOB = ["-m", "experiments.adam_bumps", "--n=10", "--ranks=2", "--seeds=1024", "--steps=2000", "--checkpoint_secs=0.2"]
# One cell that steps for a minute or so, for what checkpoints cost.
LONG = ["-m", "experiments.adam_bumps", "--n=100", "--ranks=2", "--seeds=256", "--steps=3000"]
# As many seeds as are asked for, of the cheapest cell.
MANY = ["-m", "experiments.plateaus", "--n=10", "--ranks=2", "--losses=square", "--optimizers=sgd", "--steps=1000"]
MANY += ["--learning_rates=0.01"]


def start(out: pathlib.Path, *arguments: str) -> subprocess.Popen:
    """Starts a job in the folder `out`; its words go to a file beside it."""
    with open(f"{out}.log", "a") as log:
        command = [sys.executable, *arguments, f"--out={out}"]
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def finish(out: pathlib.Path, *arguments: str) -> float:
    """Runs a job to its end; gives the seconds that took.

    Raises:
      RuntimeError: if it fails.
    """
    began = time.monotonic()
    code = start(out, *arguments).wait()
    if code:
        raise RuntimeError(f"{arguments} ended with {code}; see {out}.log")
    return time.monotonic() - began


def digest(out: pathlib.Path) -> str:
    """The checksum of all chunks of a finished run, a scalar: rows, curves and sketches."""
    require(read_manifest(out).get("status") == "complete", "out", str(out), "must be complete")
    found = hashlib.sha256()
    for path in sorted(out.rglob("chunk-*")):
        found.update(str(path.relative_to(out)).encode() + path.read_bytes())
    return found.hexdigest()


def two_processes(out: pathlib.Path, job: list[str]) -> list[subprocess.Popen]:
    """Starts a job, its arguments `(m,)`, as two processes of two devices each, on the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    several = ["--cpu_devices=2", "--distributed", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    return [start(out, *job, *several, f"--process_id={number}") for number in range(2)]


def same(work: pathlib.Path) -> Iterator[Row]:
    """The same bytes on 1, 2 and 8 devices, from two processes, and from three shards run in another order."""
    whole = work / "devices1"
    finish(whole, *JOB, "--cpu_devices=1")
    for count in (2, 8):
        finish(work / f"devices{count}", *JOB, f"--cpu_devices={count}")
        yield {"what": f"{count} devices", "same": digest(work / f"devices{count}") == digest(whole)}
    both = two_processes(work / "processes", JOB)
    codes = [process.wait() for process in both]
    yield {"what": "2 processes x 2 devices", "same": codes == [0, 0] and digest(work / "processes") == digest(whole)}
    shards = [str(work / f"shard{number}") for number in (2, 0, 1)]
    for number, folder in zip((2, 0, 1), shards, strict=True):
        finish(pathlib.Path(folder), *JOB, "--num_shards=3", f"--shard_index={number}")
    finish(work / "merged", "-m", "experiments.merge", *shards)
    finish(work / "merged", *JOB)  # judges it
    yield {"what": "3 shards, run 2, 0, 1, merged", "same": digest(work / "merged") == digest(whole)}


def peers(work: pathlib.Path) -> Iterator[Row]:
    """One of two processes is killed: how long until the other has stopped, and both going on."""
    whole = work / "whole"
    job = [*LONG, "--seeds=3000"]
    seconds = finish(whole, *job)
    for killed in (0, 1):
        out = work / f"peer{killed}"
        both = two_processes(out, job)
        time.sleep(0.35 * seconds)
        both[killed].kill()
        began, code = time.monotonic(), both[1 - killed].wait()
        stopped = round(time.monotonic() - began, 1)
        codes = [process.wait() for process in two_processes(out, job)]
        row = {"what": f"process {killed} killed", "the other ended with": code, "after seconds": stopped}
        yield row | {"same": codes == [0, 0] and digest(out) == digest(whole)}


def checkpoints(work: pathlib.Path) -> Iterator[Row]:
    """What checkpoints every second cost, against none; and how soon a killed run steps again."""
    finish(work / "warm", *LONG)
    taken = {1: [], 10**6: []}
    for repeat in range(3):
        for every, each in taken.items():
            each.append(finish(work / f"every{every}-{repeat}", *LONG, f"--checkpoint_secs={every}"))
    with_them, without = (statistics.median(each) for each in taken.values())
    row = {"what": "a checkpoint every second", "seconds": round(with_them, 2), "without": round(without, 2)}
    yield row | {"share": round(with_them / without - 1, 4), "of 60 s": round((with_them / without - 1) / 60, 5)}
    out = work / "resumed"
    process = start(out, *LONG, "--checkpoint_secs=0.2")
    places = out / "checkpoints" / "0"
    while len(list(places.glob("*[0-9]"))) < 2:
        time.sleep(0.05)
    process.kill()
    process.wait()
    before, began = {path.name for path in places.glob("*[0-9]")}, time.monotonic()
    process = start(out, *LONG, "--checkpoint_secs=0.2")
    while not {path.name for path in places.glob("*[0-9]")} - before:
        time.sleep(0.01)
    yield {"what": "first checkpoint after a resume", "seconds": round(time.monotonic() - began, 2)}
    process.kill()
    process.wait()


def many(work: pathlib.Path) -> Iterator[Row]:
    """Time and peak memory of 100,000 and 1,000,000 seeds."""
    finish(work / "warm", *MANY, "--seeds=1000")
    for seeds in (100_000, 1_000_000):
        out = work / f"seeds{seeds}"
        began, process = time.monotonic(), start(out, *MANY, f"--seeds={seeds}")
        _, status, usage = os.wait4(process.pid, 0)
        row = {"what": f"{seeds:,} seeds", "seconds": round(time.monotonic() - began, 1), "code": status}
        row |= {"stepping": read_manifest(out)["seconds"], "peak MiB": round(usage.ru_maxrss / 1024)}
        yield row | {"folder MiB": round(sum(path.stat().st_size for path in out.rglob("*")) / 2**20)}


SECTIONS = {"same": same, "peers": peers, "checkpoints": checkpoints, "many": many}
