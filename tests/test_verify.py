# SPDX-License-Identifier: Apache-2.0
"""A small run is verified and replayed; and everything that may be altered in its folder is found, and named."""

import csv
import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jaxmyopia as jm
from jaxmyopia import cli, commands, flags
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.engine.chunk import ChunkRun, compile_cell
from jaxmyopia.engine.files import checksum_of
from jaxmyopia.engine.identity import hash_of
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.studies.registry import EXPERIMENTS

SEEDS, KEPT = 24, 2
RATIO = jm.measures.final_ratio()


@jm.claim("The larger rate ends lower.")
def larger_is_better(trials):
    sides = lambda cell: [trials.where(cell=cell, learning_rate=rate) for rate in (0.1, 0.01)]
    return {f"cell {cell}": jm.paired(*sides(cell), RATIO).below(0) for cell in trials.unique("cell")}


@dataclasses.dataclass(frozen=True)
class Sweep:
    n: int = flag(4, "Side.")
    budgets: tuple[int, ...] = flag((6, 8), "Steps of each cell, which share one program.")

    def cells(self):
        study, swept = jm.LowRank(n=self.n, rank=1), {"learning_rate": (0.01, 0.1), "init_scale": 0.5}
        return [study.cells(seeds=SEEDS, steps=steps, records=4, **swept)[0] for steps in self.budgets]


TINY = Experiment("tiny", "A small run.", {"only": Sweep()}, Sweep.cells, claims=lambda sweep: [larger_is_better])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the run; its experiment counts as the package's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "tiny", lambda: TINY)
        folder = tmp_path_factory.mktemp("verify") / "run"
        assert cli.binary(TINY).exit_code([f"--out={folder}", f"--keep_curves={KEPT}"]) == 0
        yield folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


ALL = 2 * 2 * SEEDS
ROWS = "seeds/chunk-001-00000.parquet"


def test_all_is_well(made):
    found = jm.verify(made, replay=ALL)
    assert not found.faults
    assert str(found).splitlines() == [
        "files   18 of 18 chunk files have their checksums",
        "plan    2 of 2 cells are those that this code makes",
        "not registered",
        f"rows    {ALL} of {ALL} trials have their seed and settings",
        "claims  1 of 1 claims are judged as claims.json tells",
        f"replay  {ALL} of {ALL} trials come out as the table has them, to the bit; {2 * 2 * KEPT} kept curves",
    ]
    assert jm.verify(made, replay=5, rng=np.random.default_rng(1)).checks[-1].right == 5


@pytest.mark.parametrize("name", ["loss.png", "alignments_0.01.svg", "map_ce-two-plateaus.png"])
def test_figures_belong_to_the_run_by_whatever_name_a_report_gives_them(folder, name):
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / name).write_bytes(b"a figure")
    assert not jm.verify(folder).faults
    (folder / "figures" / f".{name}").write_bytes(b"hidden")
    assert [str(fault) for fault in jm.verify(folder).faults] == [f"figures/.{name}: does not belong to the run"]


def test_trials_may_be_run_in_any_company(made):
    cell, trials = Sweep().cells()[1], np.array([40, 3, 17])
    chunk = ChunkRun(cell, compile_cell(cell), 0, root_seed=0, keep=2, trials=trials)()
    stored = pq.read_table(made / ROWS)
    for name, values in chunk.rows.items():
        np.testing.assert_array_equal(values, stored[name].to_numpy()[trials])
    kept = np.load(made / "curves/chunk-001-00000.loss.npy")
    np.testing.assert_array_equal(chunk.kept["loss"], kept[:, [3]])  # seed 1 alone of the three is kept


def altered(folder, name, change, *, told=True):
    """Alters a file; `told`: with its checksum in the manifest, so that the file looks whole."""
    path = folder / name
    change(path)
    if told:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["chunks"][path.name.partition(".")[0]][name] = checksum_of(path)
        (folder / "manifest.json").write_text(json.dumps(manifest))


