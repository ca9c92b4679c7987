# SPDX-License-Identifier: Apache-2.0
"""An experiment as a program: flags that all experiments share and those of its own, its run, verdicts and report.

Flags live in one `FlagValues` a call, so that any number of binaries can be imported, and called, in one process.
"""

import dataclasses
import functools
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import flags as absl_flags

from jaxmyopia import flags
from jaxmyopia.answer import Answer
from jaxmyopia.api import execute
from jaxmyopia.artist import Artist
from jaxmyopia.checks import require
from jaxmyopia.claims.text import claims_json, claims_text
from jaxmyopia.declared import Declared, opened
from jaxmyopia.engine.experiment import plan
from jaxmyopia.engine.identity import numerics
from jaxmyopia.engine.precision import HIGHEST, NAMES
from jaxmyopia.engine.probe import estimate
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.rounds import in_rounds, told
from jaxmyopia.engine.session import RunOptions, say, show
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import FlagValues, When, flag
from jaxmyopia.launch import Machine, command, finish, in_kernel, launch, parse, read, use_machine
from jaxmyopia.registered import keep, line, with_registration
from jaxmyopia.registration import Registration, register, registered
from jaxmyopia.replay import receipt, show_seed, with_receipts
from jaxmyopia.study import Cell
from jaxmyopia.terminal import folded, painted
from jaxmyopia.verify import tell, verify_folder

SHARED = "every experiment"  # heading of the shared flags


_DECIDING = When("with --until_decided", lambda engine: engine.until_decided)
_VERIFYING = When("with --verify", lambda engine: engine.verify)
_REPLAYING = When("with --replay_seed", lambda engine: engine.replay_seed is not None)
_REGISTERED = When("with --registration", lambda engine: engine.registration is not None)
_SHARED = When("with --distributed", lambda engine: engine.distributed)


