# SPDX-License-Identifier: Apache-2.0
"""What surrounds a run, and is wrong, takes one line and the right exit code."""

import io
import os
import signal
import subprocess
import sys

import jax
import pytest

from jaxmyopia import launch
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.engine.mesh import require_jax
from jaxmyopia.engine.processes import meet
from jaxmyopia.engine.session import say, show

# Every module of the package and of the experiments, under a backend of figures that is not there; then what they did.
IMPORTS = """
import importlib, pkgutil, sys
import experiments, jaxmyopia, experiments.plateaus
late = [name for name in ("matplotlib", "scipy.stats", "orbax.checkpoint", "pandas") if name in sys.modules]
assert not late, f"{late}: 1.5 s before anything begins"
for package in (jaxmyopia, experiments):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # A notebook's script is the notebook: to import it is to run it.
        if not module.name.endswith("__main__") and not module.name.startswith("experiments.colab."):
            importlib.import_module(module.name)
import jax, matplotlib
assert "matplotlib.pyplot" not in sys.modules, "pyplot"
differing = [name for name, value in matplotlib.rcParamsDefault.items() if matplotlib.rcParams._get(name) != value]
assert set(differing) <= {"backend"}, differing  # it is not chosen yet
assert not isinstance(matplotlib.rcParams._get("backend"), str), "backend"
jax.config.update("jax_num_cpu_devices", 3)  # fails once a backend has started
"""


class Closed:
    """Standard output that cannot be written."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error

    def fileno(self):
        raise io.UnsupportedOperation("no file")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BrokenPipeError(32, "Broken pipe"), 128 + signal.SIGPIPE, ""),
        (OSError(28, "No space left on device"), 1, "error: standard output could not be written (No space left on "),
    ],
)
def test_output_that_nobody_takes_ends_a_program_without_a_traceback(error, code, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Closed(error))
    assert launch.finish(lambda: show("results")) == code
    said = capsys.readouterr().err
    assert said.startswith(line) and said.count("\n") == bool(line)


def test_a_word_that_nobody_hears_stops_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Closed(BrokenPipeError(32, "Broken pipe")))
    say("chunks are done")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Unable to initialize backend 'bogus': it is not known\nand more"), "backend 'bogus'"),
        (AssertionError(), "there is none"),
    ],
)
def test_without_a_device_there_is_one_line(error, said, monkeypatch):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(RunError, match=f"JAX finds no device.*{said}") as refused:
        require_jax()
    assert "\n" not in str(refused.value)


def test_without_compilation_there_is_one_line():
    with jax.disable_jit(), pytest.raises(RunError, match="JAX_DISABLE_JIT"):
        require_jax()


@pytest.mark.parametrize("where", ["nonsense", ":80", "host:", "host:port", "host:0", "host:65536", ""])
def test_a_coordinator_is_a_host_and_a_port(where):
    with pytest.raises(ArgumentError, match=r"coordinator=.* must be HOST:PORT"):
        meet(where, 2, 0)


def test_imports_start_no_backend_and_touch_no_figures_of_others():
    root = os.path.dirname(os.path.dirname(__file__))
    environment = os.environ | {"MPLBACKEND": "one_that_is_not_there", "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", IMPORTS], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_importing_experiments_starts_no_backend():
    """A binary takes the CPU for as many devices as it has cores: it can only choose so before a backend starts."""
    code = (
        "from jax._src import xla_bridge; from jaxmyopia.studies.registry import EXPERIMENTS\n"
        "for make in EXPERIMENTS.values(): make()\n"
        "assert not xla_bridge._backends, 'a backend runs'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
