# SPDX-License-Identifier: Apache-2.0
"""Runs the engine for a long time under what can happen to it, and says whether the bytes of its tables stay the same.

python -m experiments.benchmarks.soak                       everything: half an hour on two cores
python -m experiments.benchmarks.soak --sections=kills --kills=200
"""

import dataclasses
import hashlib
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from jaxmyopia import launch
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.engine.files import read_manifest
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.session import say
from jaxmyopia.flags import flag

Row = dict[str, object]
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Two cells in some chunks of a second or two each, and a report of a few seconds.
JOB = ["-m", "experiments.adam_bumps", "--n=10", "--ranks=2", "--seeds=1024", "--steps=2000", "--checkpoint_secs=0.2"]
# One cell that steps for a minute or so, for what checkpoints cost.
LONG = ["-m", "experiments.adam_bumps", "--n=100", "--ranks=2", "--seeds=256", "--steps=3000"]
# As many seeds as are asked for, of the cheapest cell.
MANY = ["-m", "experiments.plateaus", "--n=10", "--ranks=2", "--losses=square", "--optimizers=sgd", "--steps=1000"]
MANY += ["--learning_rates=0.01"]


@dataclasses.dataclass(frozen=True)
class Soak(launch.Machine):
    """Flags of soak."""

    sections: tuple[str, ...] = flag(("same", "kills", "peers", "checkpoints", "many"), "What to do.")
    kills: int = flag(50, "How many runs are killed.")
    root_seed: int = flag(0, "Of the moments at which they are.")


FLAGS = launch.flags_of(Soak, name="soak", out="runs/soak")


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


def rows(out: pathlib.Path) -> tuple[int, int]:
    """How many rows a run's table has, and how many different ones, by cell, seed and settings; two scalars."""
    table = RunFolder(out, read_manifest(out)["config"]).table()
    names = ("cell", "seed", "learning_rate", "init_scale")
    return len(table), len(set(zip(*(table[name].tolist() for name in names), strict=True)))


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


def _compiling(out: pathlib.Path) -> bool:
    return (out / "manifest.json").exists()


def _stepping(out: pathlib.Path) -> bool:
    return any(out.glob("checkpoints/0/*"))


def _saving(out: pathlib.Path) -> bool:
    return any(out.glob("checkpoints/0/*tmp*"))


def _writing(out: pathlib.Path) -> bool:
    return any(out.glob("*/.chunk-*"))


def _reporting(out: pathlib.Path) -> bool:
    return read_manifest(out).get("status") == "complete"


# What a run that is killed is waited for to do, and for how many seconds more, at most.
MOMENTS = {
    "start": (lambda out: True, 3.0),
    "compilation": (_compiling, 2.0),
    "steps": (_stepping, 2.0),
    "checkpoint": (_saving, 0.02),
    "chunk write": (_writing, 0.02),
    "report": (_reporting, 2.0),
}


def _kill(out: pathlib.Path, moment: str, rng: random.Random) -> bool:
    """Starts the job and kills it at a moment; False if it ended before that came."""
    (reached, delay), process = MOMENTS[moment], start(out, *JOB)
    while not reached(out):
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    time.sleep(rng.uniform(0, delay))
    process.kill()
    return process.wait() == -signal.SIGKILL


def kills(work: pathlib.Path) -> Iterator[Row]:
    """Runs killed in all they do, some of them again as they go on, and resumed: equal tables, no row twice."""
    rng, whole = random.Random(FLAGS.root_seed), work / "whole"
    finish(whole, *JOB)
    expected, count = digest(whole), rows(whole)[0]
    for number in range(FLAGS.kills):
        out, killed = work / f"killed{number}", []
        again = [rng.choice(list(MOMENTS))] if rng.random() < 0.3 else []
        for moment in (list(MOMENTS)[number % len(MOMENTS)], *again):
            killed += [moment] if _kill(out, moment, rng) else []
        finish(out, *JOB)
        found, distinct = rows(out)
        row = {"what": f"killed {number}", "in": killed, "same": digest(out) == expected}
        yield row | {"lost or doubled": (found != count) + (found != distinct)}
        shutil.rmtree(out)
    yield from _killed_merges(work, rng)


def _killed_merges(work: pathlib.Path, rng: random.Random) -> Iterator[Row]:
    """Merges killed halfway, and given again."""
    shards = [work / f"shard{number}" for number in range(2)]
    for number, folder in enumerate(shards):
        finish(folder, *JOB, "--num_shards=2", f"--shard_index={number}")
    merge = ["-m", "experiments.merge", *map(str, shards)]
    for number in range(3):
        out = work / f"merged{number}"
        process = start(out, *merge)
        while not any(out.glob("curves/*")) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        cut = process.wait() == -signal.SIGKILL
        if read_manifest(out).get("status") != "complete":  # it may have been killed once all was done
            finish(out, *merge)
        finish(out, *JOB)
        yield {"what": f"merge {number}", "in": ["merge"] * cut, "same": digest(out) == digest(work / "whole")}


def peers(work: pathlib.Path) -> Iterator[Row]:
    """One of two processes is killed: how long until the other has stopped, and both going on."""
    rng, whole = random.Random(FLAGS.root_seed), work / "whole"
    job = [*LONG, "--seeds=3000"]
    seconds = finish(whole, *job)
    for killed in (0, 1):
        out = work / f"peer{killed}"
        both = two_processes(out, job)
        time.sleep(rng.uniform(0.2, 0.5) * seconds)
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


SECTIONS = {"same": same, "kills": kills, "peers": peers, "checkpoints": checkpoints, "many": many}


def main() -> None:
    """Does the sections asked for and writes what they found after each row."""
    for name in FLAGS.sections:
        require_one_of("sections", name, SECTIONS)
    require(FLAGS.kills >= 1, "kills", FLAGS.kills, "must be at least 1")
    names = ("sections", "kills", "root_seed")
    folder = RunFolder(FLAGS.out, {"experiment": "soak", **{name: FLAGS[name].value for name in names}})
    found: dict[str, list[Row]] = {}
    for name in FLAGS.sections:
        work = (folder.path / "work" / name).absolute()
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        found[name] = []
        for row in SECTIONS[name](work):
            say(f"{name}: {row}")
            found[name].append(row)
            folder.write_json("soak.json", found)
            folder.write_manifest(status="running", command=launch.command(), **environment())
        shutil.rmtree(work)
    folder.write_manifest(status="complete", command=launch.command(), **environment())
    wrong = [row for each in found.values() for row in each if not row.get("same", True)]
    print(
        f"{sum(map(len, found.values()))} rows, {len(wrong)} that are not the same{': ' if wrong else ''}{wrong or ''}"
    )


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
