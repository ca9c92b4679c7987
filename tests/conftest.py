# SPDX-License-Identifier: Apache-2.0
"""What every test runs under: eight CPU devices, strict dtypes and ranks, one folder of compiled programs."""

import contextlib
import gc
import os
import pathlib
import shutil
import tempfile

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

# jax's own settings by its own variables: they reach the workers of a run and the processes that tests start.
CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0.05, "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": -1}


def pytest_configure(config):
    """All processes of a run share what they compile: in a folder that ends with it, or in JAXMYOPIA_TEST_CACHE."""
    if not hasattr(config, "workerinput"):  # this process is no worker, but the one that starts them
        folder = os.environ.get("JAXMYOPIA_TEST_CACHE")
        if not folder:
            folder = tempfile.mkdtemp(prefix="jaxmyopia-test-cache-")
            config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ.update({name: str(value) for name, value in CACHE.items()}, JAX_COMPILATION_CACHE_DIR=folder)
    for name, value in CACHE.items():
        jax.config.update(name.lower(), value)
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])


# Modules of a minute of work and more, most of it compiling: marked `slow` as a whole.
LONG = ("test_stopping", "test_docs", "test_own", "test_training", "test_testing", "test_checkpoints", "test_resume")
LONG += (
    "epochs/test_lanes",
    "experiments/test_myopia",
    "experiments/test_plateaus",
    "engine/test_chunk",
    "epochs/test_study",
)


def pytest_collection_modifyitems(items):
    """CI runs what is slow on one interpreter only."""
    for item in items:
        if item.path.with_suffix("").as_posix().endswith(LONG):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def one_folder_of_compiled_programs(monkeypatch):
    """A binary that is run within a test would turn to the user's folder, for the tests after it too."""
    monkeypatch.setattr("jaxmyopia.launch.use_compilation_cache", lambda folder: None)
    monkeypatch.setattr("jaxmyopia.artist._LEAST_CORES", 10**6)  # a process would begin for every run


# Modules that hold programs against each other to the bit, or step for long: compiled as users have them.
OPTIMISED = (
    "engine/test_chunk",
    "engine/test_checkpoints",
    "engine/test_program",
    "epochs/test_study",
    "test_training",
)
OPTIMISED += (
    "epochs/test_selection",
    "epochs/test_lanes",
    "lowrank/test_claims_null",
    "lowrank/test_theory",
    "lowrank/test_rank_one",
)


_QUICKLY = pytest.StashKey[bool]()


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly(request):
    """Elsewhere programs compile in half the time, unoptimised."""
    from jaxmyopia.engine import chunk

    quickly = not request.path.with_suffix("").as_posix().endswith(OPTIMISED)
    if quickly != request.config.stash.get(_QUICKLY, False):
        chunk._compile.cache_clear()
        jax.config.update("jax_disable_most_optimizations", quickly)
        request.config.stash[_QUICKLY] = quickly


# Linux gives a process 65,530 maps of memory; every compiled program takes three and more, and a process that reaches
# the end of them can compile no more. The most seen of one module is 9,700 (test_fuzz).
_MANY_MAPS = 20_000
_MAPS = pathlib.Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def few_maps():
    """Once programs hold many maps of this process, it forgets them before the next module."""
    from jaxmyopia.engine import chunk

    yield
    if _MAPS.exists() and len(_MAPS.read_bytes().splitlines()) > _MANY_MAPS:
        chunk._compile.cache_clear()
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def short_controls():
    """The known cases beside a plateaus run end at once, where what became of them is not asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxmyopia.studies.lowrank.controls.STEPS", 60)
        patch.setattr("jaxmyopia.studies.lowrank.controls.SEEDS", 8)
        yield


@pytest.fixture
def x64():
    """Runs a test in double precision."""
    if hasattr(jax, "enable_x64"):
        with jax.enable_x64(True):
            yield
    else:  # jax < 0.8
        with jax.experimental.enable_x64():
            yield
