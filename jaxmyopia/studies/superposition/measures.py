# SPDX-License-Identifier: Apache-2.0
"""What is measured of a trained model of superposition: dimensions of features, and how much can be understood.

A model's W is `(M, F)`, its rows beyond m zeros; W_i is a column, ^W_i the same at length 1.

  dimensions of a feature      D_i = |W_i|^2 / sum_j (^W_i . W_j)^2, 0 of a zero column; their sum is at most m
  dimensions each feature has  D* = m / |W|_F^2, which may be more than 1
  excess of a line at d        the share of features with |D_i - d| < w, less half of that with w <= |D_i - d| < 3 w:
                               0 on average of any density that is linear there
  capability                   1 - L / V: the share of the importance-weighted variance that is explained

Interpretable capability is what is left of it once all is ablated but the features understood. Those are the features
with a dimension of their own, D_i >= threshold; as `pairs`, also antipodal pairs: both have at least half of the
threshold, and their cosine is at most -threshold. Columns of the others are zero, their outputs their means, and each
bias of those kept is fitted again (`refitted`) or as it was trained (`trained`).

A share below 0, which biases as trained can give, counts as 0. Independent inputs are 2,048 that are the same for all
models; where one feature is active errors are exact.

Source: Elhage et al. (2022), "Toy Models of Superposition", for D_i and D*.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure
from jaxmyopia.studies.superposition.model import ACTIVATIONS, errors_of_one, inputs, on, variance
from jaxmyopia.studies.superposition.polygons import polygons

LINES = {"1/2": 1 / 2, "3/4": 3 / 4, "2/3": 2 / 3, "2/5": 2 / 5, "3/8": 3 / 8, "1": 1.0}
SAMPLE = 2048
LEAST = 0.02  # capability, of which a fraction is defined
STILL = 0.01  # length of a gradient: below it a model is at rest
_TINY = 1e-12  # squared lengths that are none
_ROUNDS = 12  # of fitting a bias


def dimensions(weights: jax.Array) -> jax.Array:
    """D_i of the module.

    >>> dimensions(jnp.asarray([[1.0, -1.0, 0.0]])).tolist()  # a pair, and a feature that is not there
    [0.5, 0.5, 0.0]

    Args:
      weights: `(M, F)`.

    Returns:
      `(F,)`.
    """
    overlaps = jnp.square(weights.T @ weights)
    lengths = jnp.square(weights).sum(axis=0)
    there = lengths > _TINY
    return jnp.where(there, lengths * lengths / jnp.where(there, overlaps.sum(axis=1), 1), 0)


def dimensions_each(weights: jax.Array) -> jax.Array:
    """D* of the module: of W `(M, F)`, a scalar; rows of zeros are no dimensions."""
    dimension = (jnp.square(weights).sum(axis=1) > 0).sum().astype(weights.dtype)
    return dimension / jnp.maximum(jnp.square(weights).sum(), _TINY)


def line_excess(found: jax.Array, line: float, width: jax.Array | float) -> jax.Array:
    """The excess of a line over its surroundings.

    Args:
      found: `(F,)` D_i.
      line: d.
      width: w.

    Returns:
      A scalar in [-1/2, 1].
    """
    off = jnp.abs(found - line)
    near, around = off < width, (off >= width) & (off < 3 * width)
    return near.mean(dtype=found.dtype) - around.mean(dtype=found.dtype) / 2


def understood(weights: jax.Array, threshold: jax.Array | float, what: str) -> jax.Array:
    """Which features are understood.

    Args:
      weights: `(M, F)`.
      threshold: of a dimension of one's own.
      what: `own`, or `pairs` too.

    Returns:
      `(F,)` bool.
    """
    found = dimensions(weights)
    own = found >= threshold
    if what == "own":
        return own
    units = weights / jnp.sqrt(jnp.maximum(jnp.square(weights).sum(axis=0), _TINY))[None]
    half = found >= threshold / 2
    return own | (half & ((units.T @ units <= -threshold) & half[None]).any(axis=1))


@dataclasses.dataclass(frozen=True)
class Errors:
    """The expected squared error of each output, with all columns or some.

    `independent`: whether inputs are sampled, or exactly one feature is active. `activation`: of the outputs.
    """

    independent: bool
    activation: str

    def variance(self, model: jax.Array, active: jax.Array) -> jax.Array:
        """Of a feature of a model `(M + 1, F)`, a scalar."""
        return jnp.asarray(variance(model.shape[1], active if self.independent else None), model.dtype)

    def sample(self, features: int, active: jax.Array) -> jax.Array:
        """Inputs `(N, F)`, the same for every model of one p."""
        uniform = jax.random.uniform(jax.random.key(2048), (SAMPLE, features), active.dtype)
        return inputs(uniform, active)

    def of(self, weights: jax.Array, biases: jax.Array, active: jax.Array) -> jax.Array:
        """By output, `(F,)`, of W `(M, F)`, b `(F,)` and p."""
        if not self.independent:
            return errors_of_one(weights.T @ weights, biases, self.activation)
        x = self.sample(weights.shape[1], active)
        out = ACTIVATIONS[self.activation](x @ weights.T @ weights + biases[None])
        return jnp.square(x - out).mean(axis=0)

    def refitted(self, weights: jax.Array, biases: jax.Array, active: jax.Array) -> jax.Array:
        """The least, by output, that any bias gives: as `of`, by repeated means of what is lacking where r > 0.

        The bias b = E[(x - W_j . h) | r > 0] is the best one for a given set where the output is on; from four starts,
        the least of all that is met is taken, which is never more than with the given biases.
        """
        step = self._on_sample(weights, active) if self.independent else self._on_one(weights)
        starts = jnp.stack([biases, jnp.zeros_like(biases), jnp.full_like(biases, -0.3), jnp.full_like(biases, 0.1)])

        def fit(start):
            def round_(carry, _):
                bias, least = carry
                error, better = step(bias)
                return (better, jnp.minimum(least, error)), None

            return jax.lax.scan(round_, (start, jnp.full_like(start, jnp.inf)), length=_ROUNDS)[0][1]

        return jax.lax.map(fit, starts).min(axis=0)

    def _on_sample(self, weights, active):
        x = self.sample(weights.shape[1], active)
        drive = x @ weights.T @ weights

        def step(bias):
            before = drive + bias[None]
            fires = (before > 0) | (self.activation == "linear")
            error = jnp.square(x - jnp.where(fires, before, 0)).mean(axis=0)
            many = fires.sum(axis=0)
            better = jnp.where(fires, x - drive, 0).sum(axis=0) / jnp.maximum(many, 1).astype(x.dtype)
            return error, jnp.where(many > 0, better, bias)

        return step

    def _on_one(self, weights):
        gains = weights.T @ weights
        slope = jnp.eye(gains.shape[0], dtype=gains.dtype) - gains

        def step(bias):
            error = errors_of_one(gains, bias, self.activation)
            low, high = (
                on(gains, bias[None]) if self.activation == "relu" else (jnp.zeros_like(gains), jnp.ones_like(gains))
            )
            share = (high - low).sum(axis=0)
            lacking = (slope * (high**2 - low**2) / 2).sum(axis=0)
            return error, jnp.where(share > 0, lacking / jnp.where(share > 0, share, 1), bias)

        return step


@dataclasses.dataclass(frozen=True)
class Capability:
    """Capability and what is understood of it, by name, `(S,)` each, of curves `(T, S, ...)`; see the module."""

    errors: Errors

    def __call__(self, curves: Curves, threshold: jax.Array, understood: str, bias: str) -> dict[str, jax.Array]:
        """At one choice of definitions."""

        def one(given):
            model, importance, active = given
            return self.of_one(model, importance, active, threshold, understood, bias)

        final = curves["model"][-1], curves["importance"][-1], curves["active"][-1]
        return jax.lax.map(one, final)

    def of_one(
        self, model: jax.Array, importance: jax.Array, active: jax.Array, threshold: jax.Array, what: str, bias: str
    ) -> dict[str, jax.Array]:
        """Of one model `(M + 1, F)`; scalars."""
        weights, biases = model[:-1], model[-1]
        apart = self.errors.variance(model, active)
        whole = (importance * (apart - self.errors.of(weights, biases, active))).sum()
        kept = understood(weights, threshold, what)
        fit = self.errors.refitted if bias == "refitted" else self.errors.of
        left = fit(jnp.where(kept, weights, 0), biases, active)
        total = jnp.where(kept, importance * (apart - left), 0).sum()
        fraction = jnp.where(whole >= LEAST, total / whole, jnp.nan)
        return {"total": jnp.clip(total, 0, 1), "fraction": jnp.clip(fraction, 0, 1)}


def interpretable(errors: Errors) -> tuple[Measure, Measure]:
    """Total interpretable capability, and its fraction of capability, over definitions; conditions: what is understood.

    Args:
      errors: of the inputs and outputs of the study.

    Returns:
      Both measures, with one function and grid.
    """
    grid: dict[str, Any] = {
        "threshold": (0.9, 0.8, 0.95), "understood": ("own", "pairs"), "bias": ("refitted", "trained"),
    }  # fmt: skip
    total, fraction = (
        Measure(part, Capability(errors), part=part, range=(0, 1), conditions=("understood",), **grid)
        for part in ("total", "fraction")
    )
    return total, fraction


@dataclasses.dataclass(frozen=True)
class Explained:
    """Capability, `(S,)`; see the module."""

    errors: Errors

    def __call__(self, curves: Curves) -> jax.Array:
        """At the last record."""

        def one(given):
            model, importance, active = given
            return (
                importance * (self.errors.variance(model, active) - self.errors.of(model[:-1], model[-1], active))
            ).sum()

        return jax.lax.map(one, (curves["model"][-1], curves["importance"][-1], curves["active"][-1]))


def capability(errors: Errors) -> Measure:
    """Capability, for inputs and outputs of a study."""
    return Measure("capability", Explained(errors), range=(-1, 1))


def _each(curves: Curves, of_one) -> jax.Array:
    return jax.vmap(of_one)(curves["model"][-1])


def _kept(curves: Curves, length: jax.Array) -> jax.Array:
    return _each(curves, lambda model: (jnp.square(model[:-1]).sum(axis=0) >= length**2).sum()).astype(length.dtype)


KEPT = Measure("kept", _kept, length=(0.5, 0.3, 0.7))
EACH = Measure("dimensions_each", lambda curves: _each(curves, lambda model: dimensions_each(model[:-1])))


PENTAGON = Measure(
    "pentagon",
    lambda curves, within: _each(curves, lambda model: (jnp.abs(dimensions(model[:-1]) - 2 / 5) < within).all()).astype(
        within.dtype
    ),
    range=(0, 1),
    within=(0.05, 0.02, 0.1),
)


@dataclasses.dataclass(frozen=True)
class Lines:
    """The excess of one or several lines together, `(S,)`.

    `at`: the lines. `of`: of `trained` dimensions; or, as nulls, of dimensions at the first record (`untrained`), of
    trained ones with normal noise of 0.05 (`blurred`), or of numbers uniform on (0, 1) (`uniform`).
    """

    at: tuple[float, ...]
    of: str = "trained"

    def __call__(self, curves: Curves, width: jax.Array) -> jax.Array:
        """At one width."""
        models = curves["model"][0 if self.of == "untrained" else -1]
        keys = jax.random.split(jax.random.key(5), models.shape[0])

        def one(model: jax.Array, key: jax.Array) -> jax.Array:
            found = dimensions(model[:-1])
            if self.of == "blurred":
                found = found + 0.05 * jax.random.normal(key, found.shape, found.dtype)
            if self.of == "uniform":
                found = jax.random.uniform(key, found.shape, found.dtype)
            return jnp.stack([line_excess(found, line, width) for line in self.at]).sum()

        return jax.vmap(one)(models, keys)


WIDTHS = (0.005, 0.0025, 0.01)
_OTHERS = tuple(at for name, at in LINES.items() if name not in ("1/2", "1"))
HALF = Measure("line_half", Lines((0.5,)), range=(-0.5, 1), width=WIDTHS)
OTHER = Measure("line_other", Lines(_OTHERS), range=(-2, 1), width=WIDTHS)
ONES = {  # each of the other lines by itself, for figures and tables
    name: Measure(f"line_{name.replace('/', '_of_')}", Lines((at,)), range=(-0.5, 1), width=(WIDTHS[0],))
    for name, at in LINES.items()
    if name != "1/2"
}
NULLS = {
    kind: (
        Measure(f"{kind}_half", Lines((0.5,), kind), range=(-0.5, 1), width=WIDTHS),
        Measure(f"{kind}_other", Lines(_OTHERS, kind), range=(-2, 1), width=WIDTHS),
    )
    for kind in ("untrained", "blurred", "uniform")
}
LINES_FOUND = (HALF, OTHER, *ONES.values(), *(each for pair in NULLS.values() for each in pair))
FINAL = Measure("final_loss", lambda curves: curves["loss"][-1])


@dataclasses.dataclass(frozen=True)
class Sides:
    """How many sides the polygon has whose loss a model has met, `(S,)`.

    0 if it has met none, and -1 if it moves still: if the gradient of the exact loss is longer than `STILL`.
    """

    features: int

    def __call__(self, curves: Curves, within: jax.Array) -> jax.Array:
        """`within`: how far the loss may be off."""
        loss, kept = curves["loss"][-1], _kept(curves, jnp.asarray(0.5, curves["loss"].dtype))
        found = jnp.zeros_like(loss)
        for each in polygons(self.features):
            met = (jnp.abs(loss - jnp.asarray(each.loss, loss.dtype)) < within) & (kept == each.sides)
            found = jnp.where(met, each.sides, found)
        slope = jax.vmap(jax.grad(_exact))(curves["model"][-1], curves["importance"][-1])
        return jnp.where(jnp.square(slope).sum(axis=(1, 2)) < STILL**2, found, -1)


def _exact(model: jax.Array, importance: jax.Array) -> jax.Array:
    return (importance * errors_of_one(model[:-1].T @ model[:-1], model[-1])).sum()


def sides(features: int) -> Measure:
    """The polygon that is met, by its sides, of F features in two dimensions whose importances are alike."""
    return Measure("sides", Sides(features), range=(-1, features), within=(1e-3, 3e-4, 1e-2))
