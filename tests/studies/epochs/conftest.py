# SPDX-License-Identifier: Apache-2.0
"""Small blocks, so that a few seeds make several of them."""

import pytest

from jaxmyopia.studies.epochs.study import Myopia


@pytest.fixture(autouse=True)
def blocks_of_64_seeds(monkeypatch):
    monkeypatch.setattr(Myopia, "block", property(lambda self: 64))
