# SPDX-License-Identifier: Apache-2.0
"""The lock and its heartbeats: who keeps whom out of a folder, and who sees whom go."""

import collections
import contextlib
import errno
import json
import multiprocessing
import os
import signal
import threading
import traceback

import pytest

from jaxmyopia.checks import RunError
from jaxmyopia.engine import lock as lock
from jaxmyopia.engine.lock import Lock

# What is forked does no more than enter and leave a folder; JAX is not called there.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork")


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(lock, "_BEAT", 0.05)


def sign(path, **changes):
    """Writes a heartbeat of another machine's process."""
    found = {"kernel": "elsewhere", "who": "process 7 on elsewhere", "owner": "7", "processes": 1}
    path.write_text(json.dumps({**found, "state": "running", "beat": 1, **changes}))


def heartbeat(folder, number=0):
    return json.loads((folder / f".alive-{number}.json").read_text())


def left(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".lock-"))


class Child:
    """A forked process that enters a folder and says so by a byte, then waits to be let go, or is killed."""

    def __init__(self, folder):
        self._said, say = os.pipe()
        wait, self._let = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(say), os.close(wait)
            return
        with contextlib.suppress(BaseException):  # nothing of the test goes on here
            os.close(self._said), os.close(self._let)
            try:
                with Lock(folder):
                    os.write(say, b"+")
                    os.read(wait, 1)
            except RunError as error:
                os.write(say, b"-" if "\n" not in str(error) else b"!")
            except BaseException:
                traceback.print_exc()
        os._exit(0)

    def entered(self):
        """`+` if it has, `-` if it was refused in one line; waits for either."""
        return os.read(self._said, 1).decode()

    def end(self, how=signal.SIGKILL):
        if how == signal.SIGKILL:
            os.kill(self.pid, how)
        else:
            os.write(self._let, b"x")
        os.waitpid(self.pid, 0)
        os.close(self._said), os.close(self._let)


def test_a_second_run_is_kept_out_while_the_first_lives(tmp_path):
    with Lock(tmp_path):
        with pytest.raises(RunError, match=rf"in use by another run \(process {os.getpid()} on [^\n]*\); wait"):
            Lock(tmp_path).__enter__()
        with pytest.raises(RunError, match="in use by another run"):  # as process 0 of three, too
            Lock(tmp_path, processes=3).__enter__()
        with pytest.raises(RunError, match="in use by another run"):
            Lock(tmp_path, process=2, processes=3).__enter__()
    with Lock(tmp_path):
        pass
    assert not left(tmp_path)


def test_a_killed_process_leaves_a_lock_that_is_free_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_changes", lambda path: pytest.fail("nobody looks on for seconds"))
    child = Child(tmp_path)
    assert child.entered() == "+"
    with pytest.raises(RunError, match="in use"):
        Lock(tmp_path).__enter__()
    child.end()
    with Lock(tmp_path):
        assert heartbeat(tmp_path)["who"].startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize("what", ("number", "host", "both", "nothing that can be read", "no heartbeat"))
def test_no_number_and_no_name_of_a_host_decides_who_lives(tmp_path, monkeypatch, what):
    """As from another container of the same kernel, where neither means anything; alive at first, and then dead."""
    child = Child(tmp_path)
    assert child.entered() == "+"
    path, changes = tmp_path / ".alive-0.json", {"number": "process 1 on here", "host": "process 7 on x", "both": "?"}
    if what in changes:
        path.write_text(json.dumps(heartbeat(tmp_path) | {"who": changes[what]}))
    elif what == "no heartbeat":
        path.unlink()
    else:
        path.write_text("{")
    monkeypatch.setattr(lock, "_changes", lambda path: False)
    with pytest.raises(RunError, match="in use by another run"):
        Lock(tmp_path).__enter__()
    child.end()
    with Lock(tmp_path):
        pass


def race(folder, starters, rounds):
    """Forked starters that try to enter at one moment, round after round; who does is then as if killed: the kernel
    gives its lock back, its heartbeat stays. For each round, who entered."""
    context = multiprocessing.get_context("fork")
    barrier, (receive, send) = context.Barrier(starters), context.Pipe(duplex=False)

    def start(number):
        for turn in range(rounds):
            barrier.wait()
            mine = Lock(folder)
            with contextlib.suppress(RunError):
                mine.__enter__()
                send.send((turn, number))
            barrier.wait()
            mine._over.set()
            if mine._thread.ident:
                mine._thread.join()
                mine._kernel.close()

    children = [context.Process(target=start, args=(number,)) for number in range(starters)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    send.close()
    entered = collections.defaultdict(list)
    with contextlib.suppress(EOFError):
        while True:
            turn, number = receive.recv()
            entered[turn].append(number)
    return [entered[turn] for turn in range(rounds)]


def test_of_many_starters_on_one_stale_lock_exactly_one_enters(tmp_path):
    entered = race(tmp_path, starters=4, rounds=300)
    assert [who for who in entered if len(who) != 1] == []
    assert left(tmp_path) == [".alive-0.json"]


def no_locks(*args):
    raise OSError(errno.ENOTSUP, "Operation not supported")


def test_where_the_kernel_has_no_locks_heartbeats_do(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    entered = race(tmp_path, starters=3, rounds=5)
    assert [who for who in entered if len(who) != 1] == []
    child = Child(tmp_path)
    assert child.entered() == "+" and heartbeat(tmp_path)["kernel"] == ""
    with pytest.raises(RunError, match="in use by another run"):
        Lock(tmp_path).__enter__()
    child.end(how=None)
    assert not left(tmp_path)


def test_a_process_whose_folder_was_deleted_or_taken_over_is_told(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with Lock(folder) as first:
        first.check_folder()
        sign(folder / ".alive-0.json", owner="another's, by a file system whose locks are each machine's own")
        first._thread.join(0.2)
        with pytest.raises(RunError, match="run is another run's now; this run has stopped"):
            first.check_folder()
    assert heartbeat(folder)["owner"] != first._sign["owner"]  # it stays the other's
    with Lock(tmp_path / "run", process=1, processes=2) as first:
        (tmp_path / "run").rename(tmp_path / "away")
        with pytest.raises(RunError, match="run has vanished; this run has stopped"):
            first.check_folder()
        folder.mkdir()
        with Lock(folder), pytest.raises(RunError, match="is another run's now"):
            first.check_folder()
    assert left(folder) == []


def test_a_folder_that_cannot_be_locked_is_said(tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"nowhere could not be locked \(No such file or directory\)"):
        Lock(tmp_path / "nowhere").__enter__()


def test_a_heartbeat_that_is_none_is_dead_once_it_does_not_change(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_BEAT", 0.001)
    for content in (b"", b"{", b"[]", b"null", b"{}", b"7", b"\xff", b'{"state": []}', b"[" * 9999):
        for number in (0, 5, "x"):
            (tmp_path / f".alive-{number}.json").write_bytes(content)
        with Lock(tmp_path) as first:
            first.check_peers()
        with Lock(tmp_path, process=0, processes=7) as first:
            (tmp_path / ".alive-5.json").write_bytes(content)
            first._looked = -1
            first.check_peers()
            assert not first.peers_finished()


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
        with pytest.raises(RunError, match=r"\(process 7 on elsewhere\)"):
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
    assert not left(tmp_path)


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
