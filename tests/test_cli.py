# SPDX-License-Identifier: Apache-2.0
"""The command line: flags are fields, those that there were are there, and what is wrong takes one line."""

import dataclasses
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from experiments import adam_bumps, interpretability, myopia, plateaus
from experiments.benchmarks import benchmark, soak
from jaxmyopia import __main__ as program
from jaxmyopia import cli, flags, launch
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.commands import COMMANDS
from jaxmyopia.engine import probe
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.engine.signals import Stopped
from jaxmyopia.experiment import Experiment
from jaxmyopia.flag_help import help_of
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.studies.lowrank.sweep import Sweep
from jaxmyopia.studies.registry import EXPERIMENTS
from jaxmyopia.study import Cell

ROOT = pathlib.Path(__file__).parents[1]
BINARIES = {"plateaus": plateaus.main, "adam_bumps": adam_bumps.main, "myopia": myopia.main}
BINARIES["interpretability"] = interpretability.main
# The flags of revision b7cc00e, upon which users' scripts may rely.
ENGINE = """out cpu_devices compilation_cache preset root_seed keep_curves dry_run checkpoint_secs repair
    num_shards shard_index distributed coordinator num_processes process_id"""
OWN = {
    "plateaus": """n wide_seeds steps wide_steps ranks losses targets spectrum optimizers learning_rates init_scale
        seeds bump_delta plateau_ratio descent_fall uptick zero_loss""",
    "adam_bumps": "seeds n steps ranks bump_delta",
    "myopia": """sections epochs epoch_steps cutoff schedules lures credits learners optimizers reveals learning_rates
        discount steps populations intervals selection_steps exploration decay clip entropy runs_a_batch sure lowered
        seeds dilemma_steps epsilons meta_episodes""",
    "interpretability": "parts capacities actives spans scales rates levels",  # not there at b7cc00e
}


@pytest.mark.parametrize("name", BINARIES)
def test_the_flags_that_there_were_are_there_with_the_same_defaults(name):
    values = BINARIES[name].flags()
    values([name])
    assert {*ENGINE.split(), *OWN[name].split()} <= set(values)
    assert (values.out, values.preset, values.root_seed, values.keep_curves) == (f"runs/{name}", "quick", 0, 4)
    assert (values.checkpoint_secs, values.num_shards, values.shard_index) == (60, 1, 0)
    assert all(values[flag].value is None for flag in OWN[name].split())  # not given: the preset's value holds


def test_the_flags_of_the_benchmark_and_of_soak_are_there():
    wanted = "sections contestants baselines repeats seconds peak_tflops sizes batches agents out cpu_devices"
    assert set(wanted.split()) <= set(benchmark.FLAGS)
    assert {"sections", "faults", "every", "out"} <= set(soak.FLAGS)


@pytest.mark.parametrize("name", BINARIES)
def test_every_field_of_a_sweep_is_a_flag_and_presets_stay_as_they_are(name):
    experiment = BINARIES[name].experiment
    names = [spec.name for spec in flags.specs(experiment.sweep_type)]
    for field in dataclasses.fields(experiment.sweep_type):
        assert field.name in names or dataclasses.is_dataclass(getattr(experiment.presets["quick"], field.name))
    for preset, sweep in experiment.presets.items():
        assert experiment.resolve(preset, {}) == sweep


def test_one_flag_sets_the_seeds_of_both_and_nested_fields_are_reached():
    sweep = myopia.main.experiment.resolve("full", {"seeds": 9, "clip": 0.3, "sure": 0.8, "dilemma_steps": 40})
    assert (sweep.seeds, sweep.dilemma.seeds, sweep.neutrality.seeds, sweep.dilemma.dilemma_steps) == (9, 9, 9, 40)
    assert (sweep.settings.clip, sweep.thresholds.sure) == (0.3, 0.8)
    assert sweep.settings.runs_a_batch == myopia.main.experiment.presets["full"].settings.runs_a_batch


