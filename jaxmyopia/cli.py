# SPDX-License-Identifier: Apache-2.0
"""What every experiment's binary shares: its flags, and how it ends when something is wrong."""

import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence

import jax
from absl import app, flags
from absl import logging as absl_logging

from jaxmyopia.checks import RunError, require
from jaxmyopia.engine.experiment import open_folder, plan, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.mesh import use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.processes import Share, meet
from jaxmyopia.engine.session import RunOptions, say
from jaxmyopia.engine.signals import Stopped
from jaxmyopia.study import Cell

FLAGS = flags.FLAGS


def define_basic_flags(name: str) -> None:
    """Defines the flags that every binary has."""
    flags.DEFINE_string("out", f"runs/{name}", "Folder of the run; the same command resumes it.")
    flags.DEFINE_integer("cpu_devices", None, "Devices that the CPU is taken for; by default its cores.")
    flags.DEFINE_string("compilation_cache", "~/.cache/jaxmyopia", "Folder of compiled programs; empty for none.")


def define_flags(experiment: str, presets: Sequence[str]) -> None:
    """Defines the flags that all experiments have; `presets` `(m,)` are the names of the experiment's own."""
    define_basic_flags(experiment)
    flags.DEFINE_enum("preset", presets[0], presets, "Settings for all flags that are not given.")
    flags.DEFINE_integer("seeds", None, "Seeds in every cell.")
    flags.DEFINE_integer("root_seed", 0, "Root of every seed's random key.")
    flags.DEFINE_integer("keep_curves", 4, "Keep all curves of this many seeds in every cell.")
    flags.DEFINE_bool("dry_run", False, "Print what would be run, and stop.")
    flags.DEFINE_float("checkpoint_secs", 60, "Seconds between checkpoints of what is in flight.")
    flags.DEFINE_bool("repair", False, "Compute chunks again whose files are damaged or missing.")
    flags.DEFINE_integer("num_shards", 1, "Machines that share the run without knowing of each other; see merge.")
    flags.DEFINE_integer("shard_index", 0, "Which of them this one is.")
    flags.DEFINE_bool("distributed", False, "This is one of several processes that share the run and its folder.")
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0; found on TPU pods, Slurm and MPI.")
    flags.DEFINE_integer("num_processes", None, "How many processes there are; found likewise.")
    flags.DEFINE_integer("process_id", None, "Which of them this one is; found likewise.")


def run_options() -> RunOptions:
    """How the flags say that the experiment is run; raises ValueError if one is not allowed."""
    share = Share(
        shard=FLAGS.shard_index, shards=FLAGS.num_shards, process=jax.process_index(), processes=jax.process_count()
    )
    names = ("root_seed", "keep_curves", "checkpoint_secs", "repair")
    return RunOptions(share=share, **{name: FLAGS[name].value for name in names})


def run_experiment(config: dict[str, object], cells: Sequence[Cell]) -> RunFolder | None:
    """Runs an experiment's cells as the flags say.

    Args:
      config: its resolved settings, JSON values.
      cells: what to run, `(cells,)`.

    Returns:
      The finished run's folder; None if there is nothing to judge: after `--dry_run`, in a shard, and in processes
      that do not lead.
    """
    options = run_options()
    if FLAGS.dry_run:
        print(plan(cells))
        return None
    folder = open_folder(FLAGS.out, config, cells, options)
    entries = run_cells(folder, cells, options, command=command())
    if options.share.shards > 1 and options.share.leads:
        say(
            f"Shard {options.share.shard} of {options.share.shards} is finished; join them all: "
            f"python -m experiments.merge --out=FOLDER {FLAGS.out} ..."
        )
    return folder if entries else None


def numbers(name: str, kind: Callable[[str], float]) -> tuple[float, ...] | None:
    """The values `(m,)` of a comma-separated flag as numbers, None if it was not given.

    Raises:
      ValueError: if an entry is not a number of this kind.
    """
    entries = FLAGS[name].value
    if entries is None:
        return None
    require(len(entries) > 0, name, "", "must be a comma-separated list")
    out = []
    for entry in entries:
        try:
            out.append(kind(entry))
        except ValueError:
            require(False, name, entry, f"must be a comma-separated list of {'whole ' if kind is int else ''}numbers")
    return tuple(out)


def command() -> str:
    """The command that was typed, as it may be typed again."""
    module = sys.modules["__main__"].__spec__
    return shlex.join(["python", "-m", module.name if module else sys.argv[0], *sys.argv[1:]])


def parse(argv: Sequence[str], *, arguments: bool = False) -> list[str]:
    """Parses flags; what is wrong with them, or `arguments` where there should be none, takes one line."""
    try:
        rest = FLAGS(argv)
        require(arguments or len(rest) == 1, "arguments", " ".join(rest[1:]), "flags start with --; see --helpshort")
        return rest
    except (flags.Error, ValueError) as error:
        say(f"error: {' '.join(str(error).split())}")
        sys.exit(2)


def finish(main: Callable[[], None]) -> int:
    """Runs an experiment once its flags are parsed: what is wrong takes one line, a stop a word on how to go on.

    Args:
      main: the experiment.

    Returns:
      The exit code: 0, 1 if the disk, a file or another process failed, 2 for a bad argument, 128 and the number of
      the signal if one stopped it.
    """
    try:
        main()
    except ValueError as error:
        if "is not allowed" not in str(error):
            raise
        say(f"error: {'--' if str(error).partition('=')[0] in FLAGS else ''}{error}")
        return 2
    except RunError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt as stop:
        what, signum = ("Terminated", stop.signum) if getattr(stop, "signum", 2) != 2 else ("Interrupted", 2)
        say(f"\n{what}. what is completed is kept in {FLAGS.out}; to resume: {command()}")
        return 128 + signum
    return 0


def _run(main: Callable[[], None]) -> None:
    """Makes JAX ready, alone or with other processes, and runs `main`."""
    if not FLAGS["verbosity"].present:  # absl's app would show jax's notes on absent backends, and orbax's on saves
        absl_logging.set_verbosity(absl_logging.WARNING)
        logging.getLogger("jax").setLevel(logging.WARNING)

    def terminate(signum: int, frame: object) -> None:
        raise Stopped(signum)

    use_cpu_devices(FLAGS.cpu_devices)
    use_compilation_cache(FLAGS.compilation_cache)
    if "distributed" in FLAGS and FLAGS.distributed:
        meet(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    signal.signal(signal.SIGTERM, terminate)
    main()


def launch(main: Callable[[], None]) -> None:
    """Parses the flags, makes JAX ready, runs `main` and exits."""

    def run(argv: Sequence[str]) -> int:
        del argv
        code = finish(lambda: _run(main))
        if code and jax.distributed.is_initialized():
            os._exit(code)  # an orderly end would wait for processes that may be gone
        return code

    app.run(run, flags_parser=parse)
