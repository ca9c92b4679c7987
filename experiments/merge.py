# SPDX-License-Identifier: Apache-2.0
"""Joins the folders of shards, made with --num_shards and --shard_index on machines that do not know of each other.

python -m experiments.merge --out=runs/plateaus runs/shard0 runs/shard1 runs/shard2
"""

from jaxmyopia.commands import MERGE

main = MERGE

if __name__ == "__main__":
    main.launch()
