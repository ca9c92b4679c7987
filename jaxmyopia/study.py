# SPDX-License-Identifier: Apache-2.0
"""The protocol between studies and the runner: a study is a few pure functions over S seeds."""

import dataclasses
import itertools
from typing import Protocol, TypeVar

import chex
import jax
import numpy as np

from jaxmyopia.checks import require

State = TypeVar("State")
Params = TypeVar("Params")
Record = TypeVar("Record")


class Study(Protocol[State, Params, Record]):
    """A frozen, hashable dataclass whose fields are what changes the traced program.

    What may differ by seed (rates, scales, cutoffs) goes into the params, whose leaves are `(S,)`. No seed may see
    another: what it gives depends on its key and its params alone. `str(study)` names it in a few words.
    """

    @property
    def block(self) -> int:
        """Seeds in one block: the fixed padded size S at which the study is traced."""

    def settings(self) -> dict[str, object]:
        """The static columns of the study's rows in the table."""

    def params(self, **settings: np.ndarray) -> Params:
        """Params of S seeds from columns `(S,)`; raises ValueError if a value is not allowed."""

    def init(self, keys: jax.Array, params: Params) -> State:
        """States at step 0 from keys `(S,)`, one a seed."""

    def step(self, state: State, params: Params) -> State:
        """One step of all S seeds."""

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps, a dataclass: leaves `(S, ...)`, or scalars that all seeds share."""

    def summarise(self, curves: Record) -> dict[str, chex.Array]:
        """One number a seed `(S,)` from curves `(T, S, ...)`; `diverged` among them."""

    def quantiles(self, curves: Record) -> dict[str, chex.Array]:
        """Curves `(T, S)` whose distribution over all seeds is kept at every record, from curves `(T, S, ...)`."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One compiled program and all that runs through it.

    `study`: what is traced. `sweep`: the dynamic settings and their values; every combination is run. `seeds`: how
    many seeds each combination gets, with identities 0, 1, ... `steps`: the budget T. `records`: about how many
    record points.
    """

    study: Study
    sweep: tuple[tuple[str, tuple[float, ...]], ...]
    seeds: int
    steps: int
    records: int = 200

    def __post_init__(self):
        for name in ("seeds", "steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        require(self.records >= 4, "records", self.records, "must be at least 4")
        for name, values in self.sweep:
            require(0 < len(set(values)) == len(values), name, values, "must be values without repeats, at least one")
        self.study.params(**self.columns(np.arange(len(self.combinations))))  # refuses what is not allowed

    @property
    def combinations(self) -> list[tuple[float, ...]]:
        """The values of the dynamic settings, one tuple a combination."""
        return list(itertools.product(*(values for _, values in self.sweep)))

    @property
    def trials(self) -> int:
        """Seeds times combinations."""
        return self.seeds * len(self.combinations)

    @property
    def blocks(self) -> int:
        """The number of blocks that the trials fill; the last may be padded."""
        return -(-self.trials // self.study.block)

    def seed_of(self, trials: np.ndarray) -> np.ndarray:
        """The seed of each trial `(S,)`: the combinations of a seed lie side by side."""
        return trials // len(self.combinations)

    def columns(self, trials: np.ndarray) -> dict[str, np.ndarray]:
        """The dynamic settings of trials `(S,)`: columns `(S,)`."""
        values = np.asarray(self.combinations, float)[trials % len(self.combinations)]
        return {name: values[:, i] for i, (name, _) in enumerate(self.sweep)}

    def record_steps(self) -> np.ndarray:
        """The steps at which the study is observed: `(T,)` int32, from 0 to `steps`, half log-spaced, half even.

        Log-spaced points resolve a start of any speed; the even ones what happens late.
        """
        half = self.records // 2
        early, even = np.geomspace(1, self.steps, half), np.linspace(0, self.steps, half)
        return np.unique(np.round(np.concatenate([early, even])).astype(np.int32))
