# SPDX-License-Identifier: Apache-2.0
"""The six claims about low-rank learning, judged on a table of seeds.

Each claim is a function of the table; the rules that make verdicts are those of `jaxmyopia.claims.verdicts`. A claim
that something shows is judged against half of the seeds: it stands if most do.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jaxmyopia.claims.verdicts import Claim, Evidence, GridPoint, combine, judge, judge_equivalence
from jaxmyopia.stats.comparisons import cliffs_delta, compare_paired, equivalence_test, holm
from jaxmyopia.stats.intervals import RESAMPLES, Interval, bca_mean, wilson
from jaxmyopia.stats.table import Trials, paired
from jaxmyopia.studies.lowrank.matching import (
    MATCHINGS,
    OPTIMIZERS,
    Bumps,
    best_rate,
    bumps_by_rank,
    match_rates,
    mean_difference_over_ranks,
)
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds, count_column

MARGIN = 0.5  # of a descent or plateau: what still counts as the same number on average
_GRID_RESAMPLES = 999
_LOSSES = {"square": "square", "cross_entropy": "cross-entropy"}
Rng = np.random.Generator


@dataclasses.dataclass(frozen=True)
class _Grid:
    """A family of thresholds: their names, the main choice, and all choices `(m,)`."""

    names: tuple[str, ...]
    main: tuple[float, ...]
    choices: list[tuple[float, ...]]

    def point(self, choice: tuple[float, ...], interval: Interval) -> GridPoint:
        return GridPoint(dict(zip(self.names, choice, strict=True)), interval.estimate, interval.low, interval.high)


def _plateau_grid(thresholds: Thresholds) -> _Grid:
    main = (thresholds.plateau_ratio, thresholds.descent_fall)
    return _Grid(("plateau_ratio", "descent_fall"), main, thresholds.plateau_grid())


def _bump_grid(thresholds: Thresholds) -> _Grid:
    return _Grid(("bump_delta",), (thresholds.bump_delta,), [(delta,) for delta in thresholds.bump_grid()])


def _zero_grid(thresholds: Thresholds) -> _Grid:
    return _Grid(("zero_loss",), (thresholds.zero_loss,), [(zero,) for zero in thresholds.zero_grid()])


def _evidence(
    name: str,
    statistic: str,
    measure: Callable[[tuple[float, ...], int], Interval],
    grid: _Grid,
    *,
    null: float,
    direction: int,
    diverged: int,
    details: dict[str, object] | None = None,
) -> Evidence:
    """Measures at the main thresholds and over their grid, and judges; `measure(choice, resamples)`."""
    interval = measure(grid.main, RESAMPLES)
    points = tuple(grid.point(choice, measure(choice, _GRID_RESAMPLES)) for choice in grid.choices)
    verdict, reason, holds = judge(interval, null=null, direction=direction, grid=points)
    return Evidence(
        name=name,
        statistic=statistic,
        interval=interval,
        null=null,
        direction=direction,
        grid=points,
        holds=holds,
        verdict=verdict,
        reason=reason,
        diverged=diverged,
        details=details or {},
    )


def _claim(id: str, text: str, evidence: Sequence[Evidence], details: dict[str, object] | None = None) -> Claim:
    verdict, reason = combine(evidence)
    return Claim(id=id, text=text, verdict=verdict, reason=reason, evidence=tuple(evidence), details=details or {})


def _cells(table: Trials, **settings: object) -> dict[str, Trials]:
    """The rows of a problem by optimiser; only those of `OPTIMIZERS` that were run."""
    cells = {optimizer: table.where(optimizer=optimizer, **settings) for optimizer in OPTIMIZERS}
    return {optimizer: rows for optimizer, rows in cells.items() if len(rows)}


def _matched_rows(cells: dict[str, Trials]) -> list[tuple[str, dict[str, Trials]]]:
    """For each matching its name and the optimisers' rows at their rates; none unless both optimisers were run."""
    if len(cells) < len(OPTIMIZERS):
        return []
    matched = match_rates(*(cells[optimizer] for optimizer in OPTIMIZERS))
    return [
        (
            name,
            {
                optimizer: cells[optimizer].where(learning_rate=rate)
                for optimizer, rate in zip(OPTIMIZERS, rates, strict=True)
            },
        )
        for name, rates in matched.items()
    ]


def _rate(rows: Trials) -> str:
    return f"{rows['learning_rate'][0]:g}"


def _diverged(rows: Trials) -> int:
    return int(rows["diverged"].sum())


def _share(hits: np.ndarray) -> Interval:
    return wilson(int(hits.sum()), hits.size)


