# SPDX-License-Identifier: Apache-2.0
"""A process that compiles many programs lets them go before Linux kills it."""

import pathlib

import pytest

from jaxmyopia.engine import chunk, maps
from jaxmyopia.engine.program import Program
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

MAPS = pathlib.Path("/proc/self/maps")


@pytest.mark.skipif(not MAPS.exists(), reason="maps are counted on Linux alone")
def test_a_process_is_crowded_by_its_share_of_what_linux_grants():
    granted = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    held = len(MAPS.read_bytes().splitlines())
    assert maps.crowded(0.5 * held / granted) and not maps.crowded(2 * held / granted)


def test_where_maps_are_not_known_nothing_is_crowded(monkeypatch, tmp_path):
    monkeypatch.setattr(maps, "_HELD", tmp_path / "none")
    assert not maps.crowded(0.0)


@pytest.mark.parametrize(("crowded", "kept"), ((False, 3), (True, 1)))
def test_programs_are_kept_until_there_are_too_many_maps(monkeypatch, crowded, kept):
    monkeypatch.setattr(maps, "crowded", lambda: crowded)
    monkeypatch.setattr(Program, "compile", lambda self, params: self)
    chunk._compile.cache_clear()
    settings = (("learning_rate", (0.01,)), ("init_scale", (1.0,)))
    for n in (4, 5, 6):
        cell = Cell(study=LowRank(n=n, rank=1), sweep=settings, seeds=3, steps=20, records=8)
        assert chunk.compile_cell(cell) is chunk.compile_cell(cell)
    assert chunk._compile.cache_info().currsize == kept
    chunk._compile.cache_clear()  # what stands there is no compiled program
