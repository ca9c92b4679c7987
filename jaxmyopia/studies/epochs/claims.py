# SPDX-License-Identifier: Apache-2.0
"""The eight claims about myopia by epoch and shutdown, in the order of their page."""

from jaxmyopia.claims import Claim
from jaxmyopia.studies.epochs.arm_claims import index_needed, runs_then_stops
from jaxmyopia.studies.epochs.leak_claims import blocks_leaks, selection_undoes_it, shortening_is_all
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.sight_claims import stop_shows_myopia, uncertainty_shortens_sight
from jaxmyopia.studies.epochs.transfer_claims import survives_transfer

_MAKERS = (
    runs_then_stops, index_needed, shortening_is_all, blocks_leaks, stop_shows_myopia, uncertainty_shortens_sight,
    survives_transfer, selection_undoes_it,
)  # fmt: skip


def make_claims(thresholds: Thresholds) -> list[Claim]:
    """The eight claims, at the thresholds of a run."""
    return [make(thresholds) for make in _MAKERS]
