# SPDX-License-Identifier: Apache-2.0
"""Each notebook is made of its script, runs from end to end at its own size, and comes to the verdicts it should."""

import functools
import json
import os
import pathlib

import jax
import nbclient
import nbformat
import pytest

import jaxmyopia as jm
from experiments.colab import make
from jaxmyopia import notebook

SCRIPTS = {script.stem: script for script in make.SCRIPTS}
# By notebook: the claim's verdict, and that of conditions that tell whether it could have come out otherwise.
EXPECTED = {
    "epochs": {"runs-then-stops": "supported"},
    "famous": {
        "modes-in-order": "depends on the condition",
        "modes-in-order, depth 2, init_scale 0.05, ratio 2": "supported",
        "modes-in-order, depth 2, init_scale 0.5, ratio 2": "contradicted",
        "edge-of-stability": "depends on the condition",
        "edge-of-stability, learning_rate 1, degree 3": "contradicted",
        "edge-of-stability, learning_rate 3, degree 3": "supported",
        "double-descent": "supported",
    },
    "feedback": {
        "soft-beats-none": "depends on the condition",
        "soft-beats-none, angle 0": "supported",
        "soft-beats-none, angle 90": "contradicted",
    },
    "lowrank": {
        "small-start": "supported",
        "sgd, init_scale 1": "contradicted",
        "adam, init_scale 0.01": "contradicted",
        "sgd": "supported",
    },
    "own_claim": {"sgd-plateaus": "depends on the condition", "sgd-plateaus, init_scale 0.01": "contradicted"},
    "own_curves": {"more-steps": "supported"},
    "superposition": {
        "pentagon": "depends on the condition",
        "pentagon, active 0.02": "supported",
        "pentagon, active 0.5": "contradicted",
    },
}
TOLD = """
import json
_claims = [claim for value in list(globals().values()) if isinstance(value, jm.Answer) for claim in value.claims]
_claims += [value for value in list(globals().values()) if isinstance(value, jm.Judgement)]
_pieces = {piece.name: piece.verdict for claim in _claims for piece in claim.evidence}
_controls = {control.name: control.came_out for claim in _claims for control in claim.controls}
print(json.dumps([_pieces | {claim.id: claim.verdict for claim in _claims}, _controls]))
"""


def test_every_script_has_a_notebook_and_a_verdict_to_come_to():
    assert set(SCRIPTS) == set(EXPECTED) == {path.stem for path in make.FOLDER.glob("*.ipynb")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_notebook_is_what_its_script_says(name):
    assert SCRIPTS[name].with_suffix(".ipynb").read_text() == make.notebook(SCRIPTS[name])


@pytest.mark.parametrize("name", ["famous", "own_claim"])
def test_claims_are_short(name):
    """What is to be written of one claim: its study, measure, claim and call."""
    cells = [cell.source for cell in _read(name).cells if cell.cell_type == "code" and "jm.claim" in cell.source]
    lengths = [len([line for line in source.splitlines() if line.strip()]) for source in cells]
    assert len(lengths) == (3 if name == "famous" else 1) and max(lengths) <= 60


@functools.cache
def _read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(SCRIPTS[name].with_suffix(".ipynb"), as_version=4)


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs_and_comes_to_its_verdicts(name, tmp_path, monkeypatch):
    root = str(pathlib.Path(jm.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))))
    if name == "own_curves":  # most of its time is compiling; the others compute, and take longer unoptimised
        monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    book = nbformat.from_dict(_read(name))
    book.cells.append(nbformat.v4.new_code_cell(TOLD))
    nbclient.NotebookClient(book, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == (3 if name == "famous" else 1)
    forests = [output for output in outputs if "<svg" in output.get("data", {}).get("text/html", "")]
    assert len(forests) == {"famous": 3, "own_curves": 0}.get(name, 1)
    verdicts, controls = json.loads(outputs[-1].text)
    assert {key: verdicts.get(key) for key in EXPECTED[name]} == EXPECTED[name]
    assert set(controls.values()) <= {"held"}
    assert list(tmp_path.iterdir()) == []  # nothing is left where it ran


@pytest.fixture
def no_tpu(monkeypatch, tmp_path):
    """A machine without a TPU, whatever this one has; gives the folder of its devices."""
    for name in notebook._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(notebook, "_DEVICES", str(tmp_path / "accel[0-9]*"))
    monkeypatch.setattr(notebook, "_LENT", str(tmp_path / "vfio" / "[0-9]*"))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    platforms = jax.config.jax_platforms
    jax.config.update("jax_platforms", "")
    yield tmp_path
    jax.config.update("jax_platforms", platforms)


def test_the_first_cell_says_what_it_runs_on(no_tpu):
    assert jm.accelerator() == f"JAX {jax.__version__} on {len(jax.devices())} devices: CPU cores"


@pytest.mark.parametrize("told_by", ["a device", "a variable", "a lent device and a variable"])
def test_it_refuses_the_cpu_where_a_tpu_is_held_by_another_process(no_tpu, monkeypatch, told_by):
    (no_tpu / "vfio").mkdir()
    lent = no_tpu / "vfio" / "7"
    lent.touch()
    assert not notebook.tpu_here()  # which any host may lend to its guests
    if told_by == "a device":
        (no_tpu / "accel0").touch()
    else:
        monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    if told_by == "a variable":
        lent.unlink()
    jax.config.update("jax_platforms", "tpu,cpu")  # the CPU as a last resort is not what was asked for
    with pytest.raises(jm.RunError, match="one process alone may hold a TPU") as refused:
        jm.accelerator()
    shown = {"a device": "accel0", "a variable": "TPU_ACCELERATOR_TYPE"}.get(told_by, "vfio/7")
    assert shown in str(refused.value) and "\n" not in str(refused.value)
    jax.config.update("jax_platforms", "cpu")  # as JAX_PLATFORMS=cpu does: asked for, so that nothing is silent
    assert jm.accelerator().endswith("CPU cores")


def test_it_says_nothing_of_the_tpu_where_jax_runs_on_it(no_tpu, monkeypatch):
    (no_tpu / "accel0").touch()
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert jm.accelerator().endswith(jax.devices()[0].device_kind)
