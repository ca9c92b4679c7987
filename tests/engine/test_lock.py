# SPDX-License-Identifier: Apache-2.0
"""Signs of life: who keeps whom out of a folder, and who sees whom go."""

import json
import os
import subprocess
import sys
import threading

import pytest

from jaxmyopia.checks import RunError
from jaxmyopia.engine import lock as lock
from jaxmyopia.engine.lock import Lock


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(lock, "_BEAT", 0.05)


def sign(path, **changes):
    """Writes a sign of another machine's process."""
    found = {"machine": "elsewhere/1", "pid": 7, "born": "1", "processes": 1, "state": "running", "beat": 1}
    path.write_text(json.dumps(found | changes))


def test_a_second_run_is_kept_out_while_the_first_lives(tmp_path):
    with Lock(tmp_path):
        with pytest.raises(RunError, match=rf"in use by another run \(process {os.getpid()} on [^\n]*\); wait"):
            Lock(tmp_path).__enter__()
        with pytest.raises(RunError, match="in use by another run"):  # as process 0 of three, too
            Lock(tmp_path, processes=3).__enter__()
    with Lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_sign_of_a_dead_process_is_recognised(tmp_path):
    code = "import os, sys; from jaxmyopia.engine.lock import Lock; import pathlib; "
    code += "Lock(pathlib.Path(sys.argv[1])).__enter__(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (left,) = tmp_path.iterdir()
    with Lock(tmp_path):
        pass
    # The number of a dead process that another one has now is told apart by when that was started.
    sign(left, machine=lock._machine(), pid=os.getpid(), born="1")
    with Lock(tmp_path):
        pass
    for half_written in ("", "{", "[]"[:1]):
        left.write_text(half_written)
        with Lock(tmp_path):
            pass


def test_on_another_machine_a_sign_lives_while_its_counter_moves(tmp_path):
    path, over = tmp_path / ".alive-0.json", threading.Event()
    sign(path)

    def beat():
        count = 1
        while not over.wait(0.02):
            count += 1
            sign(path, beat=count)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(RunError, match="process 7 on elsewhere"):
            Lock(tmp_path).__enter__()
    finally:
        over.set()
        thread.join()
    with Lock(tmp_path):  # it has stopped moving
        pass


def test_processes_of_one_run_live_side_by_side_and_see_each_other_end(tmp_path):
    first, second = (Lock(tmp_path, process=number, processes=2) for number in range(2))
    with first:
        with second:
            first.check_peers()
            second.check_peers()
            assert not first.peers_finished()
        first._looked = -1
        first.check_peers()  # finished is not gone
        assert first.peers_finished()
    assert not list(tmp_path.iterdir())


def test_a_process_that_stopped_or_fell_silent_is_named(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    first = Lock(tmp_path, process=0, processes=3)
    for number, ways in ((1, {}), (2, {})):
        sign(tmp_path / f".alive-{number}.json", processes=3, **ways)
    first.check_peers()
    now[0] += 5 * lock._BEAT
    sign(tmp_path / ".alive-1.json", processes=3, beat=2)
    first.check_peers()
    now[0] += 2 * lock._BEAT
    with pytest.raises(RunError, match=r"process 2 of 3 has given no heartbeat for 0 s; what is completed is kept"):
        first.check_peers()
    sign(tmp_path / ".alive-2.json", processes=3, beat=2)
    sign(tmp_path / ".alive-1.json", processes=3, state="stopped")
    now[0] += 2 * lock._BEAT
    with pytest.raises(RunError, match="process 1 of 3 has stopped"):
        first.check_peers()
