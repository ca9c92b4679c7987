# SPDX-License-Identifier: Apache-2.0
"""Capability, and how much of it can be understood.

Capability is 1 - L / V, the share of the importance-weighted variance that a model explains. Interpretable capability
is what is left of it once all is ablated but the features understood. Those are the features with a dimension of their
own, D_i >= threshold; as `pairs`, also antipodal pairs: both have at least half of the threshold, and their cosine is
at most -threshold. Columns of the others are zero, their outputs their means, and each bias of those kept is fitted
again (`refitted`) or as it was trained (`trained`).

A share below 0, which biases as trained can give, counts as 0. Independent inputs are 2,048 that are the same for all
models; where one feature is active errors are exact.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure
from jaxmyopia.studies.superposition.measures import TINY, dimensions
from jaxmyopia.studies.superposition.model import ACTIVATIONS, errors_of_one, inputs, on, variance

SAMPLE = 2048
LEAST = 0.02  # capability, of which a fraction is defined
_ROUNDS = 8  # of fitting a bias


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
    units = weights / jnp.sqrt(jnp.maximum(jnp.square(weights).sum(axis=0), TINY))[None]
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

        The bias b = E[(x - W_j . h) | r > 0] is the best one for a given set where the output is on; from three starts,
        the least of all that is met is taken, which is never more than with the given biases.
        """
        step = self._on_sample(weights, active) if self.independent else self._on_one(weights)
        starts = jnp.stack([biases, jnp.zeros_like(biases), jnp.full_like(biases, -0.3)])

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
