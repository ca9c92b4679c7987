# SPDX-License-Identifier: Apache-2.0
"""What is counted of a layer of neurons: monosemantic ones, those that are alive, and the loss.

A neuron is monosemantic if max_i a_i / sum_i a_i is above a threshold, a_i what it does when feature i alone is there.
The published threshold is 0.999 (Jermyn, Schiefer and Hubinger, 2022, arXiv 2211.09169). Losses are compared by their
logarithms, so that a difference is a factor, whatever the features' variance.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxmyopia.measures import Measure

RATIO = (0.999, 0.99, 0.9999)  # above which a neuron is monosemantic, the published one first


def _count(curves: Any, ratio: Any) -> jax.Array:
    found = curves["ratios"][-1]
    return (found > ratio).sum(axis=1).astype(found.dtype)


def _alive(curves: Any) -> jax.Array:
    found = curves["ratios"][-1]
    return (found > 0).sum(axis=1).astype(found.dtype)


def _share(curves: Any, ratio: Any) -> jax.Array:
    alive = _alive(curves)
    return _count(curves, ratio) / jnp.maximum(alive, jnp.ones_like(alive))


def _log_loss(curves: Any) -> jax.Array:
    return jnp.log(curves["loss"][-1])


def _unexplained(curves: Any) -> jax.Array:
    return curves["loss"][-1] / curves["blank"][-1]


MONOSEMANTIC = Measure("monosemantic", _count, unroll=True, ratio=RATIO)  # neurons, at the end
ALIVE = Measure("alive", _alive)  # neurons that some single feature activates
MONOSEMANTIC_SHARE = Measure("monosemantic_share", _share, unroll=True, range=(0, 1), ratio=RATIO)  # of those alive
LOG_LOSS = Measure("log_loss", _log_loss)  # at the end
UNEXPLAINED = Measure("unexplained", _unexplained)  # the loss at the end, over that of answering 0
MEASURES = (MONOSEMANTIC, ALIVE, MONOSEMANTIC_SHARE, LOG_LOSS, UNEXPLAINED)
