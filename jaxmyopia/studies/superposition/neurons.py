# SPDX-License-Identifier: Apache-2.0
"""Monosemantic neurons: features are read back from a fixed embedding by a layer of ReLU neurons, more than features.

Feature i of N is there with probability p_i, and then has a value from U(0, 1):

  x = E^T v            the embedder E (N, m), m < N, drawn for each seed and not trained, with rows of length 1
  h = ReLU(W x + b)    k neurons
  y = V h              loss  E_v sum_i (y_i - v_i)^2

p_i is the same for all, or falls as i^-power; their mean is `probability`. The set-up is that of Jermyn, Schiefer and
Hubinger (2022, arXiv 2211.09169), the feature decoder, made smaller: in brackets theirs. N 64 (512), m 32 (64), k up to
128 (1,024), two features a sample (8), batch 1,024 (8,192), 2,000 steps (131,072). As there: ReLU, LAMB, start values
of a linear layer, U(-1, 1)/sqrt(inputs), with the start bias added, and a bias that decays in the first half of
training. Otherwise than there:
  - The decay is 0.3 times the rate a step (0.03), since there are fewer steps: at a rate of 0.02 a bias without
    gradient falls to e^-6 of its start, as theirs does at 0.003. With less, many neurons that start dead stay so: at
    0.1 about 30 of 64 lived in the end (N 32, m 16, start bias -1, rates 0.01 and 0.02, 2 seeds each).
  - The rate falls along one half-wave of a cosine over the whole budget; theirs goes down and up every 1,024 steps.
  - LAMB corrects the bias of its moments and does not clip the length of weights.
  - E is Q of a QR decomposition, which has the angles of an SVD's U.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxmyopia.checks import require
from jaxmyopia.measures import Measure
from jaxmyopia.optimizers import Optimizer
from jaxmyopia.studies.superposition.neuron_measures import MEASURES
from jaxmyopia.studies.superposition.study import Falling
from jaxmyopia.study import Cell
from jaxmyopia.training import Training

HORIZON = 2000  # steps over which the rate falls, unless the optimiser says otherwise
DECAY = 0.3  # of the bias a step, in units of the rate
RATES, BIASES, NEURONS = (0.02,), (0.0, -0.25, -0.5, -1.0), (64, 96, 128)
RECORDS = 12  # each takes as long as a few steps, and the end alone is judged
_TINY = 1e-10  # beside a neuron's sum, so that a dead one's ratio is 0; as published


class Decoder(NamedTuple):
    """What is trained. `weights`: `(m, K)`, W of all neurons, turned. `bias`: `(K,)`. `readout`: `(K, N)`, V turned."""

    weights: jax.Array
    bias: jax.Array
    readout: jax.Array


@struct.dataclass
class Features:
    """The data. `embedder`: `(N, m)`. `values`: `(B, N)` features of B samples."""

    embedder: jax.Array
    values: jax.Array


def _decay_bias(rate: jax.Array, decay: float, until: int) -> optax.GradientTransformation:
    """After each of the first `until` steps, the bias times `1 - decay rate`."""

    def update(
        updates: optax.Updates, count: jax.Array, params: optax.Params | None = None
    ) -> tuple[optax.Updates, jax.Array]:
        kept = jnp.where(count < until, 1 - decay * rate, jnp.ones_like(rate))

        def decayed(path: tuple, change: jax.Array, value: jax.Array) -> jax.Array:
            is_bias = bool(path) and getattr(path[-1], "name", None) == "bias"
            return (value + change) * kept - value if is_bias else change

        return jax.tree_util.tree_map_with_path(decayed, updates, params), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


def lamb(learning_rate: chex.Numeric, *, horizon: int = HORIZON, decay: float = DECAY) -> optax.GradientTransformation:
    """LAMB with a rate that falls to 0 along a cosine, and a bias that decays in the first half.

    Args:
      learning_rate: at the first step, a scalar.
      horizon: steps until the rate is 0; the bias decays in half of them.
      decay: of the bias a step, in units of the first rate.

    Returns:
      The transformation; it decays what is called `bias`.
    """
    rate = jnp.asarray(learning_rate)
    return optax.chain(Falling("lamb", horizon)(rate), _decay_bias(rate, decay, horizon // 2))


def activations(decoder: Decoder, embedder: jax.Array) -> jax.Array:
    """What each neuron does when one feature alone is there, with value 1.

    Args:
      decoder: of one seed.
      embedder: `(N, m)`.

    Returns:
      `(K, N)`.
    """
    return jax.nn.relu(embedder @ decoder.weights + decoder.bias[None]).T


def ratios(decoder: Decoder, embedder: jax.Array) -> jax.Array:
    """How nearly each neuron answers to one feature: max_i a_i / (1e-10 + sum_i a_i) of its `activations`.

    >>> weights = jnp.asarray([[1.0, 1.0, -1.0], [0.0, 1.0, -1.0]])  # a column a neuron
    >>> ratios(Decoder(weights, jnp.zeros(3), jnp.zeros((3, 2))), jnp.eye(2)).tolist()
    [1.0, 0.5, 0.0]

    Args:
      decoder: of one seed.
      embedder: `(N, m)`.

    Returns:
      `(K,)`: 1 of a neuron with one feature, 0 of one that none activates.
    """
    active = activations(decoder, embedder)
    return active.max(axis=1) / (_TINY + active.sum(axis=1))


@dataclasses.dataclass(frozen=True)
class Monosemanticity(Training):
    """A layer of neurons that reads features back, of one seed.

    `features`: N. `dimensions`: m. `width`: the most neurons K; a trial has as many of them as its setting `neurons`
    says, and the others stay zero. `probability`: the mean of p_i. `power`: p_i falls as i^-power; published are 0 and
    1.1. `batch_size`: samples of a step. `evaluated`: samples of each seed on which the recorded loss is taken.

    Settings: `learning_rate`, `initial_bias` (the mean bias at the start; 0 and -1 are published), `neurons`.
    """

    features: int = 64
    dimensions: int = 32
    width: int = 128
    probability: float = 1 / 32
    power: float = 0.0
    batch_size: int = 1024
    evaluated: int = 2048
    optimizer: Optimizer = dataclasses.field(default=functools.partial(lamb, horizon=HORIZON), kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        for name in ("features", "dimensions", "width", "batch_size", "evaluated"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        allowed = f"must be at most {self.features}, the number of features"
        require(self.dimensions <= self.features, "dimensions", self.dimensions, allowed)
        require(0 < self.probability <= 1, "probability", self.probability, "must be above 0 and at most 1")
        require(0 <= self.power < np.inf, "power", self.power, "must be finite and at least 0")

    @property
    def standard(self) -> Sequence[Measure]:
        """Monosemantic neurons, those alive, and the loss."""
        return MEASURES

    @property
    def probabilities(self) -> np.ndarray:
        """p_i, `(N,)`: at most 1, where the power law asks for more, as published."""
        falling = 1 / np.arange(1, self.features + 1) ** self.power
        return np.minimum(self.probability * falling / falling.mean(), 1)

    def params(self, **columns: np.ndarray) -> dict[str, jax.Array]:
        """Params of S seeds.

        Args:
          **columns: the settings, `(S,)` each.

        Returns:
          A dict of float arrays `(S,)`.

        Raises:
          ArgumentError: if `neurons` is no whole number of them that there can be, or a value is not allowed.
        """
        for value in np.unique(columns.get("neurons", ())):
            fine = 1 <= value <= self.width and value == round(value)
            require(bool(fine), "neurons", float(value), f"must be a whole number from 1 to {self.width}, the width")
        return super().params(**columns)

    def init(self, key: jax.Array, *, initial_bias: jax.Array, neurons: jax.Array) -> tuple[Decoder, Features]:
        """The start and the data of one seed: neuron j is the same however many there are, but for its readout's scale.

        Args:
          key: of the seed; consumed.
          initial_bias: the mean bias, a scalar.
          neurons: how many there are, a scalar.

        Returns:
          The `Decoder`, zero beyond these neurons, and the `Features`.
        """
        embedding, drawn, values = jax.random.split(key, 3)
        embedder = jnp.linalg.qr(jax.random.normal(embedding, (self.features, self.dimensions)))[0]
        embedder /= jnp.linalg.norm(embedder, axis=1, keepdims=True)

        def one(j: jax.Array) -> Decoder:
            size = self.dimensions + 1 + self.features
            uniform = jax.random.uniform(jax.random.fold_in(drawn, j), (size,), minval=-1, maxval=1)
            weights, bias, readout = jnp.split(uniform, (self.dimensions, self.dimensions + 1))
            inner = jnp.sqrt(jnp.asarray(self.dimensions, uniform.dtype))
            there = (j.astype(neurons.dtype) < neurons).astype(uniform.dtype)
            made = Decoder(weights / inner, bias[0] / inner + initial_bias, readout / jnp.sqrt(neurons))
            return jax.tree.map(lambda each: there * each, made)

        decoder = jax.vmap(one)(jnp.arange(self.width))
        decoder = decoder._replace(weights=decoder.weights.T)
        return decoder, Features(embedder, self._draw(values, self.evaluated))

    def _draw(self, key: jax.Array, samples: int) -> jax.Array:
        """Features of so many samples, `(samples, N)`: one draw says whether each is there, and its value if it is."""
        uniform = jax.random.uniform(key, (samples, self.features))
        chance = jnp.broadcast_to(jnp.asarray(self.probabilities, uniform.dtype), uniform.shape)
        return jnp.where(uniform < chance, uniform / chance, jnp.zeros_like(uniform))

    def batch(self, key: jax.Array, data: Features) -> Features:
        """Fresh samples of the same embedding."""
        return dataclasses.replace(data, values=self._draw(key, self.batch_size))

    def loss(self, trained: Decoder, data: Features) -> jax.Array:
        """The squared error, summed over features and averaged over samples."""
        hidden = jax.nn.relu(data.values @ data.embedder @ trained.weights + trained.bias[None])
        return jnp.square(hidden @ trained.readout - data.values).sum(axis=1).mean()

    def observe(self, trained: Decoder, data: Features) -> dict[str, jax.Array]:
        """`ratios` `(K,)`, and `blank`, the loss of who answers 0 always."""
        found = ratios(trained, data.embedder)
        return {"ratios": found, "blank": jnp.square(data.values).sum(axis=1).mean()}


def cells(
    seeds: int,
    *,
    steps: int = HORIZON,
    power: float = 0.0,
    decay: Sequence[float] = (DECAY,),
    learning_rate: Sequence[float] = RATES,
    initial_bias: Sequence[float] = BIASES,
    neurons: Sequence[int] = NEURONS,
) -> list[Cell]:
    """What is run for the claims: a cell for each decay of the bias, whose rate falls over all of its steps.

    Args:
      seeds: for each combination of the settings.
      steps: the budget.
      power: of the features' probabilities.
      decay: of the bias a step, in units of the rate.
      learning_rate, initial_bias, neurons: the settings; 0 and -1 are the start biases that claims name.

    Returns:
      The cells; their width is the greatest number of neurons.
    """
    settings = {"learning_rate": learning_rate, "initial_bias": initial_bias, "neurons": neurons}
    found = []
    for each in decay:
        optimizer = functools.partial(lamb, horizon=steps, decay=each)
        study = Monosemanticity(width=max(neurons), power=power, optimizer=optimizer)
        found += study.cells(seeds=seeds, steps=steps, records=RECORDS, **settings)
    return found
