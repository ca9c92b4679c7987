# SPDX-License-Identifier: Apache-2.0
"""Other load is measured beside every timing; a benchmark of a busy machine says so and is not published."""

import copy
import json
import os

import pytest

from experiments import publish
from experiments.benchmarks import load, report
from experiments.benchmarks.load import Load, judged
from jaxmyopia import launch

ENVIRONMENT = {
    "started": "2026-01-02T00:00:00Z", "machine": "x86_64, 2 cores", "devices": ["cpu:0", "cpu:1"],
    "versions": {"python": "3.11.7", "jax": "0.10.2"}, "status": "complete", "command": "python -m benchmark",
    "config": {"repeats": 3},
}  # fmt: skip


@pytest.mark.parametrize(("others", "share"), ((0, 0), (50, 0.25), (1000, 1)))
def test_the_share_of_others_is_what_the_machine_was_busy_beyond_us(monkeypatch, tmp_path, others, share):
    """In a second of two cores, of 200 ticks 100 are ours; the rest of what is busy is others'."""
    now, stat = {"time": 10.0, "own": 3.0}, tmp_path / "stat"
    write = lambda user, steal: stat.write_text(f"cpu  {user} 0 7 500 60 0 0 {steal} {user} 0\ncpu0 1 1 1 1\n")
    monkeypatch.setattr(load, "_STAT", stat)
    monkeypatch.setattr(load.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(load.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(load.time, "perf_counter", lambda: now["time"])
    monkeypatch.setattr(load, "own_seconds", lambda: now["own"])
    write(1000, 5)
    found = Load()
    for _ in range(2):  # it adds up
        with found.timed():
            now["time"], now["own"] = now["time"] + 1, now["own"] + 1
            before = int(stat.read_text().split()[1])
            write(before + 100 + others // 2, 5 + int(stat.read_text().split()[8]) - 5 + others - others // 2)
    assert found.share == pytest.approx(share)


def test_a_machine_without_proc_stat_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "_STAT", tmp_path / "missing")
    found = Load()
    with found.timed():
        pass
    assert found.share is None and load.shown(found.share) == "unknown"


@pytest.mark.skipif(not load._STAT.is_file(), reason="Linux alone tells")
def test_the_machine_was_busy_at_least_while_we_were():
    assert load.own_seconds() > 0 and 0 < load.machine_seconds() < 1e9 * os.cpu_count()


@pytest.mark.parametrize(
    ("shares", "quiet", "said"),
    (
        ([0.0, 0.05], True, "A quiet machine: other work took at most 5.0% of it."),
        ([0.01, 0.3, None], False, "other work took up to 30% of the machine, above 5% in 1 of 3 rows."),
        ([0.01, None], None, "is not known here"),
    ),
)
def test_a_benchmark_says_at_its_end_whether_the_machine_was_quiet(shares, quiet, said):
    found = judged({"whole": [{"other_load": shares[0]}], "cells": [{"other_load": share} for share in shares[1:]]})
    assert found["quiet"] is quiet and said in found["said"]


def rows(share: float | None) -> list[dict]:
    """Of section `whole`: ours and a peer that takes six times as long."""
    case = {"loss": "square", "optimizer": "sgd", "n": 100, "rank": 1, "seeds": 256, "steps": 1000, "records": 166}
    measured = {"took": [0.5, 0.25, 1.0], "compiling": 2.0, "other_load": share}
    return [case | measured | {"baseline": name, "seconds": s} for name, s in (("jaxmyopia", 0.5), ("jit(vmap)", 3.0))]


@pytest.mark.parametrize(("share", "code"), ((0.02, 0), (0.4, 2), (None, 2)))
def test_only_a_benchmark_of_a_quiet_machine_is_published(tmp_path, monkeypatch, capsys, share, code):
    run, page = tmp_path / "run", tmp_path / "pages" / "speed.md"
    for folder in (run, page.parent):
        folder.mkdir()
    sections = {"whole": rows(share)}
    (run / "benchmark.json").write_text(json.dumps({"sections": sections, **judged(sections)}))
    (run / "manifest.json").write_text(json.dumps(ENVIRONMENT))
    page.write_text("<!-- answer benchmark -->\n<!-- /answer benchmark -->\n")
    for name, value in (("RESULTS", tmp_path / "results"), ("PAGES", page.parent)):
        monkeypatch.setattr(publish, name, value)
    monkeypatch.setattr(publish, "FLAGS", copy.deepcopy(publish.FLAGS))
    launch.parse(publish.FLAGS, ["publish", f"--run={run}", "--name=benchmark"])
    assert launch.finish(publish.main, publish.FLAGS) == code
    said, text = capsys.readouterr().err, page.read_text()
    if code:
        assert (
            said.startswith("error: --run=")
            and said.count("\n") == 1
            and "must be a benchmark of a quiet machine" in said
        )
        assert ("others took up to 40%" if share else "is not known") in said
        assert not (tmp_path / "results").exists() and "|" not in text
    else:
        assert "2026-01-02, x86_64, 2 cores, 2 devices (cpu), python 3.11.7, jax 0.10.2; medians of 3." in text
        assert "| square loss, n = 100, r = 1, SGD | 0.5 | 3 | 6 | 2% |" in text


def test_tables_lead_with_whole_runs_and_keep_to_a_line():
    wide = [
        rows(0.1)[0] | {"baseline": name, "seconds": 0.123456} for name in ("jit(vmap) sharded", "torch.compile", "C")
    ]
    cells = [{**row, "speeds": [1.0], "speed": 1e6, "ratio": 1.0} for row in rows(0.1)]
    sections = {"cells": cells, "steps": rows(0.1)[:1], "records": rows(0.1)[:1], "whole": rows(0.1) + wide}
    long = {"loss": "cross_entropy", "optimizer": "adam", "rank": 10}
    found = report.tables({name: [row | long for row in rows] for name, rows in sections.items()})
    assert [table[0][0] for table in found] == [
        "seconds a whole run", "seconds of compiling", "whole runs by records", "whole runs by steps",
        "thousand seed-steps a second",
    ]  # fmt: skip
    assert max(len(f"| {' | '.join(line)} |") for table in found for line in table) < 120
