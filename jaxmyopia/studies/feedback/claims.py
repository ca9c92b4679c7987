# SPDX-License-Identifier: Apache-2.0
"""Four claims of feedback: what formulas do not settle, by condition.

  principles-use-more    at the bits that a principle of b bits a coordinate takes, its cosine beside that of learners
                         from comparisons; right subspace
  soft-prior-dominates   after so many answers, a soft prior's cosine beside that of no prior and of a hard one
  wrong-principle-costs  a learner's cosine after so many answers beside that of a whole principle, by angle
  active-tells-more      chosen comparisons beside as many at random, under the same prior

Controls are the run's own trials with planted cosines.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from jaxmyopia.claims import Claim, Evidence, claim, paired
from jaxmyopia.claims.controls import planted
from jaxmyopia.claims.judged import Value
from jaxmyopia.stats.table import NoTrials, Trials
from jaxmyopia.studies.feedback.measures import AFTER, AT_BITS, code_length
from jaxmyopia.studies.feedback.sweep import ISOTROPIC, SOFT, SUBSPACE

LEAST = 0.05  # of cosines: what counts as more at the same bits
MOST_REACH = 0.95  # of seeds must come to so many bits, for a condition to be asked
WORSE = 0.02  # of cosines: what counts as no worse, and as a gain of choosing
LEARNERS = {  # by name: how comparisons are chosen, and the prior
    "isotropic": ("random", ISOTROPIC),
    "soft": ("random", SOFT),
    "subspace": ("random", SUBSPACE),
    "active": ("active", ISOTROPIC),
    "active, soft": ("active", SOFT),
}
Pieces = list[Evidence]
_GOLDEN = (5**0.5 - 1) / 2


def learners(trials: Trials, name: str, *, belief: float = 1.0) -> Trials:
    """The trials of a learner of `LEARNERS`."""
    chosen, prior = LEARNERS[name]
    return trials.matching(study="feedback", learner=chosen, prior=prior, belief=belief)


def principles(trials: Trials) -> Trials:
    """The trials of the principle whose copy is judged: that with the least noise."""
    mine = trials.matching(study="feedback", learner="principle")
    return mine.matching(noise=float(mine["noise"].min())) if len(mine) else mine


def _settings(rows: Trials, *names: str) -> Iterator[dict[str, float]]:
    """Each combination of settings that rows have."""
    for values in rows.groups(names) if len(rows) else ():
        yield dict(zip(names, map(float, values), strict=True))


def _told(found: Pieces) -> Pieces:
    if not found:
        raise NoTrials("study", "feedback", "must be among the studies of the run")
    return found


def _principles_use_more(trials: Trials) -> Pieces:
    """By rival, dimension and sharpness; subspace, sigma, charge and bits are conditions of their own accord."""
    right, found = trials.main.matching(angle=0.0), []
    for rival in ("soft", "active", "active, soft"):
        for at in _settings(learners(right, rival), "d", "sharpness"):
            sides = principles(right).matching(d=at["d"]), learners(right, rival).matching(**at)
            more = paired(*sides, AT_BITS).named("cosine, principle minus comparisons, at the same bits")
            found += _reached(more.above(0, least=LEAST).at("", rival=rival, **at), sides[1])
    return _told(found)


def _soft_prior_dominates(trials: Trials) -> Pieces:
    """By dimension, sharpness, angle and belief; the two others are parts of one sentence."""
    main, found = trials.main, []
    for belief in sorted(set(main.matching(study="feedback", learner="random")["belief"].tolist())):
        soft = learners(main, "soft", belief=belief)
        for at in _settings(soft, "d", "sharpness", "angle"):
            for other, words in (("isotropic", "than without a prior"), ("subspace", "than within the subspace")):
                sides = soft.matching(**at), learners(main, other).matching(**at)
                more = paired(*sides, AFTER, apart=("belief",)).named("cosine, soft prior minus other, after so many")
                found += _reached(more.above(-WORSE).at("", shown=words, belief=belief, **at), sides[0])
    return _told(found)


def _wrong_principle_costs(trials: Trials) -> Pieces:
    """By learner, dimension, sharpness and angle."""
    main, found = trials.main, []
    for rival in ("isotropic", "soft", "active"):
        for at in _settings(learners(main, rival), "d", "sharpness", "angle"):
            mine = principles(main).matching(d=at["d"], angle=at["angle"])
            rows = learners(main, rival).matching(**at)
            ahead = paired(rows, mine, AFTER).named("cosine, comparisons minus principle, after so many")
            found += _reached(ahead.above(0).at("", rival=rival, **at), rows)
    return _told(found)


def _reached(piece: Evidence, rows: Trials) -> Pieces:
    """A piece under each condition by itself, without those at more answers, or bits, than a learner's `rows` have."""
    parts = piece.asked.split() if piece.asked else []
    named = [part.judged().at(piece.name, **(piece.condition | part.condition)) for part in parts]
    return [part for part in named if _reaches(part.condition, rows)]