def set_value(column, row, value):
    def change(path):
        table = pq.read_table(path)
        values = table[column].to_pylist()
        values[row] = value(values[row])
        place = table.column_names.index(column)
        pq.write_table(table.set_column(place, column, pa.array(values, table.schema.field(column).type)), path)

    return change


def next_float(value):
    return float(np.nextafter(np.float32(value), np.float32(1)))


def edit(name, change):
    def apply(folder):
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return apply


def restamped(name, change):
    """As `edit`, by someone who knows that chunks carry the identity and makes it fit."""

    def apply(folder):
        edit(name, change)(folder)
        hashed = hash_of(json.loads((folder / "manifest.json").read_text())["config"])
        for path in folder.glob("seeds/*.parquet"):
            stamp = lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({"identity": hashed}), path)
            altered(folder, f"seeds/{path.name}", stamp)

    return apply


def set_curve(path):
    curve = np.load(path)
    curve[1, 2] = 7.0
    np.save(path, curve)


FAULTS = {
    "a row": (
        lambda f: altered(f, ROWS, set_value("loss_ratio", 5, next_float), told=False),
        r"files: seeds/chunk-001-00000.parquet: its checksum is another",
    ),
    "a row and its checksum": (
        lambda f: altered(f, ROWS, set_value("loss_ratio", 5, next_float)),
        r"replay: seeds/chunk-001-00000.parquet, cell 1, trial 5 \(seed 2, learning_rate=0.1, init_scale=0.5\): "
        r"loss_ratio is 0\.\d+, again 0\.\d+$",
    ),
    "a setting": (
        lambda f: altered(f, ROWS, set_value("learning_rate", 5, lambda rate: 0.5)),
        r"rows: seeds/: cell 1, trial 5: learning_rate is 0.5, planned 0.1",
    ),
    "a row too few": (
        lambda f: altered(f, ROWS, lambda path: pq.write_table(pq.read_table(path)[:-1], path)),
        rf"rows: seeds/: cell 1 has {2 * SEEDS - 1} rows, and {2 * SEEDS} trials",
    ),
    "a kept curve": (
        lambda f: altered(f, "curves/chunk-000-00000.loss.npy", set_curve),
        r"replay: curves/chunk-000-00000.loss.npy, cell 0, trial 2 \(seed 1, .*\), record 1: loss is \[7.\], again \[",
    ),
    "a verdict": (
        edit("claims.json", lambda claims: claims[0].update(verdict="contradicted")),
        r'claims: claims.json, larger-is-better: verdict: "contradicted", now "supported" from the rows',
    ),
    "an interval": (
        edit("claims.json", lambda claims: claims[0]["evidence"][0]["interval"].update(low=-1.0)),
        r"claims: claims.json, larger-is-better: evidence.0.interval.low: -1.0, now -0.\d+ from the rows",
    ),
    "a claim twice": (
        edit("claims.json", lambda claims: claims.append(claims[0])),
        "claims: claims.json: larger-is-better stands there 2 times",
    ),
    "a claim less": (edit("claims.json", lambda claims: claims.clear()), "claims: claims.json: lacks larger-is-better"),
    "the root seed alone": (
        edit("manifest.json", lambda manifest: manifest["config"].update(root_seed=7)),
        r"files: seeds/chunk-000-00000.parquet: is another run's: its identity is another",
    ),
    "the root seed": (
        restamped("manifest.json", lambda manifest: manifest["config"].update(root_seed=7)),
        r"replay: seeds/chunk-.* again .*, and \d+ more columns",
    ),
    "the plan": (
        restamped("manifest.json", lambda manifest: manifest["config"].update(n=5)),
        r"plan: manifest.json, cell 0: fields.n: 4, now 5",
    ),
    "a missing file": (
        lambda f: (f / "curves/chunk-000-00000.loss.npy").unlink(),
        "files: curves/chunk-000-00000.loss.npy: is missing",
    ),
    "no claims": (lambda f: (f / "claims.json").unlink(), "files: claims.json: is missing"),
    "a chunk too many": (
        lambda f: shutil.copy(f / ROWS, f / "seeds/chunk-001-00001.parquet"),
        "files: seeds/chunk-001-00001.parquet: does not belong to the run",
    ),
    "a chunk less": (
        edit("manifest.json", lambda manifest: manifest["config"]["cells"][0].update(chunks=2)),
        "files: manifest.json: lacks chunk-000-00001",
    ),
    "a checkpoint": (
        lambda f: shutil.copytree(f / "figures", f / "checkpoints/0/000000-000003"),
        "files: checkpoints/0/000000-000003/.* does not belong to the run",
    ),
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda m: m["chunks"].update({"chunk-007-00000": {}}), "'chunk-007-00000' is no chunk of this run"),
        (lambda m: m["chunks"]["chunk-000-00000"].update({"../x": "0" * 64}), "'../x' is no file of chunk-000-00000"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(folder, change, named):
    edit("manifest.json", change)(folder)
    with pytest.raises(RunError, match=f"manifest.json is damaged: {named}"):
        jm.verify(folder)


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_altered_is_found_and_named(folder, what):
    alter, expected = FAULTS[what]
    alter(folder)
    found = jm.verify(folder, replay=ALL if expected.startswith("replay") else 0)
    lines = [f"{check.name}: {fault}" for check in found.checks for fault in check.faults]
    assert any(re.match(expected, line) for line in lines), lines
    assert all("\n" not in line for line in lines)
    if what == "the root seed":
        assert found.checks[-1].right == 0 and re.search(r"fault: and \d+ more", str(found))
    elif what in ("a row and its checksum", "a kept curve"):
        assert found.checks[-1].right == ALL - 1


def test_on_another_platform_numbers_have_a_bound_and_counts_none(folder):
    restamped("manifest.json", lambda manifest: manifest["config"]["numerics"].update(jax="0.1"))(folder)
    altered(folder, ROWS, set_value("loss_ratio", 5, next_float))
    altered(folder, ROWS, set_value("upticks", 6, lambda count: count + 1))
    found = jm.verify(folder, replay=ALL)
    assert (
        not found.faults
        and 'another platform (numerics.jax: "0.1", now ' in str(found)
        and "; 1 differ in counts" in str(found)
    )
    altered(folder, ROWS, set_value("loss_ratio", 5, lambda ratio: ratio / 2))
    (fault,) = jm.verify(folder, replay=ALL).checks[-1].faults
    assert "trial 5" in fault and "loss_ratio" in fault


def test_the_subcommands_print_a_line_a_check_and_refuse_in_one(folder, tmp_path, capsys):
    commands.VERIFY.main(commands.Verify(replay=3), [str(folder)])
    assert "replay  3 of 3" in capsys.readouterr().out
    curve = tmp_path / "curve.csv"
    receipt = json.loads((folder / "claims.json").read_text())[0]["receipt"]
    assert re.fullmatch(r"python -m jaxmyopia replay \S+/run --seed=0 --cell=0,1", receipt)
    assert receipt.removesuffix("0,1") + "1</code>" in (folder / "report.html").read_text()  # of one piece
    commands.REPLAY.main(commands.Replay(seed=1, cell=(1,), curve=str(curve)), [str(folder)])
    out = capsys.readouterr().out
    assert "2 trials are as the table has them, to the bit" in out and "loss_ratio" in out
    lines = list(csv.DictReader(curve.open()))
    kept = np.load(folder / "curves/chunk-001-00000.loss.npy")[:, 3]
    mine = [float(line["loss"]) for line in lines if float(line["learning_rate"]) == 0.1]
    np.testing.assert_array_equal(np.float32(mine), kept)
    altered(folder, ROWS, set_value("loss_ratio", 3, next_float))
    with pytest.raises(RunError, match="loss_ratio is"):
        commands.REPLAY.main(commands.Replay(seed=1, cell=(1,)), [str(folder)])
    assert "step,loss" in capsys.readouterr().out  # without a file the curves are printed
    with pytest.raises(RunError, match=r"^2 faults: claims.json, larger-is-better: evidence.1"):
        commands.VERIFY.main(commands.Verify(replay=ALL), [str(folder)])
    edit("manifest.json", lambda manifest: manifest.update(status="running"))(folder)
    with pytest.raises(RunError, match=r"run is not completed \(status: running\)$"):
        jm.verify(folder)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (commands.Replay(seed=SEEDS), f"seed={SEEDS}"),
        (commands.Replay(seed=-1), "seed=-1"),
        (commands.Replay(cell=(2,)), "cell=2"),
        (commands.Replay(cell=(0,), curve="/nowhere/curve.csv"), "curve='/nowhere/curve.csv'"),
        (commands.Verify(replay=-1), "replay=-1"),
    ],
)
def test_what_cannot_be_replayed_is_refused(made, settings, named):
    command = commands.REPLAY if isinstance(settings, commands.Replay) else commands.VERIFY
    with pytest.raises(ArgumentError) as error:
        command.main(settings, [str(made)])
    assert str(error.value).startswith(named) and "\n" not in str(error.value)


