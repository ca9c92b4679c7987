# SPDX-License-Identifier: Apache-2.0
"""Small blocks and parts, so that a few seeds make several of each."""

import pytest

from jaxmyopia.lowrank import gradients
from jaxmyopia.runner import run as runner


@pytest.fixture(autouse=True)
def two_blocks_of_32_seeds_a_part(monkeypatch):
    monkeypatch.setattr(gradients, "_CPU_BLOCK", (0, 32, 32))
    monkeypatch.setattr(runner, "_PART_BYTES", {"cpu": 0})
    monkeypatch.setattr(runner, "_FEWEST_BLOCKS", 2)
