# SPDX-License-Identifier: Apache-2.0
"""The six claims about low-rank learning, judged on a table of seeds.

SGD and Adam are compared at rates matched in two ways: each at its best rate (least median final loss; losses within
float32's noise are equal, and the shorter median time to half the first loss decides), and at the pair of rates whose
median times to half the first loss are closest.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jaxmyopia.lowrank.observables import ALIGNMENT_RANK, Thresholds, bumps_column, count_column
from jaxmyopia.stats.claims import Claim, Evidence, GridPoint, combine, judge, judge_equivalence
from jaxmyopia.stats.comparisons import compare_paired, equivalence_test, holm
from jaxmyopia.stats.intervals import Interval, bca_mean, wilson
from jaxmyopia.stats.table import SeedTable, paired

_NOISE = 1e-10  # loss ratios below this are rounding noise of float32
_GRID_RESAMPLES = 999
_OPTIMIZERS = ("sgd", "adam")
MARGIN = 0.5  # of a descent or plateau: what still counts as the same number on average


def half_time(table: SeedTable) -> float:
    """The median step at which a cell's seeds reach half their first loss; the table's rows `(S,)` are one rate."""
    return float(np.median(np.where(table["diverged"], np.inf, table["half_time"])))


def best_rate(table: SeedTable) -> float:
    """The rate with the least median final loss among a cell's rows `(S x rates,)`."""

    def badness(rate: float) -> tuple[float, float]:
        rows = table.where(learning_rate=rate)
        final = np.median(np.where(rows["diverged"], np.inf, rows["loss_ratio"]))
        return max(float(final), _NOISE), half_time(rows)

    return min(table.unique("learning_rate"), key=badness)


def match_rates(a: SeedTable, b: SeedTable) -> dict[str, tuple[float, float]]:
    """The rates at which two optimisers are compared.

    Args:
      a, b: the rows `(S x rates,)` of two cells.

    Returns:
      `best rates` and, where some seeds reach half their first loss, `equal half-times`: a rate of a and one of b.
    """
    matched = {"best rates": (best_rate(a), best_rate(b))}
    times = [{rate: half_time(t.where(learning_rate=rate)) for rate in t.unique("learning_rate")} for t in (a, b)]
    pairs = [pair for pair in itertools.product(*times) if np.isfinite(times[0][pair[0]] + times[1][pair[1]])]
    if pairs:
        matched["equal half-times"] = min(pairs, key=lambda p: abs(np.log((times[0][p[0]] + 1) / (times[1][p[1]] + 1))))
    return matched


@dataclasses.dataclass(frozen=True)
class _Judge:
    """What all claims of one target are judged with: the table, the thresholds, the seed of the resampling."""

    table: SeedTable
    thresholds: Thresholds
    resampling_seed: int

    @property
    def rng(self) -> np.random.Generator:
        # The same resamples for every statistic: a verdict does not depend on which claims were judged before it.
        return np.random.default_rng(self.resampling_seed)

    def cell(self, **settings: object) -> SeedTable | None:
        rows = self.table.where(**settings)
        return rows if len(rows) else None

    def by_optimizer(self, **settings: object) -> tuple[SeedTable, SeedTable] | None:
        """The cells of SGD and Adam, if the run holds both."""
        cells = [self.cell(optimizer=optimizer, **settings) for optimizer in _OPTIMIZERS]
        return None if None in cells else tuple(cells)

    def evidence(
        self, name: str, statistic: str, measure: Callable[[object, int], Interval], *, grid: Sequence, main: object,
        names: Sequence[str], null: float, direction: int, diverged: int = 0, details: dict | None = None,
    ) -> Evidence:  # fmt: skip
        """Measures at the main thresholds and over the grid, and judges; `measure(choice, resamples)`."""
        interval = measure(main, 4999)
        points = [_grid_point(names, choice, measure(choice, _GRID_RESAMPLES)) for choice in grid]
        verdict, reason, holds = judge(interval, null=null, direction=direction, grid=points)
        return Evidence(
            name=name, statistic=statistic, interval=interval, null=null, direction=direction, grid=tuple(points),
            holds=holds, verdict=verdict, reason=reason, diverged=diverged, details=details or {},
        )  # fmt: skip

    @property
    def plateau_main(self) -> tuple[float, float]:
        return self.thresholds.plateau_ratio, self.thresholds.descent_fall


