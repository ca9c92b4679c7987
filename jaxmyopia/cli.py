# SPDX-License-Identifier: Apache-2.0
"""An experiment as a program: flags that all experiments share and those of its own, its run, verdicts and report.

Flags live in one `FlagValues` a call, so that any number of binaries can be imported, and called, in one process.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import flags as absl_flags

from jaxmyopia import flags
from jaxmyopia.engine.experiment import open_folder, plan, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.probe import estimate
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.session import RunOptions, say
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import FlagValues, flag
from jaxmyopia.launch import Machine, command, finish, in_kernel, launch, parse, read, use_machine
from jaxmyopia.report.page import claims_json, claims_text

SHARED = "what every experiment has"  # heading of the shared flags


@dataclasses.dataclass(frozen=True)
class Engine(Machine):
    """Flags of every experiment, beside those of its own."""

    root_seed: int = flag(0, "Root of every seed's random key.")
    keep_curves: int = flag(4, "Keep all curves of this many seeds in every cell.")
    dry_run: bool = flag(False, "Print what would be run, time a few steps of it, and stop.")
    checkpoint_secs: float = flag(60.0, "Seconds between checkpoints of what is in flight.")
    repair: bool = flag(False, "Compute chunks again whose files are damaged or missing.")
    num_shards: int = flag(1, "Machines that share the run without knowing of each other; see merge.")
    shard_index: int = flag(0, "Which of them this one is.")
    distributed: bool = flag(False, "This is one of several processes that share the run and its folder.")
    coordinator: str | None = flag(None, "HOST:PORT of process 0; found on TPU pods, Slurm and MPI.")
    num_processes: int | None = flag(None, "How many processes there are; found likewise.")
    process_id: int | None = flag(None, "Which of them this one is; found likewise.")


def run_options(engine: Engine) -> RunOptions:
    """How an experiment is run; raises ArgumentError if a value is not allowed."""
    share = Share(
        shard=engine.shard_index,
        shards=engine.num_shards,
        process=jax.process_index(),
        processes=jax.process_count(),
    )
    return RunOptions(
        root_seed=engine.root_seed,
        keep_curves=engine.keep_curves,
        checkpoint_secs=engine.checkpoint_secs,
        repair=engine.repair,
        share=share,
    )


@dataclasses.dataclass(frozen=True)
class Binary:
    """An experiment as a program: call it with flags as keyword arguments, or `launch` it with what was typed."""

    experiment: Experiment

    def flags(self) -> FlagValues:
        """The experiment's flags, not yet parsed."""
        values, name = FlagValues(), self.experiment.name
        presets = self.experiment.presets
        absl_flags.DEFINE_string(
            "out",
            f"runs/{name}",
            "Folder of the run; the same command resumes it.",
            flag_values=values,
            module_name=SHARED,
        )
        absl_flags.DEFINE_enum(
            "preset",
            next(iter(presets)),
            list(presets),
            "Settings for all flags that are not given.",
            flag_values=values,
            module_name=SHARED,
        )
        flags.define(values, Engine, group=SHARED)
        flags.define(values, self.experiment.sweep_type, group=name, presets=presets)
        return values

    def sweep(self, values: FlagValues) -> Any:
        """The preset with the flags that were given in its place."""
        return self.experiment.resolve(values.preset, flags.given(values, self.experiment.sweep_type))

    def __call__(self, **arguments: Any) -> RunFolder | None:
        """Runs the experiment; `sys.argv` is not read.

        Args:
          **arguments: flags, by name.

        Returns:
          The finished run's folder; None if there is nothing to judge: after `dry_run`, in a shard, and in processes
          that do not lead.

        Raises:
          ArgumentError: if there is no such flag, or a value is not allowed.
          RunError: if the disk, a file or another process fails.
        """
        values = self.flags()
        words = flags.as_arguments(values, arguments)
        values([self.experiment.name, *words])
        use_machine(values)
        return self.run(values, shlex.join(["python", "-m", "jaxmyopia", "run", self.experiment.name, *words]))

    def exit_code(self, argv: Sequence[str]) -> int:
        """Runs the experiment on flags as they are typed, `argv`, on JAX as it stands, and gives the exit code."""
        values = self.flags()
        try:
            parse(values, [self.experiment.name, *argv], about=self.about)
        except SystemExit as stop:
            return int(stop.code or 0)
        return finish(lambda: self.run(values, command(argv)), values)

    def launch(self, argv: Sequence[str] | None = None) -> None:
        """Runs the experiment on flags as they are typed, by default `sys.argv`, and exits.

        In a notebook's kernel, whose `sys.argv` is not the experiment's, it runs the default preset and returns.
        """
        if argv is None and in_kernel():
            self()
            return
        values = self.flags()
        launch(lambda rest: self.run(values, command()), values, about=self.about, argv=argv)

    @property
    def about(self) -> str:
        """What `--help` says above the flags."""
        return f"{self.experiment.summary}\n\n{self.experiment.notes}".strip()

    def run(self, values: FlagValues, typed: str) -> RunFolder | None:
        """Runs the experiment as parsed flags say, judges and reports; `typed` is the command, for the manifest."""
        experiment, sweep = self.experiment, self.sweep(values)
        cells, engine = experiment.cells(sweep), read(values, Engine)
        options = run_options(engine)
        if engine.dry_run:
            print(plan(cells), flush=True)
            print(estimate(cells, options.share))
            return None
        config = {"experiment": experiment.name, **dataclasses.asdict(sweep)}
        folder = open_folder(values.out, config, cells, options)
        entries = run_cells(folder, cells, options, command=typed)
        if options.share.shards > 1 and options.share.leads:
            say(
                f"Shard {options.share.shard} of {options.share.shards} is finished; join them all: "
                f"python -m jaxmyopia merge --out=FOLDER {values.out} ..."
            )
        if not entries:
            return None
        if experiment.judge:
            _judge(experiment, folder, cells, sweep)
        return folder


def _judge(experiment: Experiment, folder: RunFolder, cells: Sequence[Any], sweep: Any) -> None:
    """Judges the claims of a finished run, writes them and the report, prints them."""
    assert experiment.judge is not None
    table, wheres = folder.table(), experiment.apart(sweep)
    judged = [experiment.judge(table.where(**where), sweep) for where in wheres]
    pairs = list(zip(wheres, judged, strict=True))
    folder.write_json("claims.json", [entry for where, claims in pairs for entry in claims_json(claims, **where)])
    if experiment.report:
        experiment.report(folder, cells, sweep, judged[0])
    for where, claims in pairs:
        print(_heading(where) + claims_text(claims))
    if experiment.report:
        say(f"\nReport: {folder.path / 'report.html'}")


def _heading(where: Mapping[str, object]) -> str:
    return f"\n{', '.join(f'{name} {value}' for name, value in where.items())}\n" if where else ""


def binary(experiment: Experiment) -> Binary:
    """An experiment as a program; see `Binary`."""
    return Binary(experiment)