def test_a_program_of_ones_own_verifies_its_folder(folder, tmp_path, capsys):
    own = dataclasses.replace(TINY, name="own")
    change = lambda m: (m["config"].update(experiment="own"), m.update(command="python own.py --n=4"))
    restamped("manifest.json", change)(folder)
    with pytest.raises(ArgumentError, match=r"give its own command, python own.py, with --out=\S+ and --verify"):
        jm.verify(folder)
    call = cli.binary(own).exit_code
    assert call([f"--out={folder}", "--verify", "--replay=4"]) == 0
    assert "replay  4 of 4" in capsys.readouterr().out
    assert call([f"--out={folder}", "--replay_seed=1", "--replay_cell=0", f"--replay_curve={tmp_path / 'c.csv'}"]) == 0
    assert "2 trials are as the table has them" in capsys.readouterr().out
    assert call([f"--out={folder}", "--verify", "--n=5"]) == 1
    assert "fields.n: 4, now 5" in capsys.readouterr().out
    answer = dataclasses.replace(jm.load(folder), studies=tuple(Sweep().cells()))
    answer.write()
    receipt = json.loads((folder / "claims.json").read_text())[0]["receipt"]
    assert receipt == f"python own.py --out={folder} --replay_seed=0 --replay_cell=0,1"


