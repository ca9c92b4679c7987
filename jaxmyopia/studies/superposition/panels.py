# SPDX-License-Identifier: Apache-2.0
"""How the seed explorer draws a model of superposition: its features in the plane, their lengths and dimensions."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.report.explorer import Panel
from jaxmyopia.studies.superposition.measures import dimensions


def _in_plane(model: np.ndarray) -> np.ndarray | None:
    """The columns of W, `(T, 2, F)`, of a model `(T, M + 1, F)` with two dimensions; None where it has more, or one."""
    weights = model[:, :-1]
    plane = weights.shape[1] >= 2 and not weights[:, 2:].any() and weights[:, 1].any()
    return weights[:, :2] if plane else None


def _lengths(model: np.ndarray) -> np.ndarray:
    """|W_i|, `(T, F)`."""
    return np.linalg.norm(model[:, :-1], axis=1)


def dimensions_of(models: np.ndarray) -> np.ndarray:
    """The dimensions D_i of features, `(S, F)`, of models `(S, M + 1, F)`."""
    return np.asarray(jax.vmap(dimensions)(jnp.asarray(models[:, :-1])))


PANELS = (
    Panel(("model",), "Features in the plane: columns of W", "vectors", make=_in_plane, across="feature"),
    Panel(("model",), "Lengths of the features", "profile", make=_lengths, across="feature"),
    Panel(("model",), "Dimensions of the features", "profile", make=dimensions_of, across="feature"),
)
