# SPDX-License-Identifier: Apache-2.0
"""Puts a finished run on show: answer and figures to experiments/results/, evidence to docs/, verdicts to the README.

python -m experiments.publish --run=runs/plateaus --name=lowrank --figures=loss,bumps

Figures that are shown come from a run with --png.

The marks `<!-- answer NAME -->` and `<!-- /answer NAME -->` say where the evidence goes, in a page of docs/results/;
`<!-- verdicts NAME -->` and `<!-- /verdicts NAME -->` where the verdicts go, there or in the README.
"""

import dataclasses
import gzip
import json
import pathlib
import re
import shutil
from typing import Any

from PIL import Image

from experiments.benchmarks.faults.kinds import KINDS
from experiments.benchmarks.load import BOUND, shown
from experiments.benchmarks.report import machine_line, tables
from experiments.pages import feedback
from experiments.pages.claims import evidence_grid, evidence_list, evidence_rows, verdict_table
from experiments.pages.epochs import calculation_tables, exposure_table
from experiments.pages.markdown import command, made, number, table, wrap
from jaxmyopia import launch
from jaxmyopia.checks import require, user_path
from jaxmyopia.flags import flag

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
README, PAGES = ROOT / "README.md", ROOT / "docs" / "results"
MARK = re.compile(r"<!-- answer (\w+) -->")
# Of an answer's claim, where, rows and column: a table of its evidence, wherever in docs/results a text wants one.
GRID = re.compile(r"(<!-- grid (\w+) ([\w-]+)\s\|\s([^|]+)\s\|\s([^|]+)\s\|\s(\w+)\s-->\n).*?<!-- /grid -->", re.DOTALL)
ANSWERS = ("claims.json", "benchmark.json", "platforms.json", "soak.json", "calibration.json")  # a run has one of them
LARGE = 500_000  # bytes: larger ones are kept compressed


@dataclasses.dataclass(frozen=True)
class Publish:
    """Flags of publish."""

    run: str = flag("runs/plateaus", "Folder of the finished run.")
    name: str = flag("lowrank", "Name of the answer: its folder, and its marks in docs/results.")
    figures: tuple[str, ...] = flag((), "Names of the figures to keep, without their ending.")
    registration: str = flag("", "File of the run's registration, to keep beside it.")


FLAGS = launch.flags_of(Publish, name="publish")


