# SPDX-License-Identifier: Apache-2.0
"""jaxmyopia: claims about toy models of learning, settled over thousands of seeds."""

from jaxmyopia.api import Results, run
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank

__version__ = "0.2.0"  # as in setup.cfg; a test holds them together
__all__ = ["LowRank", "Results", "Sketch", "Thresholds", "Trials", "run"]
