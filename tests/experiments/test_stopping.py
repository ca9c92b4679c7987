# SPDX-License-Identifier: Apache-2.0
"""The binary as a process among signals and other processes: stopped, killed, resumed, always the same bytes."""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import pytest

ROOT = pathlib.Path(__file__).parents[2]
WHOLE = ["claims.json", "curves", "manifest.json", "report.html", "seeds"]


def start(out: pathlib.Path, *more: str, binary: str = "two_cells") -> subprocess.Popen:
    settings = "--checkpoint_secs=0.2", "--cpu_devices=2", f"--compilation_cache={jax.config.jax_compilation_cache_dir}"
    command = [sys.executable, "-m", f"tests.experiments.{binary}", f"--out={out}", *settings, *more]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> str:
    """What it said, once it has ended."""
    _, said = process.communicate(timeout=240)
    assert "Traceback" not in said
    return said


def wait_for(process: subprocess.Popen, out: pathlib.Path, pattern: str) -> None:
    while not list(out.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def chunks(out: pathlib.Path) -> dict[str, bytes]:
    assert json.loads((out / "manifest.json").read_text())["status"] == "complete"
    there = {path.name for path in out.iterdir() if not path.name.startswith(".lock-")}
    assert sorted(there - {"figures"}) == WHOLE  # figures where something was judged
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("chunk-*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    end(start(out))
    return chunks(out)


@pytest.mark.parametrize("signum", (signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, whole, signum):
    out = tmp_path / "run"
    process = start(out)
    wait_for(process, out, "checkpoints/0/*[0-9]")
    process.send_signal(signum)
    said = end(process)
    status = json.loads((out / "manifest.json").read_text())["status"]
    if signum == signal.SIGKILL:
        assert process.returncode == -signum and status == "running"
        assert (out / ".alive-0.json").exists()
    else:
        assert process.returncode == 128 + signum and status == "interrupted"
        what, how = said.splitlines()[-2:]
        assert what.startswith("Interrupted" if signum == signal.SIGINT else "Terminated")
        assert how.startswith("python -m tests.experiments.two_cells ")
    written = list((out / "seeds").glob("*.parquet"))
    assert len(written) < len([name for name in whole if name.endswith(".parquet")])  # it stopped on its way
    again = start(out)
    end(again)
    assert again.returncode == 0 and chunks(out) == whole


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once_and_the_run_goes_on(tmp_path, whole):
    out = tmp_path / "run"
    process = start(out)
    wait_for(process, out, "checkpoints/0/*[0-9]")
    for _ in range(200):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        if process.poll() is not None:
            break
    said = end(process)
    assert process.returncode == 130
    assert "the same command resumes it" in said or "to resume: " in said
    again = start(out)
    end(again)
    assert again.returncode == 0 and chunks(out) == whole


def test_a_second_run_is_kept_out_of_a_folder_in_use(tmp_path):
    out = tmp_path / "run"
    process = start(out)
    wait_for(process, out, ".alive-0.json")
    second = start(out)
    said = end(second)
    assert second.returncode == 1
    assert said.splitlines()[-1].startswith(f"error: {out} is in use by another run (process {process.pid} on ")
    process.kill()
    end(process)


def start_two(out: pathlib.Path, *more: tuple[str, ...], **binary: str) -> list[subprocess.Popen]:
    """Two processes of one run; `more`: flags of each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--distributed", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    own = more or ((), ())
    return [start(out, *flags, f"--process_id={number}", *own[number], **binary) for number in range(2)]


@pytest.mark.slow
def test_two_processes_make_the_same_bytes_and_one_that_is_killed_stops_the_other(tmp_path, whole):
    out = tmp_path / "run"
    both = start_two(out)
    for number, process in enumerate(both):
        wait_for(process, out, f"checkpoints/{number}/*[0-9]")
    both[0].kill()  # the one that others had met through
    began = time.monotonic()
    said = end(both[1])
    assert time.monotonic() - began < 60
    if both[1].returncode:  # on a fast machine its chunk may have been done before the silence was noticed
        assert both[1].returncode == 1
        assert "error: process 0 of 2 has given no heartbeat" in said.splitlines()[-1]
    end(both[0])
    both = start_two(out)
    for process in both:
        end(process)
    assert [process.returncode for process in both] == [0, 0]
    assert chunks(out) == whole


@pytest.mark.slow
def test_two_processes_with_different_flags_write_nothing(tmp_path):
    out = tmp_path / "run"
    both = start_two(out, ("--root_seed=5",), ())
    said = [end(process).splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    wanted = "error: process 1 was given another run than process 0 (root_seed: 5, now 0): nothing is written"
    assert all(each.startswith(wanted) for each in said), said
    assert not out.exists()


IN_ROUNDS = ("--until_decided", "--cap=48")


def decision(out: pathlib.Path) -> dict[str, object]:
    return json.loads((out / "manifest.json").read_text())["rounds"]


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A run that is decided at the second look of four of the one cell that is asked."""
    out = tmp_path_factory.mktemp("decided") / "run"
    end(start(out, *IN_ROUNDS, binary="undecided"))
    found = {"of": 4, "run": 2, "seeds": [12, 24], "cells": [2, 1], "decided": True, "ended": True}
    assert decision(out) == found
    return chunks(out)


@pytest.mark.parametrize("place", ("seeds/chunk-000-00000.json", "seeds/chunk-001-00000.json", "seeds/*-00001.parquet"))
def test_a_run_in_rounds_that_was_killed_decides_at_the_same_seed(tmp_path, decided, place):
    out = tmp_path / "run"
    process = start(out, *IN_ROUNDS, binary="undecided")
    wait_for(process, out, place)
    process.kill()
    end(process)
    end(start(out, *IN_ROUNDS, binary="undecided"))
    assert chunks(out) == decided and decision(out)["seeds"] == [12, 24]


@pytest.mark.slow
def test_two_processes_decide_at_the_same_seed_also_after_one_was_killed(tmp_path, decided):
    out = tmp_path / "run"
    both = start_two(out, IN_ROUNDS, IN_ROUNDS, binary="undecided")
    wait_for(both[0], out, "seeds/chunk-*-00000.json")
    both[0].kill()  # the one that judges: the other waits for its word
    said = end(both[1])
    assert both[1].returncode == 1 and "error: process 0 of 2 has given no heartbeat" in said.splitlines()[-1]
    end(both[0])
    both = start_two(out, IN_ROUNDS, IN_ROUNDS, binary="undecided")
    for process in both:
        end(process)
    assert [process.returncode for process in both] == [0, 0]
    assert chunks(out) == decided and decision(out)["seeds"] == [12, 24]
