# SPDX-License-Identifier: Apache-2.0
"""jaxmyopia: claims about toy models of learning, settled over thousands of seeds."""

from jaxmyopia import measures
from jaxmyopia.answer import Answer
from jaxmyopia.api import load, register, run, settle
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.claims import Claim, Evidence, Judgement, along, claim, mean, not_applicable, paired, same, share
from jaxmyopia.claims.sequential import how_many
from jaxmyopia.elsewhere import curves
from jaxmyopia.engine.chunk_record import ChunkRecord
from jaxmyopia.measures import Derived, Measure
from jaxmyopia.notebook import accelerator
from jaxmyopia.one_file import main
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell, Study
from jaxmyopia.training import Training
from jaxmyopia.verify import verify

__version__ = "0.2.0"

__all__ = [
    "Answer",
    "ArgumentError",
    "Cell",
    "ChunkRecord",
    "Claim",
    "Derived",
    "EpochEnv",
    "Evidence",
    "Judgement",
    "LowRank",
    "Measure",
    "RunError",
    "Sketch",
    "Study",
    "Thresholds",
    "Training",
    "Trials",
    "accelerator",
    "along",
    "claim",
    "curves",
    "env_params",
    "how_many",
    "load",
    "main",
    "mean",
    "measures",
    "not_applicable",
    "paired",
    "register",
    "run",
    "same",
    "settle",
    "share",
    "verify",
]
