# SPDX-License-Identifier: Apache-2.0
"""Small blocks and chunks, so that a few seeds make several of each."""

import pytest

from jaxmyopia.engine import chunk as runner
from jaxmyopia.studies.lowrank import gradients


@pytest.fixture(autouse=True)
def two_blocks_of_32_seeds_a_chunk(monkeypatch):
    monkeypatch.setattr(gradients, "_CPU_BLOCK", (0, 32, 32))
    monkeypatch.setattr(runner, "_CHUNK_BYTES", {"cpu": 0})
    monkeypatch.setattr(runner, "_FEWEST_BLOCKS", 2)
