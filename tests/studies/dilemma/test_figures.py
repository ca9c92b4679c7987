# SPDX-License-Identifier: Apache-2.0
"""What the figures of the dilemma show."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma import figures

SEEDS = 12


def test_cooperation_is_drawn_from_the_first_step_on_with_its_mean():
    steps, mean = np.array([0, 1, 10, 100]), np.arange(4) / 8 + 0.25
    curves = [figures.CooperationCurve(panel, "q_running", steps, mean, mean / 10) for panel in ("a", "b")]
    figure = figures.cooperation_over_time(curves, judged=50)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[1, 0.375], [10, 0.5], [100, 0.625]])


def test_the_distribution_of_runs_counts_every_seed():
    columns = {name: np.full(SEEDS, value) for name, value in (("population", 1), ("seen", 0.0), ("epsilon", 0.1))}
    columns |= {"study": np.full(SEEDS, "dilemma"), "learner": np.full(SEEDS, "q_all_past"), "seed": np.arange(SEEDS)}
    columns |= {"diverged": np.zeros(SEEDS, bool), "cooperation": np.repeat([0.02, 0.93], SEEDS // 2)}
    figure = figures.cooperation_of_runs(Trials(columns | {"cooperation_late": np.full(SEEDS, 0.02)}))
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars if bar.get_height()] == pytest.approx([0.5, 0.5])
