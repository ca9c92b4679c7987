# SPDX-License-Identifier: Apache-2.0
"""What is run of superposition, part by part; each a few flags."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from jaxmyopia import optimizers
from jaxmyopia.checks import require
from jaxmyopia.flags import flag
from jaxmyopia.measures import Measure
from jaxmyopia.studies.superposition import measures, understanding
from jaxmyopia.studies.superposition.model import effective_features
from jaxmyopia.studies.superposition.study import Independent, OneActive, require_setting
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

Settings: TypeAlias = Mapping[str, Sequence[float]]
RECORDS = 4  # the end alone is measured
_MOST = 2**31 - 1


def cell(study: OneActive, settings: Settings, *, seeds: int, steps: int) -> Cell:
    """A cell of a study, its rate falling to zero if it is to fall at all."""
    sweep = tuple((name, tuple(map(float, values))) for name, values in settings.items())
    return Cell(study=study, sweep=sweep, seeds=seeds, steps=steps, records=RECORDS)


def _check(part: Any, *, lists: Sequence[str], counts: Sequence[str], settings: Mapping[str, str]) -> None:
    """Refuses lists that are empty or hold something twice, counts below 1, and settings that a study refuses."""
    conform(part)
    for name in lists:
        values = getattr(part, name)
        require(0 < len(set(values)) == len(values), name, values, "must be a list without repeats, not an empty one")
    for name in counts:
        value = getattr(part, name)
        require(1 <= value <= _MOST, name, value, f"must be at least 1, at most {_MOST}")
    for name, setting in settings.items():
        values = getattr(part, name)
        several = values if isinstance(values, tuple) else (values,)
        check_settings(((name, several),))
        for value in several:
            require_setting(setting, value, called=name)


_LINEAR = 100.0  # span of the linear control
_PUBLISHED = 1024, 10_000  # inputs of a step, and steps, of the published geometry


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The two curves over capacity: total and fraction. Raises ArgumentError if a field is not allowed."""

    features: int = flag(64, "Features F, of which capacities up to a quarter of the effective number are swept.")
    capacities: tuple[int, ...] = flag((2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16), "Dimensions m of the capacity sweep.")
    actives: tuple[float, ...] = flag(
        (0.5, 0.3), "Probabilities that a feature is active; 0: exactly one is, and the loss is exact."
    )
    spans: tuple[float, ...] = flag((50.0,), "Importance of the first feature over that of the last.")
    optimizers: tuple[str, ...] = flag(("adam",), "Optimisers of the capacity sweep.")
    capacity_rates: tuple[float, ...] = flag((0.01,), "Learning rate of each of them, where it starts to fall.")
    capacity_steps: int = flag(1000, "Steps of the capacity sweep.")
    capacity_seeds: int = flag(24, "Seeds of the capacity sweep.")

    def __post_init__(self):
        counts = ("features", "capacity_steps", "capacity_seeds")
        _check(
            self, lists=("capacities", "actives", "spans", "optimizers"), counts=counts,
            settings={"spans": "span", "capacity_rates": "learning_rate", "capacities": "hidden"},
        )  # fmt: skip
        for active in self.actives:
            require(0 <= active <= 1, "actives", active, "must be probabilities, or 0")
        fitting = len(self.capacity_rates) == len(self.optimizers)
        require(fitting, "capacity_rates", self.capacity_rates, f"must be one for each of {', '.join(self.optimizers)}")
        most = max(self.capacities)
        require(most <= self.features, "capacities", most, f"must be at most features={self.features}")

    def limited(self, span: float) -> tuple[int, ...]:
        """The capacities up to a quarter of the effective number of features: nearer to it each has its own dimension,
        and a second peak is certain."""
        limit = effective_features(self.features, span) / 4
        return tuple(m for m in sorted(self.capacities) if m <= limit)

    def cells(self) -> list[Cell]:
        """A cell an optimiser, span and kind of inputs."""
        found = []
        for name, rate in zip(self.optimizers, self.capacity_rates, strict=True):
            optimizers.check(name, "optimizers")
            for span in self.spans:
                held = self.limited(span)
                require(bool(held), "spans", span, "must leave capacities up to a quarter of the effective features")
                own = {"hidden": held, "init_scale": (0.1,), "learning_rate": (rate,), "span": (span,)}
                for kind, more in _by_inputs(self.actives):
                    study = kind(
                        part="capacity", features=self.features, widest=max(self.capacities), optimizer=name,
                        falls_over=self.capacity_steps, measures=capacity_measures(kind),
                    )  # fmt: skip
                    found.append(cell(study, {**own, **more}, seeds=self.capacity_seeds, steps=self.capacity_steps))
        return [*found, self._linear()]

    def _linear(self) -> Cell:
        """For controls: a linear output, whose dimensions are principal components, where importances differ."""
        study = OneActive(
            part="capacity", features=self.features, widest=max(self.capacities), activation="linear", optimizer="adam",
            falls_over=self.capacity_steps, measures=capacity_measures(OneActive, "linear"),
        )  # fmt: skip
        own = {"hidden": sorted(self.capacities), "init_scale": (0.1,), "learning_rate": (0.01,), "span": (_LINEAR,)}
        made = cell(study, own, seeds=self.capacity_seeds, steps=self.capacity_steps)
        return dataclasses.replace(made, control=True)


