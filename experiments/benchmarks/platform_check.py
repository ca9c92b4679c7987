# SPDX-License-Identifier: Apache-2.0
"""What the precision of matrix products does to verdicts: the same claims in float32, and with operands rounded as TF32
and bfloat16 units round them; and whether any program leaves the precision to its backend.

python -m experiments.benchmarks.platform_check
"""

import collections
import dataclasses
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxmyopia import cli, contract, launch
from jaxmyopia.answer import Answer
from jaxmyopia.checks import require_one_of
from jaxmyopia.claims import Judgement
from jaxmyopia.engine import precision
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.mesh import seed_mesh
from jaxmyopia.engine.program import Program
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.session import say
from jaxmyopia.flags import flag
from jaxmyopia.studies.registry import EXPERIMENTS
from jaxmyopia.study import Cell

PLATFORMS = ("cpu", "cuda", "tpu")
_PRODUCT = re.compile(r"stablehlo\.(dot_general|convolution)\b")
_PINNED = re.compile(r"precision = \[HIGHEST, HIGHEST\]|#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>")


@dataclasses.dataclass(frozen=True)
class PlatformCheck(launch.Machine):
    """Flags of platform_check."""

    experiments: tuple[str, ...] = flag(tuple(EXPERIMENTS), "Whose claims are judged; each runs once a precision.")
    preset: str = flag("quick", "Their settings.")
    precisions: tuple[str, ...] = flag((precision.HIGHEST, "simulated_tf32", "simulated_bfloat16"), "Main one first.")
    lowered: bool = flag(True, "Lower every cell of every preset for all platforms, too.")


FLAGS = launch.flags_of(PlatformCheck, name="platform_check", out="runs/platform_check")


def left_at_default(cell: Cell, platform: str) -> tuple[int, list[str]]:
    """The products of matrices in a cell's lowered programs: how many, and those whose precision is the backend's.

    Args:
      cell: the cell; its programs are lowered, not compiled.
      platform: cpu, cuda or tpu, present or not.

    Returns:
      The number of products, and lines of text.
    """
    program = Program(study=cell.study, mesh=seed_mesh(), points=4, slots=1)
    found, left = 0, []
    with precision.of_products(program.matmul_precision):
        params = contract.shapes(cell.study, cell.columns(np.zeros(1, int))).params
        for traced in program.traced(params).values():
            text = traced.lower(lowering_platforms=(platform,)).as_text()
            products = [line.strip() for line in text.splitlines() if _PRODUCT.search(line)]
            found += len(products)
            left += [line for line in products if not _PINNED.search(line)]
    return found, left


def lowered_cells() -> Iterator[dict[str, Any]]:
    """A row for each study of any preset of any experiment, and platform."""
    seen: set[object] = set()
    for make in EXPERIMENTS.values():
        experiment = make()
        for sweep in experiment.presets.values():
            for cell in experiment.cells(sweep):
                if cell.study not in seen:
                    seen.add(cell.study)
                    for platform in PLATFORMS:
                        products, left = left_at_default(cell, platform)
                        yield {"cell": str(cell.study), "platform": platform, "products": products, "left": left}


def _row(name: str, matmul_precision: str, claim: Judgement) -> dict[str, Any]:
    pieces = [
        {"name": each.name, "estimate": each.interval.estimate, "verdict": each.verdict} for each in claim.evidence
    ]
    return {
        "experiment": name, "id": claim.id, "text": claim.text, "precision": matmul_precision,
        "verdict": claim.verdict, "evidence": pieces,
    }  # fmt: skip


def judged(name: str, matmul_precision: str) -> list[dict[str, Any]]:
    """Runs an experiment at a precision, or resumes it; a row for each of its claims."""
    out = f"{FLAGS.out}/{name}-{matmul_precision}"
    flags = {"preset": FLAGS.preset, "matmul_precision": matmul_precision, "out": out}
    answer = cli.binary(EXPERIMENTS[name]())(**flags)
    assert isinstance(answer, Answer)  # one process, one shard
    return [_row(name, matmul_precision, claim) for claim in answer.claims]


def main() -> None:
    """Runs, judges and counts."""
    for name in FLAGS.experiments:
        require_one_of("experiments", name, EXPERIMENTS)
    for name in FLAGS.precisions:
        require_one_of("precisions", name, precision.NAMES)
    began, started = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lowered = list(lowered_cells()) if FLAGS.lowered else []
    claims = [row for name in FLAGS.experiments for each in FLAGS.precisions for row in judged(name, each)]
    config = {"experiment": "platform_check", "preset": FLAGS.preset, "precisions": FLAGS.precisions}
    folder = RunFolder(f"{FLAGS.out}/table", config)
    folder.write_json("platforms.json", {"lowered": lowered, "claims": claims})
    seconds = round(time.monotonic() - began, 1)
    entries = {"status": "complete", "command": launch.command(), "started": started, "seconds": seconds}
    folder.write_manifest(**entries | environment())
    left = collections.Counter(row["platform"] for row in lowered if row["left"])
    say(f"{len(lowered)} lowered cells, {sum(left.values())} with a product at the default; {len(claims)} verdicts")


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
