# SPDX-License-Identifier: Apache-2.0
"""Every path of the gradient against automatic differentiation of the losses as they are written in textbooks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmyopia.studies.lowrank.gradients import Path, block_size, choose_path
from jaxmyopia.studies.lowrank.layouts import FUSED_RANK, SEEDS_FIRST, SEEDS_LAST

SEEDS = 3
PATHS = [
    ("square", Path(layout=SEEDS_LAST, factored=False)),
    ("square", Path(layout=SEEDS_LAST, factored=True)),
    ("square", Path(layout=SEEDS_FIRST, factored=False)),
    ("square", Path(layout=SEEDS_FIRST, factored=True)),
    ("cross_entropy", Path(layout=SEEDS_LAST, factored=False)),
    ("cross_entropy", Path(layout=SEEDS_FIRST, factored=False)),
]


def textbook(loss: str, factors: jax.Array, target: jax.Array) -> jax.Array:
    """The sum of the losses of pairs `(S, 2, n, r)`."""
    z, c = (jnp.einsum("sik,sjk->sij", x[:, 0], x[:, 1]) for x in (factors, target))
    if loss == "square":
        return jnp.square(z - c).sum() / 2
    log_q, log_p = (x - jax.nn.logsumexp(x, axis=(1, 2), keepdims=True) for x in (z, c))
    return (jnp.exp(log_p) * (log_p - log_q)).sum()


def draw(
    seed: int, n: int, rank: int, target_rank: int, distance: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Factors at a distance from the target's, which reach into `rank` columns or are cut to them."""
    rng = np.random.default_rng(seed)
    target = scale * rng.normal(size=(SEEDS, 2, n, target_rank))
    near = np.zeros((SEEDS, 2, n, rank))
    shared = min(rank, target_rank)
    near[..., :shared] = target[..., :shared]
    return near + distance * rng.normal(size=near.shape), target


@functools.partial(jax.jit, static_argnums=(0, 1))
def by_path(loss: str, path: Path, factors: jax.Array, target: jax.Array) -> jax.Array:
    """The gradient `(S, 2, n, r)` on a path."""
    arrange = jax.vmap(path.layout.turn, out_axes=path.layout.seed_axis)
    found = path.gradient(loss, arrange(factors), path.prepare(loss, arrange(target)))
    return jax.vmap(path.layout.turn, in_axes=path.layout.seed_axis)(found)


by_autodiff = jax.jit(jax.grad(textbook, argnums=1), static_argnums=0)

# A side, a rank and the target's: the least, and ranks above and below the target's, on either side of the limits at
# which layouts.py changes its way. Seeds-last is written out a pair of columns at a time, and only chosen up to rank 4:
# higher ranks would compile for a minute.
SIZES = {
    SEEDS_LAST: ((2, 1, 2), (5, 4, 1), (20, 3, 4)),
    SEEDS_FIRST: ((2, 1, 2), (5, 5, 1), (20, 17, 20)),
}
CASES = [(loss, path, size) for loss, path in PATHS for size in SIZES[path.layout]]


# The values are drawn, the shapes are fixed, so that each is compiled once.
@pytest.mark.parametrize(("loss", "path", "size"), CASES)
@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(-8, 1), st.floats(-2, 1))
def test_every_path_is_the_gradient_in_double_precision(x64, loss, path, size, seed, log_distance, log_scale):
    factors, target = draw(seed, *size, distance=10**log_distance, scale=10**log_scale)
    found, expected = by_path(loss, path, factors, target), by_autodiff(loss, factors, target)
    # Relative to the terms of which the gradient is a difference, near the solution no method is better; and an exp is
    # only as good as its exponent, whose rounding is relative to the terms that it is a sum of.
    terms = np.abs(factors).max() * (
        1 + max(np.einsum("sik,sjk->sij", *np.abs(x).swapaxes(0, 1)).max() for x in (factors, target))
        if loss == "cross_entropy"
        else np.square(factors).sum() + np.square(target).sum()
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14 * terms)


LARGER = {SEEDS_LAST: ((6, 2, 2), (30, 4, 4), (24, 4, 3)), SEEDS_FIRST: ((6, 2, 2), (30, 10, 10), (24, 20, 3))}


@pytest.mark.parametrize(
    ("loss", "path", "size"), [(loss, path, size) for loss, path in PATHS for size in LARGER[path.layout]]
)
@pytest.mark.parametrize("distance", (1e-3, 1.0, 30.0))
def test_every_path_is_the_gradient_in_single_precision(loss, path, size, distance):
    factors, target = (jnp.asarray(x, jnp.float32) for x in draw(0, *size, distance=distance, scale=1.0))
    found = by_path(loss, path, factors, target)
    a, b = (np.moveaxis(np.asarray(x, float), 1, 0) for x in (factors, target))
    z, c = (x[0] @ x[1].swapaxes(1, 2) for x in (a, b))
    if loss == "square":
        slope, scale = z - c, np.abs(z).max() + np.abs(c).max()
    else:
        q, p = (np.exp(x - x.max(axis=(1, 2), keepdims=True)) for x in (z, c))
        slope, scale = (
            q / q.sum(axis=(1, 2), keepdims=True) - p / p.sum(axis=(1, 2), keepdims=True),
            1 + np.abs(z).max(),
        )
    expected = np.stack([slope @ a[1], slope.swapaxes(1, 2) @ a[0]], axis=1)
    # Sums of n terms, each rounded to 6e-8 of what it is made of.
    tolerance = 1e-7 * size[0] * scale * np.abs(factors).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize(
    ("loss", "n", "rank", "target_rank", "layout", "factored"),
    (
        ("square", 10, 2, 2, SEEDS_LAST, True),
        ("square", 100, 1, 1, SEEDS_LAST, True),
        ("square", 100, 2, 2, SEEDS_LAST, True),
        ("square", 100, 10, 10, SEEDS_FIRST, True),
        ("square", 100, 100, 100, SEEDS_FIRST, False),
        ("square", 100, 10, 90, SEEDS_FIRST, False),
        ("cross_entropy", 10, 2, 2, SEEDS_LAST, False),
        ("cross_entropy", 100, 1, 1, SEEDS_FIRST, False),
        ("cross_entropy", 100, 100, 100, SEEDS_FIRST, False),
    ),
)
def test_the_path_follows_the_counted_cost(loss, n, rank, target_rank, layout, factored):
    assert choose_path(loss, n=n, rank=rank, target_rank=target_rank) == Path(layout=layout, factored=factored)


sizes = st.integers(2, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n), st.integers(1, n)))


@given(sizes=sizes, larger=st.integers(1, 400), loss=st.sampled_from(["square", "cross_entropy"]))
def test_blocks_shrink_as_sides_grow_and_are_powers_of_two(sizes, larger, loss):
    n, rank, target_rank = sizes
    blocks = []
    for side in (n, n + larger):
        size = {"n": side, "rank": rank, "target_rank": target_rank}
        blocks.append(block_size(choose_path(loss, **size), **size))
    assert all((16 if rank <= FUSED_RANK else 4) <= block <= 512 and block & (block - 1) == 0 for block in blocks)
    same_path = choose_path(loss, n=n, rank=rank, target_rank=target_rank) == choose_path(
        loss, n=n + larger, rank=rank, target_rank=target_rank
    )
    assert not same_path or blocks[0] >= blocks[1]
