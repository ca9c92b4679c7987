# SPDX-License-Identifier: Apache-2.0
"""Progress, on a clock of its own: time left, compilation, width; and the count of operations behind it."""

import io

import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.engine.cost import Work, work_of
from jaxmyopia.engine.display import Bar, Log, display, duration
from jaxmyopia.engine.progress import Progress


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def stretches(progress, clock, seconds_a_step, *, trials, steps, records, until, seconds_a_record=0.0):
    """Runs a cell in stretches of about a second, up to a time."""
    size = max(int(1 / (seconds_a_step * trials)), 1)
    clock.now += OVERHEAD
    progress.tick(0, 0, True)
    for start in range(0, steps, size):
        if clock.now > until:
            return
        mine, kept = min(size, steps - start) * trials, records * trials * min(size, steps - start) // steps
        clock.now += mine * seconds_a_step + kept * seconds_a_record
        progress.tick(mine, kept, True)
    progress.finish(trials)


OVERHEAD = 1.5  # seconds before a chunk's first step
# Seconds a seed-step of eight cells, by operations off by up to twice: the last two are most of the run.
PACE = [2e-10 * factor for factor in (1.0, 1.6, 0.7, 1.4, 0.6, 1.0, 0.8, 0.9)]
OPERATIONS = [2e3, 1e4, 2e4, 2e4, 1e5, 3e5, 2e6, 3e6]


@pytest.mark.parametrize("compile_seconds", [0.1, 2.0])
def test_after_ten_seconds_the_time_left_is_right_within_a_factor_of_two(compile_seconds):
    clock = Clock()
    cells = {number: (f"cell {number}", 100, 1000, 100, 1, number) for number in range(8)}
    progress = Progress(cells, clock=clock)
    progress.compiling(0)
    for number, operations in enumerate(OPERATIONS):
        progress.weigh(number, Work(operations, 5 * operations))
    truth = sum(100 * (1000 + 500) * pace * operations for pace, operations in zip(PACE, OPERATIONS, strict=True))
    clock.now = compile_seconds
    for number, (pace, operations) in enumerate(zip(PACE, OPERATIONS, strict=True)):
        progress.compiled(number, compile_seconds)
        progress.running(number)
        step = pace * operations
        stretches(progress, clock, step, trials=100, steps=1000, records=100, until=10, seconds_a_record=5 * step)
        if clock.now > 10:
            break
    left = compile_seconds + truth + 8 * OVERHEAD - clock.now
    assert left > 30 and left / 2 <= progress.left() <= 2 * left


def test_a_first_cell_that_is_all_overhead_does_not_make_the_rest_look_a_hundred_times_as_long():
    clock = Clock()
    progress = Progress({0: ("a", 40, 1000, 10, 1, 0), 1: ("b", 40, 1000, 10, 1, 0)}, clock=clock)
    progress.weigh(0, Work(300.0, 300.0))
    progress.weigh(1, Work(3e5, 3e5))
    progress.compiled(0, 0.1)
    progress.running(0)
    progress.tick(0, 0)
    clock.now = 0.4  # 30 ns an operation, where 0.2 are usual: the other takes 2.4 s
    progress.tick(40_000, 400)
    progress.finish(40)
    assert 1.2 < progress.left() < 5 * 2.4


def test_what_stands_in_a_checkpoint_teaches_nothing_and_waiting_for_a_program_is_no_work():
    clock = Clock()
    progress = Progress({0: ("a", 10, 1000, 10, 1, 0), 1: ("b", 10, 1000, 10, 1, 1)}, clock=clock)
    progress.compiling(0)
    clock.now = 60.0
    assert progress.left() is None
    progress.compiled(0, 60.0)
    progress.running(0)
    progress.tick(5000, 50, False)
    progress.tick(0, 0, True)
    assert progress.left() is None
    clock.now += 5.0
    progress.tick(2500, 25, True)
    assert progress.left() == pytest.approx(55.0)  # of compiling the other: the work is 5 s and 20 s
    clock.now += 5.0
    progress.tick(2500, 25, True)
    progress.finish(10)
    progress.compiling(1)
    clock.now += 50.0
    progress.compiled(1, 60.0)
    progress.running(1)
    assert progress.left() == pytest.approx(20.0)


def test_programs_that_are_there_are_not_waited_for():
    clock, shown, cells = Clock(), io.StringIO(), {0: ("a", 10, 10, 1, 1, 0), 1: ("b", 10, 10, 1, 1, 1)}
    with Progress(cells, clock=clock, display=Bar(shown, clock), name="look 2") as progress:
        progress.compiled(0)
        progress.compiled(1)
        progress.compiling(0)
        progress.compiled(0, 60.0)  # what they took in an earlier round
        progress.running(0)
        clock.now = 1.0
        progress.tick(100, 10, True)
        progress.finish(10)
        assert progress.left() == pytest.approx(2.0, rel=0.5)
    assert "compiling" not in shown.getvalue() and "look 2: 10/20 seeds" in shown.getvalue()