def _grid_point(names: Sequence[str], choice: object, interval: Interval) -> GridPoint:
    values = choice if isinstance(choice, tuple) else (choice,)
    return GridPoint(dict(zip(names, values, strict=True)), interval.estimate, interval.low, interval.high)


_PLATEAU_NAMES = ("plateau_ratio", "descent_fall")


def _claim(id: str, text: str, evidence: Sequence[Evidence], details: dict | None = None) -> Claim:
    verdict, reason = combine(evidence)
    return Claim(id=id, text=text, verdict=verdict, reason=reason, evidence=tuple(evidence), details=details or {})


def _two_plateaus(judge_: _Judge) -> Claim:
    cells, evidence, shares = judge_.by_optimizer(rank=2, loss="cross_entropy"), [], {}
    for kind, rates in match_rates(*cells).items() if cells else ():
        for optimizer, cell, rate in zip(_OPTIMIZERS, cells, rates, strict=True):
            rows = cell.where(learning_rate=rate)

            def share(choice, _, rows=rows):
                two = rows.values(count_column("plateaus", *choice)) == 2
                return wilson(int(two.sum()), two.size)

            evidence.append(
                judge_.evidence(
                    f"{optimizer}, {kind} ({rate:g})", "share of seeds with exactly two plateaus", share,
                    grid=judge_.thresholds.plateau_grid(), main=judge_.plateau_main, names=_PLATEAU_NAMES,
                    null=0.5, direction=1, diverged=int(rows["diverged"].sum()),
                )
            )  # fmt: skip
    for optimizer, cell in zip(_OPTIMIZERS, cells or (), strict=False):
        for rate in cell.unique("learning_rate"):
            counts = cell.where(learning_rate=rate).values(count_column("plateaus", *judge_.plateau_main))
            found, numbers = np.unique(counts[np.isfinite(counts)], return_counts=True)
            shares[f"{optimizer} {rate:g}"] = {f"{int(k)}": float(m / counts.size) for k, m in zip(found, numbers, strict=True)}
    return _claim("ce-two-plateaus", "At rank 2, cross-entropy shows two plateaus.", evidence, {"share of plateau counts": shares})


def _rank10_stuck(judge_: _Judge) -> Claim:
    evidence, by_budget = [], {}
    for optimizer in _OPTIMIZERS:
        cell = judge_.cell(rank=10, loss="cross_entropy", optimizer=optimizer)
        if cell is None:
            continue
        rate = best_rate(cell)
        rows = cell.where(learning_rate=rate)

        def share(zero, _, rows=rows):
            reached = rows.values("loss_ratio") < zero
            return wilson(int(reached.sum()), reached.size)

        evidence.append(
            judge_.evidence(
                f"{optimizer}, best rate ({rate:g})", "share of seeds whose final loss is zero", share,
                grid=judge_.thresholds.zero_grid(), main=judge_.thresholds.zero_loss, names=("zero_loss",),
                null=0.5, direction=-1, diverged=int(rows["diverged"].sum()),
            )
        )  # fmt: skip
        for rate in cell.unique("learning_rate"):
            rows = cell.where(learning_rate=rate)
            by_budget[f"{optimizer} {rate:g}"] = {
                budget: float((rows.values(column) < judge_.thresholds.zero_loss).mean())
                for budget, column in (("1/4", "loss_ratio_quarter"), ("1/2", "loss_ratio_half"), ("1", "loss_ratio"))
            }
    text = "With cross-entropy, rank 10 has trouble finding the zero-loss solution."
    return _claim("ce-rank10-stuck", text, evidence, {"share at zero loss by rate and share of the budget": by_budget})


