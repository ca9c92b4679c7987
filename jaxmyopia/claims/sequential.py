# SPDX-License-Identifier: Apache-2.0
"""Whether claims are decided by the seeds that there are, of a run that adds seeds until they are."""

from collections.abc import Sequence

from jaxmyopia.claims.claim import Claim, judge_all
from jaxmyopia.stats.table import Trials


def decided(claims: Sequence[Claim], trials: Trials) -> bool:
    """Whether every piece of every claim is decided; what cannot be judged on these cells waits for no seeds.

    Args:
      claims: made with `@jm.claim`.
      trials: the table so far.

    Returns:
      False if more seeds may decide a piece.
    """
    return all(piece.verdict != "inconclusive" for each in judge_all(claims, trials) for piece in each.evidence)
