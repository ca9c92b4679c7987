# SPDX-License-Identifier: Apache-2.0
"""The subcommands that run no experiment: merge, curves, verify, replay, calibrate."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from jaxmyopia import launch
from jaxmyopia.checks import require
from jaxmyopia.curves_command import CurvesOfOnesOwn, show_curves
from jaxmyopia.declared import opened, registered
from jaxmyopia.engine.merge import merge
from jaxmyopia.engine.session import say, show
from jaxmyopia.flags import flag
from jaxmyopia.replay import show_seed
from jaxmyopia.verify import tell, verify


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand: `main(settings, arguments)` on a dataclass `settings` made from flags, and what is no flag."""

    name: str
    summary: str
    usage: str
    settings: type
    main: Callable[[Any, list[str]], None]

    def launch(self, argv: Sequence[str] | None = None) -> None:
        """Runs it on what was typed, the program and its words, by default `sys.argv`, and exits."""
        values = launch.flags_of(self.settings, name=self.name)
        about = f"{self.summary}\n\n{self.usage}"
        main = lambda rest: self.main(launch.read(values, self.settings), rest)
        launch.launch(main, values, about=about, argv=argv, arguments=True)


@dataclasses.dataclass(frozen=True)
class Merge:
    """Flags of merge."""

    out: str | None = flag(None, "Folder of the whole run, which is made.")


def _merge(settings: Merge, folders: list[str]) -> None:
    """Checks, copies, and says how to judge."""
    require(settings.out is not None, "out", settings.out, "must be the folder of the whole run, which is made")
    folder, command = merge(folders, str(settings.out))
    show(command)
    say(f"{len(folder.completed())} chunks are joined in {settings.out}; the command above judges them.")


@dataclasses.dataclass(frozen=True)
class Verify(launch.Machine):
    """Flags of verify."""

    replay: int = flag(0, "Run this many random trials again, each from its seed alone.")


def _verify(settings: Verify, folders: list[str]) -> None:
    """Prints a line a check."""
    tell(verify(_one(folders), replay=settings.replay))


@dataclasses.dataclass(frozen=True)
class Replay(launch.Machine):
    """Flags of replay."""

    seed: int = flag(0, "The seed.")
    cell: tuple[int, ...] | None = flag(None, "Numbers of cells; by default all.")
    curve: str | None = flag(None, "A file for the curves, as CSV; by default they are printed.")


def _replay(settings: Replay, folders: list[str]) -> None:
    """Prints the seed's rows, their curves, and whether they are the table's."""
    folder = opened(_one(folders))
    show_seed(folder, registered(folder).cells, settings.cell, settings.seed, settings.curve)


@dataclasses.dataclass(frozen=True)
class Calibrate(launch.Machine):
    """Flags of calibrate."""

    out: str = flag("runs/calibration", "Folder of what is found.")
    trials: int = flag(400, "Draws of each kind of claim, number and size; fewer of kinds that take longer.")
    sizes: tuple[int, ...] = flag((24, 64, 256, 1024), "How many seeds are drawn.")
    root_seed: int = flag(0, "Root of the seeds and of the draws.")


def _calibrate(settings: Calibrate, rest: list[str]) -> None:
    """Prints a line a rate as it is known."""
    from jaxmyopia.calibrate import calibrate

    require(not rest, "arguments", " ".join(rest), "there are none")
    show("Of each kind of claim, by seeds: % wrong (nominal: at most 5), and % decided.")
    number = ""
    for rate in calibrate(
        settings.out, trials=settings.trials, sizes=settings.sizes, root_seed=settings.root_seed,
        command=launch.command(),
    ):  # fmt: skip
        if rate.number != number:
            number = rate.number
            show(f"\nof a number: {number}")
        low, wrong, high = (f"{100 * each:.2g}" for each in (rate.wrong.low, rate.wrong.estimate, rate.wrong.high))
        show(f"  {rate.kind:<50}{rate.seeds:>5}  {f'{wrong} [{low}, {high}]':<17}{100 * rate.decided:>3.0f}")


def _one(folders: list[str]) -> str:
    require(len(folders) == 1, "folder", " ".join(folders), "must be one folder of a run")
    return folders[0]


MERGE = Command(
    name="merge",
    summary="Joins the folders of shards, made with --num_shards and --shard_index on machines that do not know of "
    "each other.",
    usage="python -m jaxmyopia merge --out=FOLDER SHARD...",
    settings=Merge,
    main=_merge,
)
CURVES = Command(
    name="curves",
    summary="Counts plateaus, descents and upticks of loss curves from elsewhere, and draws them.",
    usage="python -m jaxmyopia curves FILE [--figure=FILE.png]\n\nFILE: a "
    ".csv, long or wide, as trackers export them; a .npy or .npz of steps and losses.",
    settings=CurvesOfOnesOwn,
    main=show_curves,
)
VERIFY = Command(
    name="verify",
    summary="Checks whether a run's folder holds what it says: files, rows, claims; --replay=50 runs trials again.",
    usage="python -m jaxmyopia verify FOLDER [--replay=K]\n\nOf a program of your own: its command with --verify.",
    settings=Verify,
    main=_verify,
)
REPLAY = Command(
    name="replay",
    summary="Runs one seed of a run again, and compares it with the run's table.",
    usage="python -m jaxmyopia replay FOLDER --seed=17 [--cell=3] [--curve=FILE]\n\nOf a program of your own: its "
    "command with --replay_seed.",
    settings=Replay,
    main=_replay,
)
CALIBRATE = Command(
    name="calibrate",
    summary="Measures how often each kind of claim is wrong where there is nothing to find: two copies of one study.",
    usage="python -m jaxmyopia calibrate [--trials=400] [--sizes=24,64,256,1024] [--out=FOLDER]",
    settings=Calibrate,
    main=_calibrate,
)
COMMANDS = {command.name: command for command in (MERGE, CURVES, VERIFY, REPLAY, CALIBRATE)}