def test_two_fields_of_one_name_are_refused():
    inner = dataclasses.make_dataclass("Inner", [("n", int, flags.flag(1, ""))], frozen=True)
    outer = dataclasses.make_dataclass(
        "Outer", [("n", int, flags.flag(1, "")), ("inner", inner, dataclasses.field(default_factory=inner))]
    )
    with pytest.raises(ArgumentError, match=r"n.* is not allowed: must be one flag of Outer"):
        flags.specs(outer)


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A sweep of a moment."""

    n: int = flags.flag(4, "Side.")
    seeds: int = flags.flag(6, "Seeds.")
    rates: tuple[float, ...] = flags.flag((0.01,), "Rates.")

    def cells(self):
        sweep = (("learning_rate", self.rates), ("init_scale", (1.0,)))
        return [Cell(study=LowRank(n=self.n, rank=1), sweep=sweep, seeds=self.seeds, steps=20, records=8)]


TINY = cli.binary(Experiment(name="tiny", summary="A tiny one.", presets={"quick": Tiny()}, cells=Tiny.cells))


def test_a_binary_is_called_with_arguments_under_a_kernels_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", str(tmp_path / "kernel.json")])
    arguments = {
        "out": tmp_path / "run",
        "seeds": np.int64(3),
        "rates": np.array([0.01, 0.02]),
        "compilation_cache": "",
    }
    answer = TINY(preset="quick", repair=False, coordinator=None, **arguments)
    assert len(answer.trials) == 6
    assert answer.folder.manifest["command"].startswith("python -m jaxmyopia run tiny --preset=quick --norepair --out=")
    assert launch.in_kernel()
    with pytest.raises(ArgumentError) as refused:
        TINY(**{**arguments, "seeds": 4})
    assert refused.value.name == "out" and "seeds: 3, now 4" in refused.value.allowed


@pytest.mark.usefixtures("short_controls")
def test_two_binaries_are_called_in_one_process(tmp_path, capsys):
    small = {"n": 6, "ranks": (1,), "seeds": 6, "steps": 12, "compilation_cache": ""}
    first = plateaus.main(out=tmp_path / "a", losses=["square"], optimizers=["sgd"], learning_rates=0.01, **small)
    assert TINY(out=tmp_path / "b", compilation_cache="").folder.manifest["status"] == "complete"
    assert first.folder.manifest["config"]["ranks"] == [1] and (tmp_path / "a" / "report.html").is_file()
    assert "ce-two-plateaus" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frobnicate": 1}, "argument='frobnicate' is not allowed: must be one of "),
        ({"seeds": "many"}, "seeds='many' is not allowed: invalid literal"),
        ({"preset": "huge"}, "preset='huge' is not allowed: value should be one of <quick|full>"),
        ({"ranks": (1, 1)}, r"ranks=(1, 1) is not allowed: must be a list without repeats"),
        ({"seeds": 0}, "seeds=0 is not allowed: must be at least 1"),
    ],
)
def test_a_bad_argument_of_a_call_is_named(arguments, message, tmp_path):
    with pytest.raises(ArgumentError) as refused:
        plateaus.main(out=tmp_path / "run", compilation_cache="", **arguments)
    assert str(refused.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_an_error_that_is_no_refused_argument_keeps_its_traceback():
    def fail():
        raise ValueError("n=3 is not allowed: but this is no ArgumentError")

    with pytest.raises(ValueError, match="no ArgumentError"):
        launch.finish(fail, TINY.flags())


@pytest.mark.parametrize("flag", ["--help", "--helpshort", "--helpfull", "-?"])
def test_help_is_printed_and_is_no_failure(flag, capsys):
    assert plateaus.main.exit_code([flag]) == 0
    printed = capsys.readouterr().out
    assert "Judges nine claims" in printed
    assert "--bump_delta=X " in printed and "--preset=quick|full " in printed and "--[no]png " in printed
    assert "[quick: 40; full: 64]" in " ".join(printed.split())
    assert ("--verbosity" in printed) == (flag == "--helpfull")


def test_a_dry_run_says_how_long_and_how_much_memory():
    cells = Tiny().cells()
    found = probe.estimate(cells, RunOptions())
    assert found.startswith("About ") and "MiB of states" in found
    cost = probe.measure(cells[0], "highest")
    assert 0 <= cost.step < 1 and cost.records > 0
    assert cost.seconds(cells[0], 1) == pytest.approx(cells[0].steps * cost.step + cost.records)


def test_the_program_lists_experiments_and_subcommands(capsys):
    program.main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if re.match(r"  \S", line)] == [*EXPERIMENTS, *COMMANDS]
    assert max(map(len, lines)) <= 80


def helps():
    """Every program, and what its `--help` prints."""
    for name, make in EXPERIMENTS.items():
        experiment = cli.binary(make())
        yield name, experiment.flags(), experiment.about
    for name, subcommand in COMMANDS.items():
        yield name, launch.flags_of(subcommand.settings, name=name), f"{subcommand.summary}\n\n{subcommand.usage}"


@pytest.mark.parametrize(("name", "values", "about"), helps(), ids=str)
def test_help_is_eighty_columns_wide_and_has_every_flag_once_in_the_order_of_the_fields(name, values, about):
    lines = help_of(values, list(values.flags_by_module_dict()), about).splitlines()
    assert max(map(len, lines)) <= 80
    heads = [re.match(r"  --(?:\[no\])?(\w+)", line) for line in lines]
    told = [head[1] for head in heads if head]
    assert sorted(told) == sorted(values)
    settings = EXPERIMENTS[name]().sweep_type if name in EXPERIMENTS else COMMANDS[name].settings
    own = [spec.name for spec in flags.specs(settings)]
    assert told[: len(own)] == own


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["frob"],
            "subcommand='frob' is not allowed: must be one of calibrate, curves, list, merge, replay, run, verify",
        ),
        (
            ["run", "frob"],
            "experiment='frob' is not allowed: must be one of adam_bumps, feedback, interpretability, myopia, plateaus",
        ),
    ],
)
def test_unknown_names_are_told_what_there_is(argv, message):
    with pytest.raises(ArgumentError) as refused:
        program.main(argv)
    assert str(refused.value) == message


PAGE = (ROOT / "docs" / "cli.md").read_text()
ENDS = {
    0: None,
    1: RunError("the disk is full"),
    2: ArgumentError("seeds", 0, "must be at least 1"),
    130: KeyboardInterrupt(),
    141: BrokenPipeError(),
    143: Stopped(signal.SIGTERM),
}


@pytest.mark.parametrize(("code", "error"), ENDS.items(), ids=str)
def test_exit_codes_are_those_of_the_page(code, error, capsys):
    def end():
        if error:
            raise error

    values = TINY.flags()
    values(["tiny"])
    assert launch.finish(end, values) == code
    said = capsys.readouterr().err
    assert (said == "") == (code in (0, 141)) and (said.startswith("error: ") == (code in (1, 2)))
    told = re.search(r"\| code \| when \|\n.*\n((?:\|.*\n)+)", PAGE)[1]
    assert {int(each) for row in told.splitlines() for each in row.split("|")[1].split(",")} == set(ENDS)


def test_the_pages_subcommands_and_flags_are_there():
    commands = re.findall(r"^\| `(\w+)[^`]*` \|", PAGE.partition("## Flags")[0], flags=re.MULTILINE)
    assert sorted(commands) == sorted(["list", "run", *COMMANDS])
    values = plateaus.main.flags()
    told = re.findall(r"--(\w+)", PAGE.partition("## Flags")[2])
    assert {*told} - {*values} == {"help"}


def call(*arguments):
    command = [sys.executable, "-m", "jaxmyopia", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_program_as_a_process(tmp_path):
    done = call("run", "plateaus", "--seeds=0", f"--out={tmp_path / 'out'}")
    assert (done.returncode, done.stderr) == (2, "error: --seeds=0 is not allowed: must be at least 1\n")
    step, slow = np.arange(60), np.exp(-np.arange(60) / 9)
    stairs = np.where(step < 30, 1 + slow, 0.5 + np.exp(-(step - 30.0).clip(0) / 3))
    np.save(tmp_path / "curves.npy", np.stack([step, slow, stairs, np.where(step > 9, np.nan, 1.0)], axis=1))
    done = call("curves", str(tmp_path / "curves.npy"), "--fall=0.1")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1] == ["run", "0", "0", "1", "0", "1", "0", "yes"]
    assert rows[2][3] == "2" and int(rows[2][2]) >= 1
    assert done.stdout.splitlines()[4] == "    not counted: it is not finite at step 10"
    assert (tmp_path / "curves.curves.png").stat().st_size > 10_000
    refused = call("curves", str(tmp_path / "curves.npy"), "--run=who")
    told = "error: --run='who' is not allowed: must be a column, such as step, run 0, run 1, run 2\n"
    assert (refused.returncode, refused.stderr) == (2, told)


def test_defaults_of_the_engine_are_the_runners():
    values = plateaus.main.flags()
    values(["plateaus"])
    assert cli.run_options(launch.read(values, cli.Engine)) == RunOptions()
    assert plateaus.main.sweep(values) == Sweep()