@dataclasses.dataclass(frozen=True)
class Engine(Machine):
    """Flags of every experiment, beside those of its own."""

    root_seed: int = flag(0, "Root of every seed's random key, from 0 to 2**64 - 1.")
    keep_curves: int = flag(4, "Keep whole curves of this many seeds in every cell.")
    matmul_precision: str = flag(HIGHEST, f"Precision of products of matrices: {', '.join(NAMES)}.")
    png: bool = flag(False, "Save figures as PNG too, beside SVG.")
    dry_run: bool = flag(False, "Print what would be run, time a few steps of it, and stop.")
    until_decided: bool = flag(False, "Add seeds until every piece of every claim is decided; see docs/cluster.md.")
    cap: int | None = flag(None, "Stop adding at this many; by default 1,024, or four times the seeds.", when=_DECIDING)
    checkpoint_secs: float = flag(60.0, "Seconds between checkpoints of what is in flight.")
    repair: bool = flag(False, "Compute chunks again whose files are damaged or missing.")
    num_shards: int = flag(1, "Machines that share the run without knowing of each other; see merge.")
    shard_index: int = flag(0, "Which of them this one is.")
    distributed: bool = flag(False, "This is one of several processes that share the run and its folder.")
    coordinator: str | None = flag(None, "HOST:PORT of process 0; found on TPU pods, Slurm and MPI.", when=_SHARED)
    num_processes: int | None = flag(None, "How many processes there are; found likewise.", when=_SHARED)
    process_id: int | None = flag(None, "Which of them this one is; found likewise.", when=_SHARED)
    register: str | None = flag(None, "Instead of running, register what would be run and judged, in this new file.")
    registration: str | None = flag(None, "Run and judge what this file registers; see docs/verdicts.md.")
    beacon: str | None = flag(None, "Public randomness of later, from which seeds are drawn too.", when=_REGISTERED)
    verify: bool = flag(False, "Instead of running, check whether the folder holds what it says.")
    replay: int | None = flag(None, "With --verify, run this many random trials again, too.", when=_VERIFYING)
    replay_seed: int | None = flag(None, "Instead of running, run this seed again and compare it with the folder.")
    replay_cell: tuple[int, ...] | None = flag(None, "Of these cells, by number; by default of all.", when=_REPLAYING)
    replay_curve: str | None = flag(None, "A file for its curves, as CSV.", when=_REPLAYING)


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
        matmul_precision=engine.matmul_precision,
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
        flags.define(values, self.experiment.sweep_type, group=name, presets=presets)
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
            f"Values of all flags that are not given: {', '.join(presets)}.",
            flag_values=values,
            module_name=SHARED,
        )
        flags.define(values, Engine, group=SHARED)
        return values

    def sweep(self, values: FlagValues) -> Any:
        """The preset with the flags that were given in its place."""
        return self.experiment.resolve(values.preset, flags.given(values, self.experiment.sweep_type))

    def __call__(self, **arguments: Any) -> Answer | None:
        """Runs the experiment; `sys.argv` is not read.

        Args:
          **arguments: flags, by name.

        Returns:
          The `Answer`; None if there is nothing to judge: after `dry_run`, in a shard, and in processes that do not
          lead.

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

    def run(self, values: FlagValues, typed: str) -> Answer | None:
        """Runs the experiment as parsed flags say, judges and reports; `typed` is the command, for the manifest."""
        experiment, engine = self.experiment, read(values, Engine)
        if engine.verify or engine.replay_seed is not None:
            self._look_back(values, engine)
            return None
        sweep = self.sweep(values)
        cells, undecided = experiment.cells(sweep), None
        if engine.until_decided:
            allowed = f"must be of an experiment with claims; {experiment.name} has none to decide"
            require(experiment.claims is not None, "until_decided", True, allowed)
            cells, undecided = in_rounds(cells, engine.cap), functools.partial(experiment.undecided_cells, sweep=sweep)
        registration = self._registered(values, engine, sweep, cells)
        if engine.register is not None:
            return None
        options = run_options(dataclasses.replace(engine, root_seed=registration.root_seed) if registration else engine)
        if engine.dry_run:
            show(folded(plan(cells), hang=4))
            show(folded(estimate(cells, options)))
            return None
        config = {"experiment": experiment.name, **dataclasses.asdict(sweep)}
        with Artist(help=options.share.judges and experiment.report is not None) as artist:
            answer = execute(cells, options, config=config, out=values.out, command=typed, undecided=undecided)
            if answer is not None and registration is not None:
                keep(answer.folder, registration)
            if options.share.shards > 1 and options.share.leads:
                say(
                    f"Shard {options.share.shard} of {options.share.shards} is finished; join them all:\n"
                    f"python -m jaxmyopia merge --out=FOLDER {values.out} ..."
                )
            if answer is None or experiment.claims is None:
                return answer
            return _judge(experiment, answer, sweep, artist, png=engine.png)

    def _registered(self, values: FlagValues, engine: Engine, sweep: Any, cells: Sequence[Cell]) -> Registration | None:
        """Registers what would be run, or reads what was registered of it, as the flags say; None without either."""
        if engine.register is None and engine.registration is None:
            return None
        for name in ("root_seed", "registration"):
            idle = values[name].present and (name == "root_seed" or engine.register is not None)
            other = "registration" if engine.register is None else "register"
            require(not idle, name, values[name].value, f"must not be given beside --{other}")
        document = self.experiment.document(sweep, cells, numerics(run_options(engine).matmul_precision))
        if engine.registration is not None:
            return registered(engine.registration, engine.beacon, document)
        show(register(str(engine.register), document))
        told = (
            f"Registered in {engine.register}. Publish the hash above and name a beacon that is not out yet; once it "
            f"is, the same command with --registration={engine.register} --beacon=TEXT in place of --register runs it."
        )
        say(folded(told))
        return None

    def _look_back(self, values: FlagValues, engine: Engine) -> None:
        """Verifies or replays what lies in the folder, at its own settings."""
        folder = opened(values.out)
        declared = Declared.by(self.experiment, folder.config, flags.given(values, self.experiment.sweep_type))
        if engine.replay_seed is not None:
            show_seed(folder, declared.cells, engine.replay_cell, engine.replay_seed, engine.replay_curve)
        if engine.verify:
            tell(verify_folder(folder, declared, replay=engine.replay or 0))


def _judge(experiment: Experiment, answer: Answer, sweep: Any, artist: Artist, *, png: bool) -> Answer:
    """Judges the claims of a finished run, writes them and the report, prints them."""
    from jaxmyopia.report.figures import uncollected
    from jaxmyopia.report.page import write_page
    from jaxmyopia.report.svg import house_style

    pairs = experiment.judge(answer.folder.table(), sweep)
    answer = dataclasses.replace(answer, claims=tuple(pairs[0][1]))
    entries = [entry for where, each in pairs for entry in claims_json(each, **where)]
    claims = experiment.claims(sweep) if experiment.claims else []
    entries = with_registration(answer.folder, with_receipts(answer.folder, entries), claims)
    answer.folder.write_json("claims.json", entries)
    with house_style(), uncollected():
        report = experiment.report(answer, sweep) if experiment.report else answer.report(experiment.summary)
        of_cells = functools.partial(receipt, answer.folder)
        write_page(answer.folder, report, answer.claims, of_cells, artist, png=png, registration=line(entries))
    for where, each in pairs:
        show(painted(_heading(where) + claims_text(each), sys.stdout))
    rounds = told(answer.folder.manifest) if answer.folder.rounds else ""
    show("\n" + folded("; ".join(each for each in (rounds, line(entries)) if each)))
    say(f"\nReport: {answer.folder.path / 'report.html'}")
    return answer


def _heading(where: Mapping[str, object]) -> str:
    return f"\n{', '.join(f'{name} {value}' for name, value in where.items())}\n" if where else ""


def binary(experiment: Experiment) -> Binary:
    """An experiment as a program; see `Binary`."""
    return Binary(experiment)
