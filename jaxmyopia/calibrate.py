# SPDX-License-Identifier: Apache-2.0
"""How often each kind of claim finds a difference where there is none, under its own rule.

Two copies of one study are compared: seeds are drawn from one pool of trials for both sides, so that whatever is found
is false. What is asked of one side is held against the pool's own number; sameness is asked of sides whose difference
lies at the margin. Each draw is judged as a claim is, with its grid; where seeds are added until it is decided, at each
look in turn.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxmyopia.api import run
from jaxmyopia.checks import require
from jaxmyopia.claims import Evidence, mean, paired, share
from jaxmyopia.claims.conditions import corrected, split
from jaxmyopia.claims.verdicts import DECIDED, MIN_SEEDS
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.stats.intervals import Interval, wilson
from jaxmyopia.stats.table import Columns, Trials
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Study

POOL = 8192  # seeds that are drawn from
CONDITIONS = 20
_FEWER = 4  # times fewer draws of what takes longer: many looks, or conditions
MARGIN, LEAST = 0.5, 0.1
SIZES = (24, 64, 256, 1024)
_RARE, _TAIL = 0.045, 0.5  # share of seeds that differ, and the shape of how much: as rare bumps do


@dataclasses.dataclass(frozen=True)
class Rate:
    """How often one kind of claim was `wrong`, as a share of draws: its `kind`, of which `number`, at how many `seeds`;
    `decided`: how often anything was."""

    kind: str
    number: str
    seeds: int
    wrong: Interval
    decided: float


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of claim: `ask(pool, a, b)`, of a pool and two samples of it; `false`, the verdicts that are wrong; over
    how many `conditions`, any of which may be wrong; and whether seeds are added (`looks`) until it is decided."""

    name: str
    ask: Callable[[Trials, Trials, Trials], Evidence]
    false: tuple[str, ...] = ("supported", "contradicted", "real but small")
    conditions: int = 1
    looks: bool = False


