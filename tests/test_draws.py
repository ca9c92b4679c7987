# SPDX-License-Identifier: Apache-2.0
"""Draws side by side are JAX's own, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia import draws


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("shape", [(), (7,), (3, 4)])
def test_numbers_are_those_of_jax(implementation, shape):
    keys = jax.random.split(jax.random.key(2**40 + 5, impl=implementation), 6)
    folded = draws.fold_in(keys, jnp.int32(12))
    theirs = jax.vmap(lambda key: jax.random.fold_in(key, 12))(keys)
    assert folded.dtype == theirs.dtype
    np.testing.assert_array_equal(jax.random.key_data(folded), jax.random.key_data(theirs))
    mine = draws.uniform(keys, shape)
    assert mine.shape == (*shape, 6)
    expected = jax.vmap(lambda key: jax.random.uniform(key, shape), out_axes=-1)(keys)
    np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("name, value", [("jax_enable_x64", True), ("jax_threefry_partitionable", False)])
def test_numbers_are_those_of_jax_under_its_flags(name, value):
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        keys = jax.random.split(jax.random.key(3), 4)
        expected = jax.vmap(lambda key: jax.random.uniform(key, (2, 5)), out_axes=-1)(keys)
        np.testing.assert_array_equal(draws.uniform(keys, (2, 5)), expected)
    finally:
        jax.config.update(name, before)
