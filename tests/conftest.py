# SPDX-License-Identifier: Apache-2.0
"""What every test runs under: eight CPU devices, strict dtypes and ranks, reproducible hypothesis examples."""

import contextlib

import hypothesis
import jax
import pytest

with contextlib.suppress(RuntimeError):  # jax has already started, say in a notebook: the devices stay as they are
    jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile(
    "jaxmyopia", deadline=None, derandomize=True, print_blob=True,
    # x64 holds for the whole test; it is meant to outlast the single example.
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)  # fmt: skip
hypothesis.settings.load_profile("jaxmyopia")


@pytest.fixture
def x64():
    """Runs a test in double precision."""
    if hasattr(jax, "enable_x64"):
        with jax.enable_x64(True):
            yield
    else:  # jax < 0.8
        with jax.experimental.enable_x64():
            yield