def _two_plateaus(table: Trials, thresholds: Thresholds, rng: Callable[[], Rng]) -> Claim:
    del rng
    grid, cells, evidence, counts = _plateau_grid(thresholds), _cells(table, rank=2, loss="cross_entropy"), [], {}
    for (name, matched), optimizer in itertools.product(_matched_rows(cells), OPTIMIZERS):
        rows = matched[optimizer]

        def share(choice, _, rows=rows):
            return _share(rows.values(count_column("plateaus", *choice)) == 2)

        title, statistic = f"{optimizer}, {name} ({_rate(rows)})", "share of seeds with exactly two plateaus"
        evidence.append(_evidence(title, statistic, share, grid, null=0.5, direction=1, diverged=_diverged(rows)))
    for optimizer, cell in cells.items():
        for rate in cell.unique("learning_rate"):
            plateaus = cell.where(learning_rate=rate).values(count_column("plateaus", *grid.main))
            found, numbers = np.unique(plateaus[np.isfinite(plateaus)], return_counts=True)
            shares = zip(found.tolist(), (numbers / plateaus.size).tolist(), strict=True)
            counts[f"{optimizer} {rate:g}"] = {f"{count:g}": share for count, share in shares}
    text = "At rank 2, cross-entropy shows two plateaus."
    return _claim("ce-two-plateaus", text, evidence, {"share of plateau counts by rate": counts})


def _rank10_stuck(table: Trials, thresholds: Thresholds, rng: Callable[[], Rng]) -> Claim:
    del rng
    evidence, by_budget = [], {}
    for optimizer, cell in _cells(table, rank=10, loss="cross_entropy").items():
        rows = cell.where(learning_rate=best_rate(cell))

        def share(choice, _, rows=rows):
            return _share(rows.values("loss_ratio") < choice[0])

        title, statistic = f"{optimizer}, best rate ({_rate(rows)})", "share of seeds whose final loss is zero"
        grid = _zero_grid(thresholds)
        evidence.append(_evidence(title, statistic, share, grid, null=0.5, direction=-1, diverged=_diverged(rows)))
        for rate in cell.unique("learning_rate"):
            at_rate = cell.where(learning_rate=rate)
            budgets = {"1/4": "loss_ratio_quarter", "1/2": "loss_ratio_half", "1": "loss_ratio"}
            by_budget[f"{optimizer} {rate:g}"] = {
                budget: float((at_rate.values(column) < thresholds.zero_loss).mean())
                for budget, column in budgets.items()
            }
    text = "With cross-entropy, rank 10 has trouble finding the zero-loss solution."
    return _claim("ce-rank10-stuck", text, evidence, {"share at zero loss by rate and share of the budget": by_budget})


def _full_rank_same(table: Trials, thresholds: Thresholds, rng: Callable[[], Rng]) -> Claim:
    grid, n, evidence = _plateau_grid(thresholds), int(table["n"].max()), []
    for optimizer, kind in itertools.product(OPTIMIZERS, ("descents", "plateaus")):
        cells = [table.where(rank=n, optimizer=optimizer, loss=loss) for loss in ("cross_entropy", "square")]
        if not all(len(cell) for cell in cells):
            continue
        rows = [cell.where(learning_rate=best_rate(cell)) for cell in cells]

        def compare(choice, resamples, rows=rows, kind=kind):
            a, b, lost = paired(*rows, count_column(kind, *choice))
            return equivalence_test(a - b, MARGIN, rng=rng(), resamples=resamples), lost

        main, lost = compare(grid.main, RESAMPLES)
        points = tuple(grid.point(choice, compare(choice, _GRID_RESAMPLES)[0].difference) for choice in grid.choices)
        verdict, reason, holds = judge_equivalence(main, grid=points)
        piece = Evidence(
            name=f"{optimizer}, {kind}, best rates ({_rate(rows[0])}, {_rate(rows[1])})",
            statistic="descents or plateaus, cross-entropy minus square loss",
            interval=main.difference, null=0.0, margin=MARGIN, direction=0,
            grid=points, holds=holds, verdict=verdict, reason=reason, diverged=lost,
            details={"90 % interval": [main.inner.low, main.inner.high], "p (TOST)": main.p_value},
        )  # fmt: skip
        evidence.append(piece)
    return _claim("ce-full-rank-same", "At full rank, cross-entropy looks like square loss.", evidence)


def _cliffs_delta(bumps: Bumps, rng: Rng) -> Interval:
    return cliffs_delta(bumps.adam, bumps.sgd, rng=rng, resamples=_GRID_RESAMPLES)


