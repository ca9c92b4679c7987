# SPDX-License-Identifier: Apache-2.0
"""The nine claims about low-rank learning. A claim that something shows is judged against half of the seeds: it stands
if most do. Each is judged at every scale of the start and budget; rates are chosen on seeds that are not judged."""

from collections.abc import Sequence

from jaxmyopia.claims import Claim
from jaxmyopia.studies.lowrank.bump_claims import bumps_common, more_bumps
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds
from jaxmyopia.studies.lowrank.minimum_claims import rank10_stuck, weight_decay
from jaxmyopia.studies.lowrank.plateau_claims import adamw_artefact, full_rank_plateau, full_rank_same, two_plateaus


def make_claims(thresholds: Thresholds, ranks: Sequence[int]) -> list[Claim]:
    """The claims about low-rank learning.

    Args:
      thresholds: where counting starts.
      ranks: that were run, among which bumps are looked for.

    Returns:
      The claims in the order of reports.
    """
    several = sorted(rank for rank in ranks if 2 <= rank <= ALIGNMENT_RANK)
    several_words = "There are more bumps with Adam than with SGD (rank 2 and above)."
    at_rank1 = "Rank 1 with Adam was never checked: are there more bumps than with SGD there too?"
    return [
        two_plateaus(thresholds),
        rank10_stuck(thresholds),
        full_rank_same(thresholds),
        more_bumps(thresholds, "adam-more-bumps", several_words, several),
        bumps_common(thresholds),
        more_bumps(thresholds, "adam-rank1", at_rank1, [1]),
        full_rank_plateau(thresholds),
        weight_decay(thresholds),
        adamw_artefact(thresholds),
    ]
