# SPDX-License-Identifier: Apache-2.0
"""What is run of feedback: learners from comparisons at random and actively chosen, and principles, a cell each."""

import dataclasses

from jaxmyopia.checks import require
from jaxmyopia.flags import flag
from jaxmyopia.studies.feedback.measures import WHOLE
from jaxmyopia.studies.feedback.model import PRIORS
from jaxmyopia.studies.feedback.principle import Principle
from jaxmyopia.studies.feedback.study import MOST_ROUNDS, Comparisons
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

ISOTROPIC, SOFT, SUBSPACE = (float(PRIORS.index(name)) for name in ("isotropic", "soft", "subspace"))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run is; each field is a flag of the same name. Raises ArgumentError if one is not allowed."""

    seeds: int = flag(64, "Seeds in every cell: 0, 1, ...")
    dims: tuple[int, ...] = flag((16,), "Dimensions d of the values.")
    subspaces: tuple[int, ...] = flag((2, 8), "Dimensions k of the subspace that the model knows, at most d / 2.")
    sigmas: tuple[float, ...] = flag((0.1, 0.3, 1.0), "Lengths of the values outside the subspace over that inside.")
    angles: tuple[float, ...] = flag((0.0, 45.0, 90.0), "Degrees by which the model's subspace is wrong; 0 is judged.")
    sharpnesses: tuple[float, ...] = flag((1.0, 4.0), "Sharpness of those who answer comparisons.")
    beliefs: tuple[float, ...] = flag((1.0,), "Sigmas that a soft prior believes in, over the true one; 1 is judged.")
    noises: tuple[float, ...] = flag((0.0,), "Noise of a principle's copy, over what is copied; the first is judged.")
    rounds: int = flag(20, "Rounds of comparisons at random: 20 are 1,024 answers, 22 are 2,048.")
    active_rounds: int = flag(16, "Rounds of comparisons that are chosen: 16 are 256 answers.")
    pool: int = flag(16, "Pairs among which an active learner chooses.")

    def __post_init__(self):
        conform(self)
        for name in ("dims", "subspaces", "sigmas", "angles", "sharpnesses", "beliefs", "noises"):
            given = getattr(self, name)
            require(0 < len(set(given)) == len(given), name, given, "must be a list without repeats")
        for name in ("sigmas", "angles", "sharpnesses", "beliefs", "noises"):
            check_settings(((name, getattr(self, name)),))
        for d in self.dims:
            require(2 <= d <= 1024, "dims", d, "must be from 2 to 1024")
        most = min(self.dims) // 2
        for k in self.subspaces:
            require(1 <= k <= most, "subspaces", k, f"must be from 1 to {most}, half of the least of --dims")
        for name, low, high, words in (
            ("sigmas", 0.01, 100, "from 0.01 to 100"), ("angles", 0, 90, "from 0 to 90"),
            ("sharpnesses", 0.01, 100, "from 0.01 to 100"), ("beliefs", 0.01, 100, "from 0.01 to 100"),
            ("noises", 0, 100, "from 0 to 100"),
        ):  # fmt: skip
            for value in getattr(self, name):
                require(low <= value <= high, name, value, f"must be {words}")
        require(0.0 in self.angles, "angles", self.angles, "must hold 0, a subspace that is right")
        require(1.0 in self.beliefs, "beliefs", self.beliefs, "must hold 1, a prior that is right")
        require(self.seeds >= 1, "seeds", self.seeds, "must be at least 1")
        for name in ("rounds", "active_rounds"):
            value = getattr(self, name)
            require(3 <= value <= MOST_ROUNDS, name, value, f"must be from 3 to {MOST_ROUNDS}")
        require(2 <= self.pool <= 4096, "pool", self.pool, "must be from 2 to 4096")

    def cells(self) -> list[Cell]:
        """By dimension: comparisons at random, soft priors that misjudge sigma, chosen comparisons, principles."""
        shared = (
            ("k", tuple(map(float, self.subspaces))), ("sigma", self.sigmas), ("angle", self.angles)
        )  # fmt: skip
        misjudged = tuple(each for each in self.beliefs if each != 1)
        found = []
        for d in self.dims:
            learns = Comparisons(d=d, rounds=self.rounds)
            for priors, beliefs in (((ISOTROPIC, SOFT, SUBSPACE), (1.0,)), ((SOFT,), misjudged)):
                if beliefs:
                    found.append(self._cell(learns, shared, priors, beliefs))
            active = Comparisons(d=d, pool=self.pool, rounds=self.active_rounds)
            found.append(self._cell(active, shared, (ISOTROPIC, SOFT), (1.0,)))
            copies = (*shared, ("noise", self.noises))
            found.append(Cell(study=Principle(d=d), sweep=copies, seeds=self.seeds, steps=WHOLE, records=WHOLE + 1))
        return found

    def _cell(self, study: Comparisons, shared: tuple, priors: tuple[float, ...], beliefs: tuple[float, ...]) -> Cell:
        sweep = (*shared, ("sharpness", self.sharpnesses), ("prior", priors), ("belief", beliefs))
        return Cell(study=study, sweep=sweep, seeds=self.seeds, steps=study.rounds, records=study.rounds + 1)


PRESETS = {
    "quick": Sweep(seeds=64, sigmas=(0.3,), angles=(0.0, 90.0), rounds=18, active_rounds=14),
    "full": Sweep(seeds=512, dims=(8, 16), subspaces=(2, 4), sigmas=(0.3, 1.0)),
}
