# SPDX-License-Identifier: Apache-2.0
"""Claims: sentences, the evidence for them, and the rules that judge it."""

from jaxmyopia.claims.along import along
from jaxmyopia.claims.claim import Claim, claim, judge_all
from jaxmyopia.claims.evidence import mean, not_applicable, paired, same, share
from jaxmyopia.claims.judged import Evidence, Judgement
from jaxmyopia.claims.quantity import Quantity

__all__ = [
    "Claim", "Evidence", "Judgement", "Quantity", "along", "claim", "judge_all", "mean", "not_applicable", "paired",
    "same", "share",
]  # fmt: skip