def _full_rank_same(judge_: _Judge) -> Claim:
    n, evidence = int(judge_.table["n"].max()), []
    for optimizer in _OPTIMIZERS:
        cells = [judge_.cell(rank=n, optimizer=optimizer, loss=loss) for loss in ("cross_entropy", "square")]
        if None in cells:
            continue
        rows = [cell.where(learning_rate=best_rate(cell)) for cell in cells]
        rates = ", ".join(f"{row['learning_rate'][0]:g}" for row in rows)
        for kind in ("descents", "plateaus"):

            def test(choice, resamples, rows=rows, kind=kind):
                a, b, lost = paired(*rows, count_column(kind, *choice))
                return equivalence_test(a - b, MARGIN, rng=judge_.rng, resamples=resamples), lost

            main, lost = test(judge_.plateau_main, 4999)
            grid = judge_.thresholds.plateau_grid()
            points = [_grid_point(_PLATEAU_NAMES, choice, test(choice, _GRID_RESAMPLES)[0].difference) for choice in grid]
            verdict, reason, holds = judge_equivalence(main, grid=points)
            evidence.append(
                Evidence(
                    name=f"{optimizer}, {kind}, best rates ({rates})",
                    statistic=f"{kind} with cross-entropy minus with square loss, same seed; the same if within ±{MARGIN}",
                    interval=main.difference, null=0.0, direction=0, grid=tuple(points), holds=holds, verdict=verdict,
                    reason=reason, diverged=lost, details={"90 % interval": [main.inner.low, main.inner.high], "TOST p": main.p_value},
                )
            )  # fmt: skip
    return _claim("ce-full-rank-same", "At full rank, cross-entropy looks like square loss.", evidence)