def test_an_answer_in_memory_is_verified_and_replayed():
    study, settings = jm.LowRank(n=4, rank=1), {"learning_rate": (0.01, 0.1), "init_scale": 0.5}
    answer = jm.settle(study, [larger_is_better], seeds=SEEDS, steps=6, records=4, progress=False, **settings)
    found = answer.verify(replay=6)
    assert not found.faults
    assert [check.name for check in found.checks] == ["files", "plan", "registered", "rows", "claims", "replay"]
    again = answer.replay(seed=3)
    assert not again.faults and again.curves["loss"].shape == (len(answer.steps), 2)
    np.testing.assert_array_equal(again.rows["seed"], [3, 3])
    wrong = dataclasses.replace(answer.claims[0], verdict="contradicted")
    (fault,) = dataclasses.replace(answer, claims=(wrong,)).verify().faults
    assert "larger-is-better: verdict" in fault
    with pytest.raises(ArgumentError, match="has verify"):
        jm.verify(answer.folder.path)
    assert not jm.verify(answer.folder.path, cells=answer.studies, replay=2).faults


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_preset_is_rebuilt_from_its_folder(name):
    for preset in EXPERIMENTS[name]().presets.values():
        told = json.loads(json.dumps({"format": 3, **dataclasses.asdict(preset)}))
        assert flags.rebuilt(type(preset), told) == preset


def test_a_process_that_draws_other_random_numbers_does_not_replay(made):
    with jax.threefry_partitionable(False), pytest.raises(RunError, match="other settings of JAX"):
        jm.verify(made, replay=1)
