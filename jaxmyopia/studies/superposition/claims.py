# SPDX-License-Identifier: Apache-2.0
"""The claims about superposition, and those about monosemantic neurons."""

from jaxmyopia.claims import Claim
from jaxmyopia.studies.superposition import capacity_claims, geometry_claims, neuron_claims, shape_claims


def make_claims() -> list[Claim]:
    """All of them; a run that lacks a part does not judge its claims."""
    return [
        *capacity_claims.CLAIMS, *shape_claims.CLAIMS, *geometry_claims.CLAIMS, *neuron_claims.make_claims(),
    ]  # fmt: skip