def bump_differences(
    table: SeedTable, loss: str, ranks: Sequence[int], kind: str, delta: float
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Bumps a pair with Adam and with SGD, of the same seeds at matched rates.

    Args:
      table: rows `(cells x seeds,)`.
      loss: which loss.
      ranks: which ranks; those without both optimisers are left out.
      kind: a way of matching rates, a key of `match_rates`.
      delta: the threshold of a bump.

    Returns:
      By rank: the seeds, and their bumps with Adam and with SGD, `(S,)` each; and the number of pairs lost to
      divergence.
    """
    out = {}
    for rank in ranks:
        sgd, adam = (table.where(loss=loss, rank=rank, optimizer=optimizer) for optimizer in _OPTIMIZERS)
        rates = match_rates(sgd, adam) if len(sgd) and len(adam) else {}
        if kind in rates:
            sgd, adam = sgd.where(learning_rate=rates[kind][0]), adam.where(learning_rate=rates[kind][1])
            column = bumps_column(delta)
            a, b = adam.values(column), sgd.values(column)
            whole = np.isfinite(a) & np.isfinite(b)
            out[rank] = (np.sort(adam["seed"])[whole], a[whole], b[whole], int((~whole).sum()))
    return out


def _pooled(by_rank: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, int]]) -> np.ndarray:
    """Each seed's difference, averaged over the ranks: `(S,)`, for the seeds that every rank has."""
    seeds = [set(found.tolist()) for found, *_ in by_rank.values()]
    common = np.array(sorted(set.intersection(*seeds)), int)
    differences = [(a - b)[np.isin(found, common)] for found, a, b, _ in by_rank.values()]
    return np.mean(differences, axis=0)


def _by_rank(judge_: _Judge, ranks: Sequence[int]) -> dict[str, object]:
    """Each rank's paired comparison with its effect size, Holm-corrected over losses, ranks and matchings."""
    family = {}
    for loss, kind in itertools.product(("square", "cross_entropy"), ("best rates", "equal half-times")):
        found = bump_differences(judge_.table, loss, ranks, kind, judge_.thresholds.bump_delta)
        for rank, (_, a, b, lost) in found.items():
            if a.size:
                family[f"{loss}, rank {rank}, {kind}"] = (compare_paired(a, b, rng=judge_.rng), a.mean(), b.mean(), lost)
    adjusted = holm([comparison.p_value for comparison, *_ in family.values()])
    return {
        name: {
            "adam": float(a), "sgd": float(b), "difference": dataclasses.asdict(comparison.difference),
            "P(adam > sgd) + P(equal)/2": dataclasses.asdict(comparison.superiority), "p (Holm)": float(p), "diverged": lost,
        }
        for (name, (comparison, a, b, lost)), p in zip(family.items(), adjusted, strict=True)
    }  # fmt: skip


def _more_bumps(judge_: _Judge, id: str, text: str, ranks: Sequence[int]) -> Claim:
    evidence = []
    for kind in ("best rates", "equal half-times"):

        def difference(delta, resamples, kind=kind):
            found = bump_differences(judge_.table, "square", ranks, kind, delta)
            return bca_mean(_pooled(found), rng=judge_.rng, resamples=resamples)

        found = bump_differences(judge_.table, "square", ranks, kind, judge_.thresholds.bump_delta)
        if found:
            evidence.append(
                judge_.evidence(
                    kind, "bumps a pair, Adam minus SGD, same seed, mean over the ranks, square loss", difference,
                    grid=judge_.thresholds.bump_grid(), main=judge_.thresholds.bump_delta, names=("bump_delta",),
                    null=0.0, direction=1, diverged=sum(lost for *_, lost in found.values()),
                    details={"ranks": sorted(found)},
                )
            )  # fmt: skip
    return _claim(id, text, evidence, _by_rank(judge_, ranks) if evidence else {})


def _full_rank_plateau(judge_: _Judge) -> Claim:
    n = int(judge_.table["n"].max())
    cells, evidence = judge_.by_optimizer(rank=n, loss="square"), []
    for kind, rates in match_rates(*cells).items() if cells else ():
        rows = [cell.where(learning_rate=rate) for cell, rate in zip(cells, rates, strict=True)]

        def difference(choice, resamples, rows=rows):
            sgd, adam, _ = paired(*rows, count_column("plateaus", *choice))
            return bca_mean((adam > 0).astype(float) - (sgd > 0), rng=judge_.rng, resamples=resamples)

        sgd, adam, lost = paired(*rows, count_column("plateaus", *judge_.plateau_main))
        shares = {
            name: dataclasses.asdict(wilson(int((counts > 0).sum()), counts.size))
            for name, counts in zip(_OPTIMIZERS, (sgd, adam), strict=True) if counts.size
        }  # fmt: skip
        evidence.append(
            judge_.evidence(
                f"{kind} (sgd {rates[0]:g}, adam {rates[1]:g})", "share of seeds with a plateau, Adam minus SGD, same seed",
                difference, grid=judge_.thresholds.plateau_grid(), main=judge_.plateau_main, names=_PLATEAU_NAMES,
                null=0.0, direction=1, diverged=lost, details={"share with a plateau": shares},
            )
        )  # fmt: skip
    return _claim("adam-full-rank-plateau", "With Adam and square loss, the full-rank case regains a plateau.", evidence)


def judge_claims(table: SeedTable, thresholds: Thresholds, *, resampling_seed: int = 0) -> list[Claim]:
    """Judges the six claims.

    Args:
      table: rows `(cells x rates x seeds,)` of one target, as the runner writes them.
      thresholds: the main thresholds, those of the run.
      resampling_seed: of bootstrap and permutations.

    Returns:
      Six `Claim`s in the order of SCIENCE.md's table; `not judged` where the table lacks the cells.
    """
    judge_ = _Judge(table, thresholds, resampling_seed)
    ranks = [rank for rank in table.unique("rank") if 2 <= rank <= ALIGNMENT_RANK]
    return [
        _two_plateaus(judge_),
        _rank10_stuck(judge_),
        _full_rank_same(judge_),
        _more_bumps(judge_, "adam-more-bumps", "Adam shows more bumps than SGD (rank 2 and above).", ranks),
        _more_bumps(judge_, "adam-rank1", "Rank 1 with Adam was never checked: more bumps than SGD there too?", [1]),
        _full_rank_plateau(judge_),
    ]
