# SPDX-License-Identifier: Apache-2.0
"""Joins the folders of shards, made with --num_shards and --shard_index on machines that do not know of each other.

python -m experiments.merge --out=runs/plateaus runs/shard0 runs/shard1 runs/shard2
"""

import functools
from collections.abc import Sequence

from absl import app, flags

from jaxmyopia import cli as launch
from jaxmyopia.engine.merge import merge
from jaxmyopia.engine.session import say

FLAGS = flags.FLAGS
flags.DEFINE_string("out", None, "Folder of the whole run, which is made.", required=True)


def main(folders: Sequence[str]) -> None:
    """Checks, copies, and says how to judge; `folders` `(m,)` are the shards'."""
    folder, command = merge(folders, FLAGS.out)
    print(command)
    say(f"{len(folder.completed())} chunks are joined in {FLAGS.out}; the command above judges them.")


if __name__ == "__main__":
    parse = functools.partial(launch.parse, arguments=True)
    app.run(lambda argv: launch.finish(lambda: main(argv[1:])), flags_parser=parse)
