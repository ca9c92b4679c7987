# SPDX-License-Identifier: Apache-2.0
"""What the figures of the dilemma and of neutrality show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma import figures as companions
from jaxmyopia.studies.dilemma.sweep import REWARDS
from jaxmyopia.studies.neutrality.model import CoinGrid
from jaxmyopia.studies.neutrality.study import Neutrality

SEEDS = 12


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_cooperation_is_drawn_from_the_first_step_on_with_its_mean():
    steps, mean = np.array([0, 1, 10, 100]), np.arange(4) / 8 + 0.25
    curves = [companions.CooperationCurve(panel, "q_running", steps, mean, mean / 10) for panel in ("a", "b")]
    figure = companions.cooperation_over_time(curves, judged=50)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[1, 0.375], [10, 0.5], [100, 0.625]])


def test_the_distribution_of_runs_counts_every_seed():
    columns = {name: np.full(SEEDS, value) for name, value in (("population", 1), ("seen", 0.0), ("epsilon", 0.1))}
    columns |= {"study": np.full(SEEDS, "dilemma"), "learner": np.full(SEEDS, "q_all_past"), "seed": np.arange(SEEDS)}
    columns |= {"diverged": np.zeros(SEEDS, bool), "cooperation": np.repeat([0.02, 0.93], SEEDS // 2)}
    figure = companions.cooperation_of_runs(Trials(columns | {"cooperation_late": np.full(SEEDS, 0.02)}))
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars if bar.get_height()] == pytest.approx([0.5, 0.5])


def test_the_map_shows_every_coin_the_button_and_both_routes():
    axes = companions.draw_grid(CoinGrid()).axes[0]
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
    figure = companions.neutrality_against_usefulness(Trials(columns), Neutrality())
    scatter, pressing = figure.axes
    assert len(scatter.collections) == len(REWARDS)
    verticals = [line.get_xdata()[0] for line in pressing.lines if line.get_linestyle() == ":"]
    assert verticals == pytest.approx([0.5, 0.656], abs=1e-3)
