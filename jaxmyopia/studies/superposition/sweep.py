# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the claims about superposition and monosemantic neurons: parts, with presets."""

import dataclasses

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import flag, has, only
from jaxmyopia.studies.superposition import neurons
from jaxmyopia.studies.superposition.parts import Capacity, Geometry, Published, Shapes
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

PARTS = ("capacity", "published", "shapes", "geometry", "neurons")


@dataclasses.dataclass(frozen=True)
class Neurons:
    """Monosemantic neurons. Raises ArgumentError if a field is not allowed."""

    neuron_seeds: int = flag(24, "Seeds of the monosemantic neurons.")
    neuron_steps: int = flag(neurons.HORIZON, "Steps of the monosemantic neurons.")
    numbers: tuple[int, ...] = flag(neurons.NEURONS, "Numbers of neurons k.")
    biases: tuple[float, ...] = flag(neurons.BIASES, "Start biases of the neurons.")

    def __post_init__(self):
        conform(self)
        for name in ("neuron_seeds", "neuron_steps"):
            require(
                1 <= getattr(self, name) < 2**31, name, getattr(self, name), f"must be at least 1, at most {2**31 - 1}"
            )
        for name in ("numbers", "biases"):
            values = getattr(self, name)
            require(
                0 < len(set(values)) == len(values), name, values, "must be a list without repeats, not an empty one"
            )
        check_settings((("biases", self.biases),))
        for number in self.numbers:
            require(1 <= number <= 2**16, "numbers", number, "must be from 1 to 65536")

    def cells(self) -> list[Cell]:
        """One cell."""
        return neurons.cells(self.neuron_seeds, steps=self.neuron_steps, initial_bias=self.biases, neurons=self.numbers)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the interpretability experiment is; each field is a flag. Raises ArgumentError if one is not
    allowed."""

    parts: tuple[str, ...] = flag(PARTS[:3], "What is run: capacity, published, shapes, geometry, neurons.")
    capacity: Capacity = dataclasses.field(default_factory=Capacity, metadata=only(has("parts", "capacity")))
    published: Published = dataclasses.field(default_factory=Published, metadata=only(has("parts", "published")))
    shapes: Shapes = dataclasses.field(default_factory=Shapes, metadata=only(has("parts", "shapes")))
    geometry: Geometry = dataclasses.field(default_factory=Geometry, metadata=only(has("parts", "geometry")))
    neurons: Neurons = dataclasses.field(default_factory=Neurons, metadata=only(has("parts", "neurons")))

    def __post_init__(self):
        conform(self)
        require(0 < len(set(self.parts)) == len(self.parts), "parts", self.parts, "must be a list without repeats")
        for name in self.parts:
            require_one_of("parts", name, PARTS)

    def cells(self) -> list[Cell]:
        """The cells of every part asked for, in their order."""
        return [cell for name in self.parts for cell in getattr(self, name).cells()]


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(
        parts=PARTS,
        capacity=Capacity(
            capacities=(2, 3, 4, 5, 6, 7, 8, 10, 13, 16), actives=(0.5, 0.3, 0.1, 0.0), spans=(1.0, 50.0),
            optimizers=("adam", "sgd"), capacity_rates=(0.01, 0.3), capacity_steps=1000, capacity_seeds=64,
        ),
        published=Published(
            pentagon_actives=(0.5, 0.2, 0.1, 0.05, 0.02, 0.01), twenty_actives=(0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003),
            phase_actives=(1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01), phase_spans=(1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
            published_steps=3000, published_seeds=64,
        ),
        shapes=Shapes(
            scales=(0.01, 0.1, 0.3, 1.0), rates=(0.01, 0.03, 0.1, 0.3, 1.0), shape_decays=(0.0, 0.01), shape_steps=1500,
            shape_seeds=4096,
        ),
        geometry=Geometry(
            levels=(6, 9, 12), starts=(0.0213, 0.095), decays=(0.01, 0.0), falling=True, as_published=True,
            geometry_steps=5000, geometry_seeds=24,
        ),
        neurons=Neurons(numbers=(64, 128), biases=(0.0, -1.0)),
    ),
}  # fmt: skip
