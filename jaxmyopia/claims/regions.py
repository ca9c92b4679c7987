# SPDX-License-Identifier: Apache-2.0
"""Where a claim holds: the simplest rule on one or two settings that separates its conditions, and the sentence.

A rule is a bound of one number (`x` is at least v, at most v, v a value that occurs) or one value of a category (`x` is
v, is not v); two of these on different settings, joined by "and" or by "or"; or a number that is at least c times
another, of positive settings, c midway in logarithm between neighbouring ratios. The rule with the fewest misplaced
conditions counts. One on two settings must misplace at least two fewer, and a twentieth of all conditions fewer, than
the best on one setting, or than saying "everywhere" or "nowhere". Ties go to the first by kind (one setting, ratio,
and, or), then settings by name, then at least, at most, is, is not, then values in their order.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TypeGuard

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims.judged import Value
from jaxmyopia.claims.verdicts import DECIDED

Conditions = Sequence[Mapping[str, Value]]
_MISSED = 2  # conditions that a rule on two settings must place better than a simpler one,
_MISSED_SHARE = 0.05  # and the share of them
_SAME = 1e-6  # relative: ratios that differ by less are one


@dataclasses.dataclass(frozen=True)
class Term:
    """One bound: `setting` stands in a `relation` to a `value`, or to `value` times the setting `of`.

    A condition that lacks a setting meets no bound on it, but is not any of its values.
    """

    setting: str
    relation: str
    value: Value
    of: str = ""

    @property
    def text(self) -> str:
        """In words."""
        if not self.of:
            return f"{self.setting} {self.relation} {_shown(self.value)}"
        return f"{self.setting} {self.relation} " + ("" if self.value == 1 else f"{self.value:g} times ") + self.of

    def predicts(self, condition: Mapping[str, Value]) -> bool:
        """Whether a condition meets it."""
        value, bound = condition.get(self.setting), self.value
        if self.relation in ("is", "is not"):
            return (value == bound) == (self.relation == "is")
        times = condition.get(self.of) if self.of else 1.0
        if not (_number(value) and _number(bound) and _number(times)):
            return False
        return value >= bound * times if self.relation == "is at least" else value <= bound * times


@dataclasses.dataclass(frozen=True)
class Rule:
    """Where a claim holds: `terms`, joined by `joined`; of the conditions, `misplaced` are on the wrong side."""

    terms: tuple[Term, ...]
    joined: str
    misplaced: int

    @property
    def text(self) -> str:
        """In words, such as "learning_rate is at least 0.1 and init_scale is at most 0.03"."""
        return f" {self.joined} ".join(term.text for term in self.terms)

    @property
    def settings(self) -> tuple[str, ...]:
        """That it is about."""
        return tuple(name for term in self.terms for name in (term.setting, term.of) if name)

    def predicts(self, condition: Mapping[str, Value]) -> bool:
        """Whether the claim holds there by the rule."""
        met = [term.predicts(condition) for term in self.terms]
        return any(met) if self.joined == "or" else all(met)


def separate(conditions: Conditions, holds: Sequence[bool]) -> Rule | None:
    """The simplest rule that separates the conditions where a claim holds from the others.

    Args:
      conditions: the settings of each, by name; true and false are categories.
      holds: whether the claim holds there.

    Returns:
      The `Rule`, whatever the order of the conditions; None where the claim holds in all of them or in none, or where
      no rule misplaces fewer than "everywhere" or "nowhere" does.

    Raises:
      ArgumentError: if the two are not as many.
    """
    require(len(conditions) == len(holds), "holds", len(holds), f"must be one a condition: {len(conditions)}")
    wanted = np.array(holds, bool)
    least = int(min(wanted.sum(), (~wanted).sum()))
    if not least:
        return None
    terms = _terms(conditions)
    met = _met(terms, conditions)
    simple = _best(_alone(terms, met, wanted))
    simple = simple if simple and simple.misplaced < least else None
    least = simple.misplaced if simple else least
    gain = max(_MISSED, math.ceil(_MISSED_SHARE * wanted.size))
    ratios = _ratios(conditions)
    best = _best([*_alone(ratios, _met(ratios, conditions), wanted), *_pairs(terms, met, wanted)])
    return best if best and best.misplaced <= least - gain else simple


def _best(rules: Sequence[Rule]) -> Rule | None:
    """The first of those that misplace the fewest."""
    return min(rules, key=lambda rule: rule.misplaced, default=None)


def _met(terms: Sequence[Term], conditions: Conditions) -> np.ndarray:
    """`(terms, conditions)` which of the conditions meet each term."""
    met = [[term.predicts(each) for each in conditions] for term in terms]
    return np.array(met, bool).reshape(len(terms), len(conditions))


def _alone(terms: Sequence[Term], met: np.ndarray, wanted: np.ndarray) -> list[Rule]:
    """Each term as a rule of its own."""
    return [Rule((term,), "and", int(missed)) for term, missed in zip(terms, (met != wanted).sum(axis=1), strict=True)]


def _pairs(terms: Sequence[Term], met: np.ndarray, wanted: np.ndarray) -> list[Rule]:
    """The best of the conjunctions, and of the disjunctions, of two terms on different settings."""
    names = np.array([term.setting for term in terms], str)
    apart = names[:, None] < names
    inside, outside = met[:, wanted].astype(float), met[:, ~wanted].astype(float)
    missed_by_both = wanted.sum() - inside @ inside.T + outside @ outside.T
    missed_by_either = (1 - inside) @ (1 - inside).T + (~wanted).sum() - (1 - outside) @ (1 - outside).T
    found = []
    for joined, missed in (("and", missed_by_both), ("or", missed_by_either)):
        missed = np.where(apart, missed, np.inf)
        if apart.any():
            a, b = divmod(int(np.argmin(missed)), len(terms))
            found.append(Rule((terms[a], terms[b]), joined, int(missed[a, b])))
    return found


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _shown(value: Value) -> str:
    return f"{value:g}" if _number(value) else str(value)


def _values(conditions: Conditions) -> dict[str, list[Value]]:
    """The values of every setting that has several, or that a condition lacks; in order."""
    found: dict[str, list[Value]] = {}
    for name in sorted({name for each in conditions for name in each}):
        held = [each[name] for each in conditions if name in each]
        values = set(held)
        if len(values) > 1 or len(held) < len(conditions):
            found[name] = sorted(values, key=lambda each: (not _number(each), each if _number(each) else str(each)))
    return found


def _terms(conditions: Conditions) -> list[Term]:
    """Every bound on one setting, in the order in which ties are broken."""
    found = []
    for name, values in _values(conditions).items():
        numbers = all(map(_number, values))
        for relation in ("is at least", "is at most") if numbers else ("is", "is not"):
            found += [Term(name, relation, value) for value in values]
    return found


def _ratios(conditions: Conditions) -> list[Term]:
    """Every bound on the ratio of two positive settings, in the order in which ties are broken."""
    values = _values(conditions).items()
    positive = [name for name, held in values if all(_number(value) and value > 0 for value in held)]
    found = []
    for name, other in itertools.permutations(positive, 2):
        both = [each for each in conditions if name in each and other in each]
        ratios = np.unique([float(each[name]) / float(each[other]) for each in both])
        for low, high in itertools.pairwise(ratios.tolist()):
            if high > low * (1 + _SAME):
                found.append(Term(name, "is at least", _between(low, high), of=other))
    return found


def _between(low: float, high: float) -> float:
    """A number midway in logarithm, of two digits, or as many as it takes to lie between."""
    middle = math.sqrt(low) * math.sqrt(high)
    return next(c for digits in range(2, 18) if low < (c := float(f"{middle:.{digits}g}")) < high)


def headline(verdicts: Sequence[str], conditions: Conditions) -> str:
    """What was found of a claim, in a sentence; the rule is that of the decided conditions alone.

    Args:
      verdicts: one a condition.
      conditions: the settings of each.

    Returns:
      Such as "holds in 34 of 60 conditions: where learning_rate is at least 0.5 times init_scale (3 misplaced)".
    """
    require(len(conditions) == len(verdicts), "conditions", len(conditions), f"must be as many as {len(verdicts)}")
    if len(verdicts) < 2:
        return _OF_ONE.get(verdicts[0], f"does not hold: {verdicts[0]}") if verdicts else "not judged"
    decided = [(at, verdict) for at, verdict in zip(conditions, verdicts, strict=True) if verdict in DECIDED]
    aside = _counts([_APART.get(verdict, verdict) for verdict in verdicts if verdict not in DECIDED], "{1} {0}")
    if not decided:
        return f"decided in none of {len(verdicts)} conditions: {aside}"
    holds, n = [verdict == "supported" for _, verdict in decided], len(decided)
    one, several = (f" that {be} decided ({aside})" if aside else "" for be in ("was", "were"))
    among = f"condition{one}" if n == 1 else f"conditions{several}"
    if all(holds):
        return f"holds in {'the one' if n == 1 else 'both' if n == 2 else f'all {n}'} {among}"
    if not any(holds) and n == 1:
        return f"does not hold in the one {among}: {decided[0][1]}"
    if not any(holds):
        against = _counts([verdict for _, verdict in decided], "{0} in {1}")
        return f"holds in none of {n} {among}: {against}"
    where = _where([at for at, _ in decided], holds)
    return f"holds in {sum(holds)} of {n} {among}: {where}"


_OF_ONE = {
    "supported": "holds",
    "inconclusive": "undecided",
    "depends on the threshold": "does not hold: it depends on the threshold",
    "not applicable": "not applicable",
    "not judged": "not judged",
}
_APART = {"inconclusive": "undecided"}


def _counts(words: Sequence[str], form: str) -> str:
    """How often each word appears, most often first."""
    return ", ".join(form.format(*each) for each in collections.Counter(sorted(words)).most_common())


def _where(conditions: Conditions, holds: Sequence[bool]) -> str:
    """The rule in words; a condition that stands alone by its settings."""
    rule = separate(conditions, holds)
    if rule:
        return f"where {rule.text}" + (f" ({rule.misplaced} misplaced)" if rule.misplaced else "")
    for word, wanted in (("only where", True), ("everywhere but where", False)):
        alone = conditions[holds.index(wanted)]
        if alone and holds.count(wanted) == 1:
            return f"{word} " + " and ".join(f"{name} is {_shown(value)}" for name, value in alone.items())
    return "no rule on one or two settings says where"
