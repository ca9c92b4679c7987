# SPDX-License-Identifier: Apache-2.0
"""The small run that faults are tried on, in processes forked from one that has imported all and started nothing.

Two cells, two chunks each, checkpoints at every record, a claim, a figure and the page: half a second once it is
compiled. It is run as a user runs it, by flags.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import shutil
import socket
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import jaxmyopia as jm
from jaxmyopia import artist
from jaxmyopia.cli import Binary
from jaxmyopia.commands import MERGE
from jaxmyopia.engine import chunk, lock
from jaxmyopia.engine.manifest import read_manifest
from jaxmyopia.engine.mesh import use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.processes import meet
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.report.figures import Caption
from jaxmyopia.report.page import Report

for _name in ("pandas", "scipy.stats", "jaxmyopia.engine.in_flight"):
    with contextlib.suppress(ImportError):  # what a run imports when it needs it is here before it is forked
        importlib.import_module(_name)

_LEFT = {
    ".lock-0",
    ".lock-1",
    ".lock-entry",
    "claims.json",
    "curves",
    "figures",
    "manifest.json",
    "report.html",
    "seeds",
}


@dataclasses.dataclass(frozen=True)
class Quadratic(jm.Training):
    """Steps of Adam on a quadratic with a random start."""

    n: int = 4

    @property
    def block(self) -> int:
        """Few seeds, so that few make several blocks."""
        return 4

    def init(self, key: jax.Array, *, init_scale: jax.Array) -> tuple[jax.Array, tuple]:
        """A random start `(n,)`."""
        return init_scale * jax.random.normal(key, (self.n,)), ()

    def loss(self, weights: jax.Array, data: tuple) -> jax.Array:
        """Half the squared length."""
        del data
        return jnp.square(weights).sum() / 2


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Flags of the run."""

    seeds: int = flag(8, "Seeds in every cell.")


@jm.claim("Most losses fall.")
def _falls(trials: jm.Trials) -> jm.Evidence:
    return jm.share(trials, "diverged", lambda diverged: diverged < 0.5).above(0.5)


def _cells(sweep: Sweep) -> list[jm.Cell]:
    grid = {"steps": 6, "records": 4, "learning_rate": 0.1, "init_scale": (0.1, 1.0)}
    return [cell for n in (3, 4) for cell in Quadratic(n).cells(seeds=sweep.seeds, **grid)]


def _report(answer: jm.Answer, sweep: Sweep) -> Report:
    """A page with a figure that is drawn at once."""
    del answer, sweep
    return Report("small", {Caption("blank", "Nothing.", "Nothing to see."): Figure(figsize=(1, 1))})


RUN = Binary(
    Experiment("small", "A small run.", {"default": Sweep()}, _cells, claims=lambda sweep: [_falls], report=_report)
)
FLAGS = ("--checkpoint_secs=0.000001",)


def small(beat: float = 5.0) -> None:
    """Makes chunks of two blocks, and a pause at every record; in a forked process alone."""
    chunk._CHUNK_BYTES, chunk._FEWEST_BLOCKS, chunk._STRETCH_SECONDS = {"cpu": 0}, 2, 1e-9
    lock._BEAT = beat
    artist._LEAST_CORES = 10**6


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(out: pathlib.Path, *flags: str, devices: int = 1, process: tuple[int, int] | None = None) -> int:
    """Runs it as from a shell, and gives the exit code.

    Args:
      out: the run's folder.
      *flags: beside those of every run.
      devices: how many.
      process: its number among two and the port of their coordinator, if it is one of two processes.
    """
    use_cpu_devices(devices)
    if process:
        meet(f"127.0.0.1:{process[1]}", 2, process[0])
    use_compilation_cache(str(out.parent.parent / "programs"))
    return RUN.exit_code([f"--out={out}", *FLAGS, *flags])


def merge(out: pathlib.Path, *shards: pathlib.Path) -> int:
    """Merges as from a shell, and gives the exit code."""
    try:
        MERGE.launch(["merge", f"--out={out}", *map(str, shards)])
    except SystemExit as stop:
        return int(stop.code or 0)


def fork(log: pathlib.Path, what: Callable[[], int]) -> int:
    """Does something in a forked process, whose words go to a file, and gives its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    with contextlib.suppress(BaseException):
        words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(words, 1)
        os.dup2(words, 2)
        try:
            code = what()
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def wait(pid: int) -> int:
    """The exit code of a forked process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def digest(out: pathlib.Path) -> str:
    """The checksum of the table, the curves and the claims of a finished run; or why it is none."""
    if read_manifest(out).get("status") != "complete":
        return f"status {read_manifest(out).get('status')}"
    strange = {path.name for path in out.iterdir()} - _LEFT
    strange |= {path.name for path in out.glob("*/*") if path.name.startswith(".") or path.suffix == ".json"}
    if strange or not (out / "report.html").is_file():
        return f"left behind: {sorted(strange)}"
    found = hashlib.sha256()
    for path in sorted(out.rglob("chunk-*")):
        found.update(str(path.relative_to(out)).encode() + path.read_bytes())
    claims = json.loads((out / "claims.json").read_text())
    told = [{name: value for name, value in claim.items() if name != "receipt"} for claim in claims]  # it names `out`
    found.update(json.dumps(told).encode())
    return found.hexdigest()


def clear(out: pathlib.Path) -> None:
    """Deletes what an attempt made."""
    for path in out.parent.glob(f"{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