def _by_inputs(actives: Sequence[float]) -> list[tuple[type[OneActive], Settings]]:
    several = tuple(each for each in actives if each > 0)
    found: list[tuple[type[OneActive], Settings]] = [(Independent, {"active": several})] if several else []
    return found + ([(OneActive, {})] if 0 in actives else [])


def capacity_measures(kind: type[OneActive], activation: str = "relu") -> tuple[Measure, ...]:
    """Of the capacity sweep: capability, what is understood of it, features kept, dimensions each."""
    errors = understanding.Errors(issubclass(kind, Independent), activation)
    return (understanding.capability(errors), *understanding.interpretable(errors), measures.KEPT, measures.EACH)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Lines of dimensionality, in the published set-up and with each of its traps. Raises ArgumentError if a field is
    not allowed."""

    geometry_features: int = flag(200, "Features F of the geometry.")
    geometry_hidden: int = flag(20, "Dimensions m of the geometry.")
    levels: tuple[int, ...] = flag((6, 9), "Levels k of the published twenty: a feature is active with 20^(-k/19).")
    starts: tuple[float, ...] = flag((0.0213,), "Standard deviations of W at the start, of the geometry.")
    decays: tuple[float, ...] = flag((0.01,), "Weight decays of the geometry.")
    geometry_rate: float = flag(0.001, "Learning rate of the geometry.")
    batch: int = flag(128, "Inputs of a step of the geometry.")
    geometry_steps: int = flag(1000, "Steps of the geometry.")
    geometry_seeds: int = flag(24, "Seeds of the geometry.")
    falling: bool = flag(False, "Whether the geometry is run with rates that fall to zero, too.")
    as_published: bool = flag(False, "Whether the geometry is run with batches of 1,024 and for 10,000 steps, too.")

    def __post_init__(self):
        counts = ("geometry_features", "geometry_hidden", "geometry_steps", "geometry_seeds", "batch")
        _check(
            self, lists=("levels", "starts", "decays"), counts=counts,
            settings={"starts": "init_scale", "decays": "weight_decay", "geometry_rate": "learning_rate"},
        )  # fmt: skip
        for level in self.levels:
            require(0 <= level <= 19, "levels", level, "must be from 0 to 19")
        fits = self.geometry_hidden <= self.geometry_features
        require(fits, "geometry_hidden", self.geometry_hidden, f"must be at most {self.geometry_features}")

    def cells(self) -> list[Cell]:
        """Cells of the set-up that the first of the starts and decays and a rate that stays make, and of each other
        start and decay, and a rate that falls, by itself."""
        first = {"init_scale": self.starts[:1], "weight_decay": self.decays[:1]}
        several: list[tuple[int, Settings]] = [(0, {}), *[(0, {"init_scale": (each,)}) for each in self.starts[1:]]]
        several += [(0, {"weight_decay": (each,)}) for each in self.decays[1:]]
        several += [(self.geometry_steps, {})] if self.falling else []
        own = {
            "hidden": (self.geometry_hidden,), "active": [20 ** (-level / 19) for level in self.levels],
            "learning_rate": (self.geometry_rate,),
        }  # fmt: skip
        found = [
            self._cell("geometry", {**own, **first, **other}, self.batch, self.geometry_steps, over)
            for over, other in several
        ]
        if self.as_published:
            found.append(self._cell("published geometry", {**own, **first}, *_PUBLISHED, 0))
        return found

    def _cell(self, part: str, settings: Settings, batch: int, steps: int, over: int) -> Cell:
        study = Independent(
            part=part, features=self.geometry_features, widest=self.geometry_hidden, optimizer="adam",
            batch_size=batch, falls_over=over, measures=(measures.KEPT, measures.EACH, *measures.LINES_FOUND),
        )  # fmt: skip
        return cell(study, settings, seeds=self.geometry_seeds, steps=steps)


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Which polygon is reached in two dimensions by the exact loss. Raises ArgumentError if a field is not allowed."""

    polygon_features: tuple[int, ...] = flag((6,), "Features F in two dimensions.")
    shape_optimizers: tuple[str, ...] = flag(("sgd", "adam"), "Optimisers of the shapes.")
    scales: tuple[float, ...] = flag((0.01, 0.1, 1.0), "Standard deviations of W at the start, of the shapes.")
    rates: tuple[float, ...] = flag((0.01, 0.1), "Learning rates, where they start to fall, of the shapes.")
    shape_decays: tuple[float, ...] = flag((0.0,), "Weight decays of the shapes; of adam, 0.01 is AdamW.")
    shape_steps: int = flag(1500, "Steps of the shapes.")
    shape_seeds: int = flag(256, "Seeds of the shapes.")

    def __post_init__(self):
        names = {"scales": "init_scale", "rates": "learning_rate", "shape_decays": "weight_decay"}
        lists = ("polygon_features", "shape_optimizers", *names)
        _check(self, lists=lists, counts=("shape_steps", "shape_seeds"), settings=names)
        for features in self.polygon_features:
            require(3 <= features <= 16, "polygon_features", features, "must be from 3 to 16")

    def cells(self) -> list[Cell]:
        """A cell an optimiser and number of features."""
        own = {
            "hidden": (2,), "init_scale": self.scales, "learning_rate": self.rates, "weight_decay": self.shape_decays,
        }  # fmt: skip
        found = []
        for features in self.polygon_features:
            for name in self.shape_optimizers:
                optimizers.check(name, "shape_optimizers")
                study = OneActive(
                    part="shapes", features=features, widest=2, optimizer=name, falls_over=self.shape_steps,
                    measures=(measures.KEPT, measures.sides(features), measures.FINAL),
                )  # fmt: skip
                found.append(cell(study, own, seeds=self.shape_seeds, steps=self.shape_steps))
        return found


