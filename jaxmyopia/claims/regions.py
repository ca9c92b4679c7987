# SPDX-License-Identifier: Apache-2.0
"""Where a claim holds: provisional."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule in words, and how many conditions it misplaces."""

    text: str
    misplaced: int


def separate(conditions: Sequence[Mapping[str, float | str]], holds: Sequence[bool]) -> Rule | None:
    """The simplest rule that separates."""
    del conditions, holds
    return None


def headline(verdicts: Sequence[str], conditions: Sequence[Mapping[str, float | str]]) -> str:
    """What was found, in a sentence."""
    del conditions
    return f"holds in {verdicts.count('supported')} of {len(verdicts)} conditions"
