# SPDX-License-Identifier: Apache-2.0
"""What is measured of a trained model of superposition: dimensions of features, lines among them, polygons.

A model's W is `(M, F)`, its rows beyond m zeros; W_i is a column, ^W_i the same at length 1.

  dimensions of a feature      D_i = |W_i|^2 / sum_j (^W_i . W_j)^2, 0 of a zero column; their sum is at most m
  dimensions each feature has  D* = m / |W|_F^2, which may be more than 1
  excess of a line at d        the share of features with |D_i - d| < w, less half of that with w <= |D_i - d| < 3 w:
                               0 on average of any density that is linear there

Source: Elhage et al. (2022), "Toy Models of Superposition", for D_i and D*.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure
from jaxmyopia.studies.superposition import exact
from jaxmyopia.studies.superposition.polygons import polygons

LINES = {"1/2": 1 / 2, "3/4": 3 / 4, "2/3": 2 / 3, "2/5": 2 / 5, "3/8": 3 / 8, "1": 1.0}
STILL = 0.01  # length of a gradient: below it a model is at rest
TINY = 1e-12  # squared lengths that are none


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
    there = lengths > TINY
    return jnp.where(there, lengths * lengths / jnp.where(there, overlaps.sum(axis=1), 1), 0)


def dimensions_each(weights: jax.Array) -> jax.Array:
    """D* of the module: of W `(M, F)`, a scalar; rows of zeros are no dimensions."""
    dimension = (jnp.square(weights).sum(axis=1) > 0).sum().astype(weights.dtype)
    return dimension / jnp.maximum(jnp.square(weights).sum(), TINY)


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


def _key_of(start: jax.Array) -> jax.Array:
    """A key of its own for each start `(M + 1, F)`: from the bits of the first entries of W, which are drawn."""
    words = jax.lax.bitcast_convert_type(start[0, :2].astype(jnp.float32), jnp.uint32)
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(5), words[0]), words[1])


@dataclasses.dataclass(frozen=True)
class Lines:
    """The excess of one or several lines together, `(S,)`.

    `at`: the lines. `of`: of `trained` dimensions; or, as nulls, of dimensions at the first record (`untrained`), of
    trained ones with normal noise of 0.05 (`blurred`), or of numbers uniform on (0, 1) (`uniform`). What is drawn
    hangs on a seed's start alone, not on its place among others.
    """

    at: tuple[float, ...]
    of: str = "trained"

    def __call__(self, curves: Curves, width: jax.Array) -> jax.Array:
        """At one width."""
        models = curves["model"][0 if self.of == "untrained" else -1]

        def one(model: jax.Array, start: jax.Array) -> jax.Array:
            found, key = dimensions(model[:-1]), _key_of(start)
            if self.of == "blurred":
                found = found + 0.05 * jax.random.normal(key, found.shape, found.dtype)
            if self.of == "uniform":
                found = jax.random.uniform(key, found.shape, found.dtype)
            return jnp.stack([line_excess(found, line, width) for line in self.at]).sum()

        return jax.vmap(one)(models, curves["model"][0])


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
        slope = jax.vmap(exact.slope)(curves["model"][-1], curves["importance"][-1])
        return jnp.where(jnp.square(slope).sum(axis=(1, 2)) < STILL**2, found, -1)


def sides(features: int) -> Measure:
    """The polygon that is met, by its sides, of F features in two dimensions whose importances are alike."""
    return Measure("sides", Sides(features), range=(-1, features), within=(1e-3, 3e-4, 1e-2))
