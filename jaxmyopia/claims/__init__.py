# SPDX-License-Identifier: Apache-2.0
"""Claims: sentences, the evidence for them, and the rules that judge it."""

from jaxmyopia.claims.claim import Claim, claim, judge_all
from jaxmyopia.claims.evidence import Quantity, mean, paired, same, share
from jaxmyopia.claims.verdicts import Evidence, Judgement

__all__ = ["Claim", "Evidence", "Judgement", "Quantity", "claim", "judge_all", "mean", "paired", "same", "share"]