def _reaches(at: Mapping[str, Value], rows: Trials) -> bool:
    mine = rows.matching(**{name: at[name] for name in ("k", "sigma") if name in at})
    if "charge" in at:
        charge = str(at["charge"])
        spent = mine["asked" if charge == "answers" else charge]
        return float((spent >= mine["k"] * code_length(float(at["bits"]), charge)).mean()) >= MOST_REACH
    return bool((mine["asked"] >= float(at["answers"])).all())


def _active_tells_more(trials: Trials) -> Pieces:
    """By prior, dimension, sharpness and angle. Without a prior subspace, sigma and angle are all alike."""
    main, found = trials.main, []
    for chosen, random in (("active", "isotropic"), ("active, soft", "soft")):
        rows = learners(main, chosen)
        if chosen == "active" and len(rows):
            rows = rows.matching(angle=0.0, k=float(rows["k"].min()), sigma=float(rows["sigma"].min()))
        for at in _settings(rows, "d", "sharpness", "angle"):
            one = rows.matching(**at)
            same = {name: one[name][0] for name in ("k", "sigma")} if chosen == "active" else {}
            more = paired(one, learners(main, random).matching(**at, **same), AFTER)
            more = more.named("cosine, chosen minus at random, after so many")
            found += _reached(more.above(0, least=WORSE).at("", prior=random, **at), one)
    return _told(found)


def _if(ask: Callable[[Trials], Pieces], cos: Callable[[Trials], np.ndarray]) -> Callable[[Trials], Pieces]:
    """What a claim asks, of planted cosines that differ a little from trial to trial, as measured ones do."""
    shaken = lambda rows: cos(rows) * (1 - 1e-3 * np.modf(np.arange(len(rows)) * _GOLDEN)[0])
    columns = dict.fromkeys((*AFTER.columns, *AT_BITS.columns), shaken)
    return lambda trials: ask(planted(trials.main, **columns))


def _ahead(*names: str) -> Callable[[Trials], np.ndarray]:
    """Cosines of 1 for learners so named, of -1 for the others."""

    def plant(rows: Trials) -> np.ndarray:
        return np.where(np.isin(rows["learner"].astype(str), names), 1.0, -1.0)

    return plant


def _soft_ahead(rows: Trials) -> np.ndarray:
    return np.where(rows["prior"] == SOFT, 1.0, -1.0)


def _hard_ahead(rows: Trials) -> np.ndarray:
    return np.where(rows["prior"] == SUBSPACE, 1.0, -1.0)


def _alike(rows: Trials) -> np.ndarray:
    return np.full(len(rows), 0.5)


_ALIKE = "all learners alike"
principles_use_more = claim(
    "Bit for bit a principle tells more of a human's values than comparisons, chosen or under a soft prior.",
    id="principles-use-more",
    passes={"principles planted ahead": _if(_principles_use_more, _ahead("principle"))},
    fails={_ALIKE: _if(_principles_use_more, _alike)},
)(_principles_use_more)
soft_prior_dominates = claim(
    "A soft prior is never worse than none, nor than the subspace alone.",
    id="soft-prior-dominates",
    passes={"soft priors planted ahead": _if(_soft_prior_dominates, _soft_ahead)},
    fails={"hard priors planted ahead": _if(_soft_prior_dominates, _hard_ahead)},
)(_soft_prior_dominates)
wrong_principle_costs = claim(
    "Comparisons are ahead of a principle, however many bits it takes, from a subspace that may be wrong.",
    id="wrong-principle-costs",
    passes={"comparisons planted ahead": _if(_wrong_principle_costs, _ahead("random", "active"))},
    fails={"principles planted ahead": _if(_wrong_principle_costs, _ahead("principle"))},
)(_wrong_principle_costs)
active_tells_more = claim(
    "Chosen comparisons tell more than as many at random.",
    id="active-tells-more",
    passes={"chosen ones planted ahead": _if(_active_tells_more, _ahead("active"))},
    fails={_ALIKE: _if(_active_tells_more, _alike)},
)(_active_tells_more)
CLAIMS: list[Claim] = [principles_use_more, soft_prior_dominates, wrong_principle_costs, active_tells_more]
