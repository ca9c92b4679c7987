# SPDX-License-Identifier: Apache-2.0
"""What the figures of shutdown neutrality show."""

import numpy as np
import pytest

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.neutrality import figures
from jaxmyopia.studies.neutrality.model import CoinGrid
from jaxmyopia.studies.neutrality.study import Neutrality
from jaxmyopia.studies.neutrality.sweep import REWARDS

SEEDS = 12


def test_the_map_shows_every_coin_the_button_and_both_routes():
    axes = figures.draw_grid(CoinGrid()).axes[0]
    texts = {(text.get_text(), text.get_position()) for text in axes.texts if text.get_text()}
    assert texts == {("start", (0, 0)), ("B", (0, 2)), ("1", (3, 0)), ("2", (2, 2)), ("3", (3, 2))}
    assert [len(line.get_xdata()) for line in axes.lines] == [5, 9]


def test_the_probability_of_pressing_is_drawn_with_what_theory_expects():
    parts = []
    for repeat_discount, per_length in REWARDS.values():
        numbers = {"repeat_discount": repeat_discount, "per_length": per_length, "usefulness": 0.9, "neutrality": 0.5}
        parts.append(numbers | {"study": "neutrality", "optimizer": "sgd", "diverged": False})
    columns = {name: np.repeat([part[name] for part in parts], SEEDS) for name in parts[0]}
    columns |= {"seed": np.tile(np.arange(SEEDS), len(parts)), "pressed": np.linspace(0, 1, SEEDS * len(parts))}
    figure = figures.neutrality_against_usefulness(Trials(columns), Neutrality())
    scatter, pressing = figure.axes
    assert len(scatter.collections) == len(REWARDS)
    verticals = [line.get_xdata()[0] for line in pressing.lines if line.get_linestyle() == ":"]
    assert verticals == pytest.approx([0.5, 0.656], abs=1e-3)