def benchmark_table(measured: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What each baseline took, as Markdown tables: whole runs first, then their growth, then steps alone.

    Args:
      measured: contents of benchmark.json.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    sections = dict(measured["sections"])
    sections["cells"] = [{"baseline": row.get("contestant"), **row} for row in sections.get("cells", [])]  # before 0.2
    told = f"{machine_line(manifest)}; medians of {manifest['config']['repeats']}."
    if "other_load" in measured:
        told += f" Other work took at most {shown(measured['other_load'])} of the machine."
    return "\n\n".join([wrap(told), command(manifest), *map(table, tables(sections))])


def precision_tables(answer: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What the precision of products does to verdicts, a table an experiment, and what was lowered; Markdown.

    Args:
      answer: contents of platforms.json.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    rows, lowered = answer["claims"], answer["lowered"]
    precisions = list(dict.fromkeys(row["precision"] for row in rows))
    products, left = sum(row["products"] for row in lowered), sum(len(row["left"]) for row in lowered)
    platforms = sorted({row["platform"] for row in lowered})
    said = f"{len(lowered)} lowered cells ({', '.join(platforms)}) hold {products} products"
    said += f"; {left} are left at the default."
    parts = [wrap(f"{made(manifest)}, {manifest['seconds']:.0f} s."), command(manifest), wrap(said)]
    for experiment in dict.fromkeys(row["experiment"] for row in rows):
        parts += [
            f"## {experiment}",
            _by_precision([row for row in rows if row["experiment"] == experiment], precisions),
        ]
    return "\n\n".join(parts)


def _by_precision(rows: list[dict[str, Any]], precisions: list[str]) -> str:
    lines = [f"| claim, evidence | {' | '.join(precisions)} |", "|---" * (1 + len(precisions)) + "|"]
    for claim in dict.fromkeys(row["id"] for row in rows):
        mine = {row["precision"]: row for row in rows if row["id"] == claim}
        lines.append(f"| {claim} | {' | '.join('**' + mine[each]['verdict'] + '**' for each in precisions)} |")
        for place, piece in enumerate(mine[precisions[0]]["evidence"]):
            found = [mine[each]["evidence"][place] for each in precisions]
            lines.append(f"| – {piece['name']} | {' | '.join(number(each['estimate']) for each in found)} |")
    return "\n".join(lines)


def faults_table(found: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What the soak tried and what survived, as a Markdown table.

    Args:
      found: contents of soak.json.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    rows = found["faults"]
    lines = ["| fault | what happens at one file operation | tried | survived |", "|---|---|---|---|"]
    for row in rows:
        what = _sentence(KINDS[row["what"]].__doc__)
        lines.append(f"| {row['what']} | {what} | {row['tried']:,} | {row['survived']:,} |")
    tried, survived = (sum(row[name] for row in rows) for name in ("tried", "survived"))
    lines.append(f"| all | | {tried:,} | {survived:,} |")
    told = f"{made(manifest)}, {manifest['seconds'] / 60:.0f} minutes, a run of {rows[0]['operations']} operations:"
    wrong = [wrap(f"- {row['what']} at {each}", indent="  ") for row in rows for each in row["wrong"]]
    parts = [wrap(told), command(manifest), "\n".join(lines), *(["\n".join(wrong)] if wrong else [])]
    return "\n\n".join(parts)


def calibration_tables(found: dict[str, Any], manifest: dict[str, Any]) -> str:
    """How often each kind of claim is wrong, a table a number that is claimed about; Markdown.

    Args:
      found: contents of calibration.json.
      manifest: of the run.

    Returns:
      Markdown text.
    """
    rates, sizes = found["rates"], manifest["config"]["sizes"]
    parts = [wrap(f"{made(manifest)}, {manifest['seconds'] / 60:.0f} minutes, {rates[0]['wrong']['n']} draws:")]
    parts.append(command(manifest))
    for asked in dict.fromkeys(rate["number"] for rate in rates):
        mine = [rate for rate in rates if rate["number"] == asked]
        lines = [f"| {asked}: % wrong | {' | '.join(map(str, sizes))} |", "|---" * (1 + len(sizes)) + "|"]
        for kind in dict.fromkeys(rate["kind"] for rate in mine):
            by_size = {rate["seeds"]: _wrong(rate["wrong"]) for rate in mine if rate["kind"] == kind}
            lines.append(f"| {kind} | {' | '.join(by_size.get(size, '') for size in sizes)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _wrong(interval: dict[str, Any]) -> str:
    low, estimate, high = (f"{100 * interval[name]:.2g}" for name in ("low", "estimate", "high"))
    return f"{estimate} [{low}, {high}]"


def _sentence(doc: str | None) -> str:
    return " ".join((doc or "").split()).rstrip(".")


def holds(folder: pathlib.Path, name: str) -> bool:
    """Whether a published folder has a file, as it is or compressed."""
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def text_of(folder: pathlib.Path, name: str) -> str:
    """The text of a file of a published folder, compressed or not."""
    plain = folder / name
    data = plain.read_bytes() if plain.is_file() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    return data.decode()


def read(folder: pathlib.Path, name: str) -> Any:
    """The JSON of a file of a published folder."""
    return json.loads(text_of(folder, name))


def keep(data: bytes, path: pathlib.Path) -> None:
    """Writes a file of a published folder, compressed if it is `LARGE`; the same bytes give the same file."""
    large = len(data) > LARGE
    (path.with_name(f"{path.name}.gz") if large else path).write_bytes(gzip.compress(data, mtime=0) if large else data)


def answer_text(folder: pathlib.Path) -> str:
    """What a page of docs/results says of a run's or an answer's folder, whichever of `ANSWERS` it holds."""
    (name,) = (name for name in ANSWERS if holds(folder, name))
    answer, manifest = (read(folder, file) for file in (name, "manifest.json"))
    write = {"claims.json": evidence_list, "benchmark.json": benchmark_table, "platforms.json": precision_tables}
    return (write | {"soak.json": faults_table, "calibration.json": calibration_tables})[name](answer, manifest)


def places(name: str) -> list[pathlib.Path]:
    """The pages of docs/results that have the marks of an answer."""
    return [page for page in sorted(PAGES.glob("*.md")) if name in MARK.findall(page.read_text())]


def showing_verdicts(name: str) -> list[pathlib.Path]:
    """The texts that have the marks of an answer's verdicts."""
    return [page for page in (README, *sorted(PAGES.glob("*.md"))) if f"<!-- verdicts {name} -->" in page.read_text()]


def put_between(text: str, name: str, new: str) -> str:
    """Replaces what stands between the comments `<!-- NAME -->` and `<!-- /NAME -->` of a text."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{new}\n{end}{after}"


def with_grids(text: str, name: str) -> str:
    """A text whose marks `<!-- grid NAME CLAIM | setting=value, ... | rows | column -->` hold what an answer says; in
    place of settings it may say `everywhere`."""

    def filled(found: re.Match[str]) -> str:
        mark, answer, claim, where, rows, column = found.groups()
        if answer != name:
            return found.group()
        told = " ".join(where.split())
        settings = {} if told == "everywhere" else dict(pair.split("=") for pair in told.split(", "))
        grid = evidence_grid(read(RESULTS / name, "claims.json"), claim, settings, rows.split(", "), column)
        return f"{mark}{grid}\n<!-- /grid -->"

    return GRID.sub(filled, text)


def write_answer(name: str) -> None:
    """Writes the evidence of a published answer into its page, its verdicts wherever they have their marks, and the
    tables that pages ask of it."""
    folder, mark = RESULTS / name, f"answer {name}"
    for page in places(name):
        page.write_text(put_between(page.read_text(), mark, answer_text(folder)))
    for page in PAGES.glob("*.md"):
        page.write_text(with_grids(page.read_text(), name))
    if name == "myopia":
        for page in places(name):
            tables = {"calculations": calculation_tables(), "exposures": exposure_table(read(folder, "claims.json"))}
            for place, text in tables.items():
                page.write_text(put_between(page.read_text(), place, text))
    if name == "feedback":
        for page in places(name):
            page.write_text(put_between(page.read_text(), "calculations", feedback.calculation_tables()))
    for page in showing_verdicts(name):
        page.write_text(put_between(page.read_text(), f"verdicts {name}", verdict_table(read(folder, "claims.json"))))


def _require_quiet(measured: dict[str, Any]) -> None:
    """Refuses a benchmark beside which the machine had other work, or may have had."""
    known = "how much others took is not known"
    if measured.get("quiet") is False:
        known = f"others took up to {measured['other_load']:.0%}"
    allowed = f"must be a benchmark of a quiet machine, at most {BOUND:.0%} of it at other work, but {known}"
    require(measured.get("quiet") is True, "run", FLAGS.run, allowed)


def main() -> None:
    """Copies and rewrites; nothing is changed if the run is not finished."""
    run = user_path("run", FLAGS.run)
    answers = [name for name in ANSWERS if (run / name).is_file()]
    require(len(answers) == 1, "run", FLAGS.run, "must be the folder of a finished run")
    manifest = json.loads((run / "manifest.json").read_text())
    require(manifest["status"] == "complete", "run", FLAGS.run, f"must be finished, but it is {manifest['status']}")
    if answers == ["benchmark.json"]:
        _require_quiet(json.loads((run / "benchmark.json").read_text()))
    for name in FLAGS.figures:
        known = sorted(path.stem for path in (run / "figures").glob("*.png"))
        require(name in known, "figures", name, f"must be one of {', '.join(known)}")
    known = [name for page in sorted(PAGES.glob("*.md")) for name in MARK.findall(page.read_text())]
    require(FLAGS.name in known, "name", FLAGS.name, f"must have its marks in docs/results, as {', '.join(known)}")
    kept = {name: (run / name).read_bytes() for name in (*answers, "manifest.json")}
    if FLAGS.registration:
        kept["registration.json"] = user_path("registration", FLAGS.registration).read_bytes()
        registered = json.loads(kept["registration.json"])["hash"] in kept["manifest.json"].decode()
        require(registered, "registration", FLAGS.registration, "must be what the run's manifest.json names")
    if "claims.json" in kept:
        kept["evidence.csv"] = evidence_rows(json.loads(kept["claims.json"])).encode()
    out = RESULTS / FLAGS.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, data in kept.items():
        keep(data, out / name)
    for name in FLAGS.figures:
        with Image.open(run / "figures" / f"{name}.png") as figure:  # in 256 colours: a third of its size
            figure.convert("RGB").quantize(256).save(out / f"{name}.png", optimize=True)
    write_answer(FLAGS.name)


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