def calibrate(out: str, *, trials: int, sizes: tuple[int, ...], root_seed: int, command: str) -> Iterator[Rate]:
    """Makes the pool, measures every rate, and writes `calibration.json` into a folder.

    Args:
      out: the folder; what it holds of another calibration is refused.
      trials: draws of each kind of claim, number and size.
      sizes: how many seeds are drawn.
      root_seed: of the pool and the draws.
      command: that was typed.

    Yields:
      Each `Rate` as it is known.

    Raises:
      ArgumentError: if a value is not allowed, or the folder holds something else.
    """
    for size in sizes:
        require(MIN_SEEDS <= size <= POOL // 2, "sizes", size, f"must be from {MIN_SEEDS} to {POOL // 2}")
    require(trials >= CONDITIONS, "trials", trials, f"must be at least {CONDITIONS}")
    RunOptions(root_seed=root_seed)  # before there is a folder
    began, started = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    folder = RunFolder(out, {"experiment": "calibrate", "trials": trials, "sizes": list(sizes), "root_seed": root_seed})
    rng = np.random.default_rng(root_seed)
    settings: dict[str, Any] = {"learning_rate": 0.01, "init_scale": 1.0}
    ran = run(study(), seeds=POOL, steps=400, records=128, root_seed=root_seed, keep_curves=0, **settings)
    table, found = pool(ran.trials, rng=rng), []
    for rate in rates(table, trials=trials, sizes=sizes, rng=rng):
        found.append(rate)
        yield rate
    folder.write_json("calibration.json", {"rates": [dataclasses.asdict(rate) for rate in found]})
    entries = {"status": "complete", "command": command, "started": started}
    folder.write_manifest(**entries, **environment(), seconds=round(time.monotonic() - began, 1))


def study() -> Study:
    """The study that the pool is made of: bumps and plateaus that some seeds have and others not."""
    return LowRank(n=10, rank=4)


def pool(trials: Trials, *, rng: np.random.Generator) -> Trials:
    """Trials to draw from: those of a run, with numbers beside them that are rare, or have a heavy tail."""
    n = len(trials)
    rare = np.where(rng.random(n) < _RARE, rng.gamma(_TAIL, 2.0, n), 0.0)
    made = {"rare": rare, "tailed": rng.lognormal(0.0, 1.0, n), "normal": rng.normal(size=n)}
    return dataclasses.replace(trials, columns={**{name: trials.columns[name] for name in trials.columns}, **made})


def kinds(what: Any, shown: Callable[[np.ndarray], np.ndarray]) -> list[Kind]:
    """Every kind of claim about a measure or a column `what`; `shown`, of numbers `(rows,)`, which show something."""
    of = lambda trials: float(np.mean(trials.values(what)))
    often = lambda trials: float(np.mean(shown(trials.values(what))))
    plain = [
        Kind("share above", lambda pool, a, b: share(a, what, shown).above(often(pool))),
        Kind("mean above", lambda pool, a, b: mean(a, what).above(of(pool))),
        Kind("paired above", lambda pool, a, b: paired(a, b, what).above(0)),
        Kind("paired above by a least effect", lambda pool, a, b: paired(a, b, what).above(0, least=LEAST)),
        Kind("paired below", lambda pool, a, b: paired(a, b, what).below(0)),
        Kind(
            "paired within, truth at the margin",
            lambda pool, a, b: paired(_moved(a, what, MARGIN), _moved(b, what, 0), "moved").within(MARGIN),
            ("supported", "contradicted"),
        ),
    ]
    later = [plain[0], plain[2], plain[5]]
    over = dataclasses.replace(plain[2], name=f"paired above, any of {CONDITIONS} conditions", conditions=CONDITIONS)
    until = [dataclasses.replace(kind, name=f"{kind.name}, until decided", looks=True) for kind in later]
    return [*plain, over, *until]


def _moved(trials: Trials, what: Any, by: float) -> Trials:
    """The trials with the number itself as a column `moved`, and moved; seeds lie in order."""
    return dataclasses.replace(trials, columns={**trials.columns, "moved": trials.values(what) + by})


def rates(table: Trials, *, trials: int, sizes: tuple[int, ...], rng: np.random.Generator) -> Iterator[Rate]:
    """The rates at which kinds of claims are wrong, one after the other.

    Args:
      table: the pool.
      trials: draws of each; fewer of kinds that take longer.
      sizes: how many seeds are drawn.
      rng: draws them.

    Yields:
      A `Rate` for each kind, number and size.
    """
    thresholds = Thresholds()
    shows: dict[str, tuple[Any, Callable[[np.ndarray], np.ndarray]]] = {
        "bumps a pair": (thresholds.bumps, lambda x: x > 0),
        "plateaus": (thresholds.plateaus, lambda x: x > 0),
        "rare": ("rare", lambda x: x > 0),
        "heavy tail": ("tailed", lambda x: x > 1),
        "normal": ("normal", lambda x: x > 0),
    }
    for number, (what, shown) in shows.items():
        for kind in kinds(what, shown):
            for size in sizes[-1:] if kind.looks else sizes:  # its looks pass by the smaller ones
                draws = max(trials // (_FEWER if kind.looks or kind.conditions > 1 else 1), 1)
                found = [_verdicts(kind, table, size, rng) for _ in range(draws)]
                wrong, decided = (
                    sum(any(each in names for each in verdicts) for verdicts in found)
                    for names in (kind.false, DECIDED)
                )
                yield Rate(kind.name, number, size, wilson(wrong, draws), decided / draws)


def _verdicts(kind: Kind, table: Trials, size: int, rng: np.random.Generator) -> list[str]:
    """What two samples of the pool are judged to be, a verdict a condition, at the last look."""
    drawn = rng.integers(len(table), size=(2, kind.conditions, size))
    verdicts = ["inconclusive"]
    for seeds in _looks(size) if kind.looks else (size,):
        a, b = (_sample(table, rows[:, :seeds], anytime=kind.looks) for rows in drawn)
        pieces, _ = corrected(split([kind.ask(table, a, b)]))
        verdicts = [piece.verdict for piece in pieces]
        if verdicts[0] in DECIDED:
            break
    return verdicts


def _looks(size: int) -> list[int]:
    """At how many seeds one looks: from the fewest on, a half more each time."""
    found = [MIN_SEEDS]
    while found[-1] < size:
        found.append(min(size, found[-1] * 3 // 2))
    return found


def _sample(table: Trials, rows: np.ndarray, *, anytime: bool) -> Trials:
    """Some rows `(conditions, S)` of a table, as seeds 0, 1, ... under each condition."""
    conditions, seeds = rows.shape
    made = {"seed": np.tile(np.arange(seeds), conditions), "condition": np.repeat(np.arange(conditions), seeds)}
    make = lambda name: made[name] if name in made else table.columns[name][rows.ravel()]
    return Trials(Columns([*table.columns, "condition"], make), (("condition",),), anytime=anytime)
