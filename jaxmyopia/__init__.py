# SPDX-License-Identifier: Apache-2.0
"""jaxmyopia: claims about toy models of learning, settled over thousands of seeds."""

from jaxmyopia.lowrank.observables import Thresholds
from jaxmyopia.lowrank.study import LowRank
from jaxmyopia.runner.library import Results, run
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import SeedTable

__all__ = ["LowRank", "Results", "SeedTable", "Sketch", "Thresholds", "run"]
