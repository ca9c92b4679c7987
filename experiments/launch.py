# SPDX-License-Identifier: Apache-2.0
"""What every experiment's binary shares: its flags, and how it ends when something is wrong."""

import logging
import shlex
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from jaxmyopia.checks import require
from jaxmyopia.runner.experiment import say
from jaxmyopia.runner.mesh import use_all_cores, use_compilation_cache

FLAGS = flags.FLAGS


def define_basic_flags(name: str) -> None:
    """Defines the flags that every binary has."""
    flags.DEFINE_string("out", f"runs/{name}", "Folder of the run; the same command goes on with it.")
    flags.DEFINE_string("compilation_cache", "~/.cache/jaxmyopia", "Folder of compiled programs; empty for none.")


def define_flags(experiment: str, presets: Sequence[str]) -> None:
    """Defines the flags that all experiments have; `presets` `(m,)` are the names of the experiment's own."""
    define_basic_flags(experiment)
    flags.DEFINE_enum("preset", presets[0], presets, "Settings for all flags that are not given.")
    flags.DEFINE_integer("seeds", None, "Seeds in every cell.")
    flags.DEFINE_integer("root_seed", 0, "Root of every seed's random key.")
    flags.DEFINE_integer("keep_curves", 4, "Keep all curves of this many seeds in every cell.")
    flags.DEFINE_bool("dry_run", False, "Print what would be run, and stop.")


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


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags; what is wrong with them takes one line."""
    try:
        rest = FLAGS(argv)
        require(len(rest) == 1, "arguments", " ".join(rest[1:]), "flags start with --; see --helpshort")
        return rest
    except (flags.Error, ValueError) as error:
        say(f"error: {' '.join(str(error).split())}")
        sys.exit(2)


def finish(main: Callable[[], None]) -> int:
    """Runs an experiment once its flags are parsed: a bad argument takes one line, Ctrl-C a word on how to go on.

    Args:
      main: the experiment.

    Returns:
      The exit code: 0, 2 for a bad argument, 130 for an interrupt.
    """
    try:
        main()
    except ValueError as error:
        if "is not allowed" not in str(error):
            raise
        say(f"error: --{error}")
        return 2
    except KeyboardInterrupt:
        say(f"\nInterrupted. What is finished stays in {FLAGS.out}; to go on: {command()}")
        return 130
    return 0


def launch(main: Callable[[], None]) -> None:
    """Parses the flags, makes JAX ready, runs `main` and exits."""

    def run(argv: Sequence[str]) -> int:
        del argv
        logging.getLogger("jax").setLevel(logging.WARNING)  # absl's app would show jax's notes on absent backends
        use_all_cores()
        use_compilation_cache(FLAGS.compilation_cache)
        return finish(main)

    app.run(run, flags_parser=parse)
