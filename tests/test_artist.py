# SPDX-License-Identifier: Apache-2.0
"""Figures by another process are those that this one draws, to the byte, whatever becomes of that process."""

import os
import signal

import numpy as np
import pytest

from jaxmyopia import artist
from jaxmyopia.artist import Artist
from jaxmyopia.report.figures import COLOURS, panels
from jaxmyopia.report.svg import house_style, svg


def figure(power: float = 1.0, title: str = "a title"):
    with house_style():
        made, axes = panels(1, 1)
        axes[0, 0].plot(np.arange(1, 9), np.arange(1, 9) ** power, color=COLOURS[0], label="power")
        axes[0, 0].set(xscale="log", ylabel="y", title=title)
        made.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center")
    return made


@pytest.fixture
def helped(monkeypatch):
    """An artist that has help, on however few cores."""
    monkeypatch.setattr(artist, "_LEAST_CORES", 1)
    with Artist() as found:
        yield found


def test_another_process_draws_the_same_and_hears_no_interrupt(helped):
    asked = []
    ask, process = helped._ask, helped._process
    helped._ask = lambda packed: asked.append(ask(packed)) or asked[-1]
    expected = {str(power): svg(figure(power)) for power in (1, 2, 3)}
    assert helped.draw({"1": figure(1), "2": lambda: figure(2), "3": lambda: figure(3)}) == expected
    os.kill(process.pid, signal.SIGINT)
    assert helped.draw({"1": figure(1)}) == {"1": expected["1"]}
    assert None not in asked and asked[0] == asked[-1] == expected["1"]  # so that it drew, and went on
    process.stdin.close()  # as when this process dies
    assert process.wait(timeout=20) == 0


def test_what_it_cannot_draw_is_drawn_or_raised_here(helped):
    local = figure()
    local.axes[0].xaxis.set_major_formatter(lambda value, place: f"{value:g}!")  # cannot be sent
    assert "text" in helped.draw({"local": local})["local"]
    with pytest.raises(ValueError, match="Expected"):
        helped.draw({"wrong": figure(title=r"$\\frac$")})
    assert helped.draw({"next": figure()}) == {"next": svg(figure())}
    helped.__exit__(None, None, None)
    assert helped._process.returncode is not None


def test_without_a_second_core_or_a_process_there_is_one(monkeypatch):
    for name, value in (("_LEAST_CORES", 10**6), ("_SCRIPT", "nowhere.py")):
        with monkeypatch.context() as patched, Artist() as alone:
            patched.setattr(artist, name, value)
            assert alone.draw({"a": figure()}) == {"a": svg(figure())}