def _each_rank(
    table: Trials, thresholds: Thresholds, rng: Callable[[], Rng], ranks: Sequence[int]
) -> dict[str, object]:
    """Each rank's paired comparison with its effect size, Holm-corrected over losses, ranks and matchings."""
    family = {}
    for loss, matching in itertools.product(_LOSSES, MATCHINGS):
        found = bumps_by_rank(table, loss=loss, ranks=ranks, matching=matching, delta=thresholds.bump_delta)
        family |= {
            f"{_LOSSES[loss]}, rank {rank}, {matching}": bumps for rank, bumps in found.items() if bumps.seed.size
        }
    comparisons = {name: compare_paired(bumps.adam, bumps.sgd, rng=rng()) for name, bumps in family.items()}
    adjusted = holm([comparison.p_value for comparison in comparisons.values()])
    return {
        name: {
            "adam": family[name].adam.mean(),
            "sgd": family[name].sgd.mean(),
            "adam - sgd": dataclasses.asdict(comparison.difference),
            "P(adam > sgd) + P(equal)/2": dataclasses.asdict(comparison.superiority),
            "Cliff's delta": dataclasses.asdict(_cliffs_delta(family[name], rng())),
            "p (Holm)": p_value,
            "diverged": family[name].diverged,
        }
        for (name, comparison), p_value in zip(comparisons.items(), adjusted, strict=True)
    }


def _more_bumps(
    table: Trials, thresholds: Thresholds, rng: Callable[[], Rng], id: str, text: str, ranks: Sequence[int]
) -> Claim:
    grid, evidence = _bump_grid(thresholds), []
    statistic = "bumps a pair, Adam minus SGD, same seed, mean over the ranks"
    for loss, matching in itertools.product(_LOSSES, MATCHINGS):

        def bumps(delta, loss=loss, matching=matching):
            return bumps_by_rank(table, loss=loss, ranks=ranks, matching=matching, delta=delta)

        def difference(choice, resamples, bumps=bumps):
            return bca_mean(mean_difference_over_ranks(bumps(choice[0])), rng=rng(), resamples=resamples)

        found = bumps(thresholds.bump_delta)
        if found:
            title, lost = f"{_LOSSES[loss]}, {matching}", sum(each.diverged for each in found.values())
            evidence.append(
                _evidence(
                    title,
                    statistic,
                    difference,
                    grid,
                    null=0.0,
                    direction=1,
                    diverged=lost,
                    details={"ranks": sorted(found)},
                )
            )
    return _claim(id, text, evidence, _each_rank(table, thresholds, rng, ranks) if evidence else {})


def _full_rank_plateau(table: Trials, thresholds: Thresholds, rng: Callable[[], Rng]) -> Claim:
    del rng
    grid, evidence = _plateau_grid(thresholds), []
    for name, rows in _matched_rows(_cells(table, rank=int(table["n"].max()), loss="square")):

        def has_plateau(optimizer, choice, rows=rows):
            return rows[optimizer].values(count_column("plateaus", *choice)) > 0

        def regained(choice, _, has_plateau=has_plateau):
            return _share(has_plateau("adam", choice) & ~has_plateau("sgd", choice))

        shares = {optimizer: dataclasses.asdict(_share(has_plateau(optimizer, grid.main))) for optimizer in OPTIMIZERS}
        title = f"{name} (sgd {_rate(rows['sgd'])}, adam {_rate(rows['adam'])})"
        statistic, lost = (
            "share of seeds with a plateau under Adam and none under SGD",
            sum(map(_diverged, rows.values())),
        )
        details = {"share with a plateau": shares}
        evidence.append(
            _evidence(title, statistic, regained, grid, null=0.5, direction=1, diverged=lost, details=details)
        )
    text = "With Adam and square loss, the full-rank case regains a plateau."
    return _claim("adam-full-rank-plateau", text, evidence)


def judge_claims(table: Trials, thresholds: Thresholds, *, resampling_seed: int = 0) -> list[Claim]:
    """Judges the six claims.

    Args:
      table: rows `(cells x rates x S,)` of one target, as the runner writes them.
      thresholds: the main thresholds, those of the run.
      resampling_seed: of bootstrap and permutations.

    Returns:
      Six `Claim`s; `not judged` where the table lacks the cells.
    """

    def rng() -> Rng:
        # The same resamples for every statistic: a verdict does not depend on which others were computed before it.
        return np.random.default_rng(resampling_seed)

    several = [rank for rank in table.unique("rank") if 2 <= rank <= ALIGNMENT_RANK]
    more = "There are more bumps with Adam than with SGD (rank 2 and above)."
    at_rank1 = "Rank 1 with Adam was never checked: are there more bumps than with SGD there too?"
    return [
        _two_plateaus(table, thresholds, rng),
        _rank10_stuck(table, thresholds, rng),
        _full_rank_same(table, thresholds, rng),
        _more_bumps(table, thresholds, rng, "adam-more-bumps", more, several),
        _more_bumps(table, thresholds, rng, "adam-rank1", at_rank1, [1]),
        _full_rank_plateau(table, thresholds, rng),
    ]
