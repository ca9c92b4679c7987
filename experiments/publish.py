# SPDX-License-Identifier: Apache-2.0
"""Puts a finished run on show: its answer and figures under experiments/results/, its table into the README.

python -m experiments.publish --run=runs/plateaus --name=plateaus --figures=loss,bumps
"""

import dataclasses
import json
import pathlib
import re
import shutil

from experiments.benchmarks.report import speed_table
from jaxmyopia import launch
from jaxmyopia.checks import require
from jaxmyopia.claims.verdicts import reference
from jaxmyopia.flags import flag

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
MARK = re.compile(r"<!-- answer (\w+) -->")
ANSWERS = ("claims.json", "benchmark.json")  # a run has one of them


@dataclasses.dataclass(frozen=True)
class Publish:
    """Flags of publish."""

    run: str = flag("runs/plateaus", "Folder of the finished run.")
    name: str = flag("plateaus", "Name of the answer: its folder, and its marks in the README.")
    figures: tuple[str, ...] = flag((), "Names of the figures to keep, without their ending.")


FLAGS = launch.flags_of(Publish, name="publish")


def claims_table(claims: list[dict], manifest: dict) -> str:
    """The claims of a run as a Markdown table, with when and on what it was made.

    Args:
      claims: `(m,)` entries of claims.json.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    cells = manifest["config"]["cells"]
    seeds = sorted({cell["seeds"] for cell in cells}, reverse=True)
    lines = ["| claim | verdict | evidence: estimate [95 % interval] |", "|---|---|---|"]
    for claim in claims:
        pieces = [
            f"{piece['name']}: {_interval(piece['interval'])}, n = {piece['interval']['n']}, {piece['verdict']}"
            for piece in claim["evidence"]
        ]
        against = [reference(piece["null"], piece.get("margin")) for piece in claim["evidence"]]
        statistics = {
            f"{piece['statistic']} ({text}):": None for piece, text in zip(claim["evidence"], against, strict=True)
        }
        evidence = "<br>".join([*statistics, *pieces]) or claim["reason"]
        lines.append(f"| {claim['text']} | **{claim['verdict']}** | {evidence} |")
    day, machine = manifest["started"][:10], manifest["machine"]
    lines += ["", f"{day}, {machine}, jax {manifest['versions']['jax']}, {manifest['seconds']:.0f} s, "]
    lines[-1] += f"{' or '.join(map(str, seeds))} seeds a cell: `{manifest['command']}`."
    return "\n".join(lines)


def benchmark_table(measured: dict, manifest: dict) -> str:
    """What each baseline reached, as a Markdown table; figures are thousand seed-steps a second.

    Args:
      measured: contents of benchmark.json, with rows `(m,)` in section `cells`.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    # Answers of before 2026-11-26 say contestant.
    rows = [{"baseline": row.get("contestant"), **row} for row in measured["sections"]["cells"]]
    table = speed_table(rows)
    head, *lines = (f"| {' | '.join(line)} |" for line in table)
    what = f"{manifest['started'][:10]}, {manifest['machine']}, jax {manifest['versions']['jax']}"
    foot = f"{what}, medians of {len(rows[0]['speeds'])}: `{manifest['command']}`."
    return "\n".join([head, "|---" * len(table[0]) + "|", *lines, "", foot])


def answer_table(folder: pathlib.Path) -> str:
    """The table of a run's or an answer's folder, whichever of `ANSWERS` it holds; Markdown of any length."""
    (name,) = (name for name in ANSWERS if (folder / name).is_file())
    answer, manifest = (json.loads((folder / file).read_text()) for file in (name, "manifest.json"))
    return (claims_table if name == "claims.json" else benchmark_table)(answer, manifest)


def _interval(interval: dict) -> str:
    return f"{interval['estimate']:.2g} [{interval['low']:.2g}, {interval['high']:.2g}]"


def put_between(text: str, name: str, new: str) -> str:
    """Replaces what stands between the comments `<!-- NAME -->` and `<!-- /NAME -->` of a text of any length."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{new}\n{end}{after}"


def main() -> None:
    """Copies and rewrites; nothing is changed if the run is not finished."""
    run = pathlib.Path(FLAGS.run)
    answers = [name for name in ANSWERS if (run / name).is_file()]
    require(len(answers) == 1, "run", FLAGS.run, "must be the folder of a finished run")
    manifest = json.loads((run / "manifest.json").read_text())
    require(manifest["status"] == "complete", "run", FLAGS.run, f"must be finished, but it is {manifest['status']}")
    for name in FLAGS.figures:
        known = sorted(path.stem for path in (run / "figures").glob("*.png"))
        require(name in known, "figures", name, f"must be one of {', '.join(known)}")
    readme = ROOT / "README.md"
    known = MARK.findall(readme.read_text())
    require(FLAGS.name in known, "name", FLAGS.name, f"must have its marks in the README, as {', '.join(known)}")
    out = RESULTS / FLAGS.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in (*answers, "manifest.json", *(f"figures/{name}.png" for name in FLAGS.figures)):
        shutil.copyfile(run / name, out / pathlib.Path(name).name)
    readme.write_text(put_between(readme.read_text(), f"answer {FLAGS.name}", answer_table(out)))


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