def test_of_compilation_alone_the_time_left_is_right_within_a_factor_of_two_from_half_of_the_first_program_on():
    clock, shown = Clock(), io.StringIO()
    cells = {number: ("a", 10, 10, 1, 1, number // 4) for number in range(40)}  # four cells share a program
    with Progress(cells, clock=clock, display=Log(shown, clock)) as progress:
        progress.compiling(0)
        for number in range(10):
            for _ in range(20):
                clock.now += 1.0
                truth = 200 - clock.now
                if 10 <= clock.now < 190:
                    assert truth / 2 <= progress._compile_left() <= 2 * truth
                if clock.now == 60.0:
                    progress.waiting(4 * number)
            progress.compiled(4 * number, 20.0)
        assert progress._compile_left() == 0
    assert "over 2:20 min left, compiling 3 of 10: a" in shown.getvalue()


def a_long_run(shown, clock):
    """Compiles for 150 seconds, then runs half an hour of an hour."""
    name = "gaussian rank 100, cross_entropy, rmsprop"
    with Progress({0: (name, 123_456, 1000, 10, 1, 0)}, clock=clock, display=shown) as progress:
        progress.compiling(0)
        for _ in range(150):
            clock.now += 1.0
            progress.waiting(0)
        progress.compiled(0, 150.0)
        progress.running(0)
        progress.tick(0, 0, True)
        for _ in range(30 * 60):
            clock.now += 1.0
            progress.tick(123_456 * 500 // 1800, 123_456 * 5 // 1800, True)
    return name


def test_at_eighty_columns_it_is_a_bar_and_says_what_is_being_compiled():
    clock, shown = Clock(), io.StringIO()
    name = a_long_run(Bar(shown, clock, columns=80), clock)
    lines = [line.rstrip("\n") for line in shown.getvalue().split("\r") if line.strip()]
    assert max(map(len, lines)) <= 80 and min(line.rindex("|") - line.index("|") for line in lines[1:]) >= 24
    assert any(f"over 30 s left, compiling 1 of 1: {name}"[:48] in line for line in lines)
    assert any(" 25%|" in line and "44:45 min left, 0/123,456 seeds" in line for line in lines)


def test_in_a_log_it_is_a_line_at_the_start_one_a_minute_and_one_at_the_end():
    clock, shown = Clock(), io.StringIO()
    name = a_long_run(Log(shown, clock), clock)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 1 + (150 + 30 * 60) // 60 + 1 and "\r" not in shown.getvalue() and max(map(len, lines)) <= 80
    assert lines[0] == f"  0 % after 0 s: compiling 1 of 1: {name}"
    assert lines[1].startswith("  0 % after 1:00 min: over 30 s left, compiling 1 of 1: ")
    assert lines[17] == " 24 % after 17:00 min: 45:31 min left, 0/123,456 seeds"
    assert lines[-1] == " 50 % after 32:30 min: 0/123,456 seeds"


class Shown(io.StringIO):
    """A file that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_a_terminal_has_a_bar_unless_it_is_dumb_and_a_file_has_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display(Shown(True)), Bar) and isinstance(display(Shown(False)), Log)
    notebook = type("OutStream", (Shown,), {"__module__": "ipykernel.iostream"})
    assert isinstance(display(notebook(False)), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display(Shown(True)), Log)


class Closed(io.StringIO):
    """A file that nobody reads any more."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("kind", [Bar, Log])
def test_progress_that_nobody_can_read_stops_nothing(kind):
    with Progress({0: ("a", 1, 1, 1, 1, 0)}, clock=Clock(), display=kind(Closed(), Clock())) as progress:
        progress.compiling(0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1 s"), (59, "59 s"), (83, "1:23 min"), (239.7, "4:00 min"), (9000, "2.5 h"), (4e5, "4.6 days")],
)
def test_durations_are_read_at_a_glance(seconds, shown):
    assert duration(seconds) == shown


def test_operations_of_a_product_of_matrices_are_counted():
    (cell,) = jm.LowRank(n=64, rank=32).cells(seeds=1, steps=4, learning_rate=0.1, init_scale=1.0)
    work = work_of(cell)
    # The gradient of the square loss by grams: six products of (64, 32) with (32, 32), or of their transposes.
    assert work.step == pytest.approx(6 * 64 * 32 * 32, rel=0.5)
    assert np.isfinite(work.record) and work.record > 1