@dataclasses.dataclass(frozen=True)
class Published:
    """Small models whose features are counted: five features in two dimensions, twenty in five, two in one. Raises
    ArgumentError if a field is not allowed."""

    pentagon_actives: tuple[float, ...] = flag((0.2, 0.05, 0.01), "Probabilities p of the five features.")
    twenty_actives: tuple[float, ...] = flag((0.1, 0.03, 0.01), "Probabilities p of the twenty features.")
    phase_actives: tuple[float, ...] = flag((1.0, 0.3, 0.1, 0.03), "Probabilities p of the two features.")
    phase_spans: tuple[float, ...] = flag((1.0, 2.0, 4.0), "Importance of the first of two over the second.")
    published_rate: float = flag(0.01, "Learning rate of the small models, where it starts to fall.")
    published_steps: int = flag(1500, "Steps of the small models.")
    published_seeds: int = flag(32, "Seeds of the small models.")

    def __post_init__(self):
        names = {
            "pentagon_actives": "active", "twenty_actives": "active", "phase_actives": "active",
            "phase_spans": "span", "published_rate": "learning_rate",
        }  # fmt: skip
        lists = [name for name in names if name != "published_rate"]
        _check(self, lists=lists, counts=("published_steps", "published_seeds"), settings=names)

    def cells(self) -> list[Cell]:
        """The pentagon, the twenty with either output, and the phase diagram."""
        how = {"seeds": self.published_seeds, "steps": self.published_steps}
        start = {"init_scale": (0.1,), "learning_rate": (self.published_rate,)}
        pentagon = self._study("pentagon", 5, 2, "relu")
        own = start | {"hidden": (2,), "active": self.pentagon_actives, "span": (0.9**-4,)}
        found = [cell(pentagon, own, **how)]
        own = start | {"hidden": (5,), "active": self.twenty_actives, "span": (0.7**-19,)}
        found += [cell(self._study("twenty", 20, 5, each), own, **how) for each in ("relu", "linear")]
        own = start | {"hidden": (1,), "active": self.phase_actives, "span": self.phase_spans}
        return [*found, cell(self._study("phase", 2, 1, "relu"), own, **how)]

    def _study(self, part: str, features: int, widest: int, activation: str) -> Independent:
        return Independent(
            part=part, features=features, widest=widest, activation=activation, optimizer="adam", batch_size=512,
            falls_over=self.published_steps, measures=(measures.KEPT, measures.EACH, measures.PENTAGON),
        )  # fmt: skip
