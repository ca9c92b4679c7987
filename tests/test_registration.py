# SPDX-License-Identifier: Apache-2.0
"""A changed claim, study, setting, rule or seed: each is refused before a registered run or found after it, by name."""

import dataclasses
import hashlib
import importlib.resources
import json
import pathlib
import pkgutil
import re
import shutil

import jax
import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia import claims, cli, registration, stats
from jaxmyopia.engine.manifest import read_manifest
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.registered import line
from jaxmyopia.report.page import Report
from jaxmyopia.studies.registry import EXPERIMENTS

BEACON = "drand 6000000 4f3c0de"
RATIO = jm.measures.final_ratio()


def below(threshold, text="The ratio is small.", scale=lambda ratio: ratio, **controls):
    @jm.claim(text, id="small", **controls)
    def pieces(trials):
        return jm.mean(trials, RATIO, scale).below(threshold)

    return pieces


@jm.claim("Another.")
def another(trials):
    return jm.mean(trials, RATIO).above(0.5)


def study_of(factor):
    """Studies of one name and one set of fields, which differ in what they compute."""

    @dataclasses.dataclass(frozen=True)
    class Line(jm.Training):
        n: int = 2

        def init(self, key, *, init_scale):
            return init_scale * jax.random.normal(key, (self.n,)), ()

        def loss(self, trained, data):
            return (trained**2).sum() * factor

    return Line


@dataclasses.dataclass(frozen=True)
class Sweep:
    seeds: int = flag(30, "Seeds.")
    rates: tuple[float, ...] = flag((0.01, 0.1), "Rates.")


CLAIMS, LINE = (below(0.9), another), study_of(1.0)


def experiment_of(*, claims=CLAIMS, study=LINE, n=2, apart=({},)):
    def cells(sweep):
        swept = {"learning_rate": sweep.rates, "init_scale": 1.0}
        return study(n=n).cells(seeds=sweep.seeds, steps=5, records=4, **swept)

    return Experiment(
        "registered", "A small run.", {"only": Sweep()}, cells, claims=lambda sweep: list(claims),
        report=lambda answer, sweep: Report("Small"), apart=lambda sweep: list(apart),
    )  # fmt: skip


SMALL = experiment_of()


def call(experiment, *words):
    return cli.binary(experiment).exit_code([*map(str, words)])


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """The file of a registration."""
    path = tmp_path_factory.mktemp("registered") / "small.json"
    assert call(SMALL, f"--register={path}") == 0
    return path


@pytest.fixture(scope="module")
def made(registered, tmp_path_factory):
    """The folder of its run; its experiment counts as the package's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "registered", lambda: SMALL)
        folder = tmp_path_factory.mktemp("made") / "run"
        assert call(SMALL, f"--out={folder}", f"--registration={registered}", f"--beacon={BEACON}") == 0
        yield folder


@pytest.fixture
def other_rules(tmp_path, monkeypatch):
    """This package with another least number of seeds."""
    top = pathlib.Path(str(importlib.resources.files("jaxmyopia")))
    for name in ("claims", "stats"):
        shutil.copytree(top / name, tmp_path / name)
    verdicts = tmp_path / "claims" / "verdicts.py"
    verdicts.write_text(verdicts.read_text().replace("MIN_SEEDS = 24", "MIN_SEEDS = 4"))
    monkeypatch.setattr(registration.resources, "files", lambda package: tmp_path)
    registration.rules.cache_clear()
    yield
    registration.rules.cache_clear()


def test_every_module_that_makes_verdicts_is_a_rule():
    found = {
        f"{each.__name__}.{name}" for each in (claims, stats) for _, name, _ in pkgutil.iter_modules(each.__path__)
    }
    aside = {"jaxmyopia.claims.text"}
    assert set(registration.RULES) == found - aside


def test_the_root_seed_is_what_anybody_can_compute(registered, made):
    told = json.loads(registered.read_text())
    canonical = json.dumps(told["document"], sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(canonical).hexdigest() == told["hash"]
    digits = hashlib.sha256(told["hash"].encode() + b"\n" + BEACON.encode()).hexdigest()
    manifest = read_manifest(made)
    assert manifest["config"]["root_seed"] == int(digits[:16], 16)
    assert manifest["registration"] == {
        "hash": told["hash"], "date": told["document"]["date"], "beacon": BEACON, "document": told["document"],
    }  # fmt: skip


def test_nothing_of_the_machine_is_registered(registered):
    document = json.loads(registered.read_text())["document"]
    assert "chunks" not in document["cells"][0] and "backend" not in document["numerics"]
    assert document["cells"][0]["seeds"] == 30 and document["claims"].keys() == {"small", "another"}


def test_claims_page_and_terminal_tell_it(made, registered, capsys):
    entries = json.loads((made / "claims.json").read_text())
    told = json.loads(registered.read_text())
    mine = {"hash": told["hash"], "date": told["document"]["date"], "beacon": BEACON}
    assert [entry["registration"] for entry in entries] == [mine, mine]
    wanted = f"registered on {mine['date']} (hash {mine['hash'][:16]}...), seeds drawn from beacon &#39;{BEACON}&#39;"
    assert wanted in (made / "report.html").read_text()
    again = call(SMALL, f"--out={made}", f"--registration={registered}", f"--beacon={BEACON}")
    assert again == 0 and wanted.replace("&#39;", "'") in " ".join(capsys.readouterr().out.split())
    assert wanted.replace("&#39;", "'") in str(jm.load(made))


def test_a_registration_that_stands_is_not_written_again(registered, capsys, tmp_path):
    before = registered.read_text()
    assert call(SMALL, f"--register={registered}") == 0
    assert capsys.readouterr().out.strip() == json.loads(before)["hash"]
    assert call(SMALL, f"--register={registered}", "--seeds=31") == 2
    assert "--register=" in (said := capsys.readouterr().err) and "settings.seeds: 30, now 31" in said
    assert registered.read_text() == before
    assert call(SMALL, f"--register={tmp_path / 'new' / 'other.json'}", "--seeds=31") == 0
    assert not (pathlib.Path("runs") / "registered").exists()


def lower(ratio):
    return ratio / 2


CHANGED = {
    "a claim's threshold": ({"claims": (below(0.8), another)}, [], "claims.small.digest: "),
    "a claim's function": ({"claims": (below(0.9, scale=lower), another)}, [], "claims.small.digest: "),
    "a claim's control": (
        {"claims": (below(0.9, fails={"above": lambda trials: jm.mean(trials, RATIO).above(0.9)}), another)},
        [], "claims.small.digest: ",
    ),
    "a claim's text": (
        {"claims": (below(0.9, "It is tiny."), another)}, [],
        'claims.small.text: "The ratio is small.", now "It is tiny."',
    ),
    "a claim less": ({"claims": (another,)}, [], "claims.small: {"),
    "what is judged apart": ({"apart": ({"learning_rate": 0.1},)}, [], "apart.0.learning_rate: null, now 0.1"),
    "a study's field": ({"n": 3}, [], "cells.0.fields.n: 2, now 3"),
    "a study's arithmetic": ({"study": study_of(2.0)}, [], "studies.study_of.<locals>.Line: "),
    "a setting": ({}, ["--rates=0.01,0.2"], "settings.rates.1: 0.1, now 0.2"),
    "the number of seeds": ({}, ["--seeds=31"], "settings.seeds: 30, now 31"),
    "the precision": ({}, ["--matmul_precision=default"], 'numerics.matmul_precision: "highest", now "default"'),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_changed_before_the_run_is_refused(registered, tmp_path, what, capsys):
    changes, words, named = CHANGED[what]
    experiment = experiment_of(**changes)
    assert call(experiment, f"--out={tmp_path / 'run'}", f"--registration={registered}", "--beacon=x", *words) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: --registration='{registered}' is not allowed: it registers something else (")
    assert named in said and not (tmp_path / "run").exists()


def test_changed_rules_are_refused(registered, tmp_path, capsys, other_rules):
    assert call(SMALL, f"--out={tmp_path / 'run'}", f"--registration={registered}", "--beacon=x") == 2
    assert re.search(r"\(rules.jaxmyopia.claims.verdicts: \"\w{8}...\", now \"\w{8}...\"\)", capsys.readouterr().err)


def test_other_random_numbers_are_refused(registered, tmp_path, capsys):
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable):
        assert call(SMALL, f"--out={tmp_path / 'run'}", f"--registration={registered}", "--beacon=x") == 2
    assert "numerics.threefry_partitionable: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--beacon=x"], "--beacon='x' is not allowed: it would do nothing: it acts only with --registration"),
        (["--registration=FILE"], "--beacon=None is not allowed: must be one line of text"),
        (["--registration=FILE", "--beacon= x"], "--beacon=' x' is not allowed"),
        (["--registration=FILE", "--beacon=x", "--root_seed=0"], "--root_seed=0 is not allowed: must not be given"),
        (["--registration=FILE", "--register=other.json"], "--registration='FILE' is not allowed: must not be given"),
        (["--registration=FILE.none", "--beacon=x"], "must be a file that --register or jm.register wrote"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(registered, tmp_path, words, named, capsys):
    words = [word.replace("FILE", str(registered)) for word in words]
    assert call(SMALL, f"--out={tmp_path / 'run'}", *words) == 2
    assert named.replace("FILE", str(registered)) in capsys.readouterr().err


def test_an_edited_registration_is_refused(registered, tmp_path, capsys):
    told = json.loads(registered.read_text())
    told["document"]["claims"]["small"]["text"] = "It is tiny."
    (tmp_path / "edited.json").write_text(json.dumps(told))
    for flags in (
        ["--beacon=x", f"--registration={tmp_path / 'edited.json'}"],
        [f"--register={tmp_path / 'edited.json'}"],
    ):
        assert call(SMALL, f"--out={tmp_path / 'run'}", *flags) == 1
        assert "edited.json is damaged: its hash is not that of its document" in capsys.readouterr().err


def test_another_beacon_or_seed_is_another_run(made, registered, capsys):
    assert call(SMALL, f"--out={made}", f"--registration={registered}", f"--beacon={BEACON}1") == 2
    assert "root_seed: " in capsys.readouterr().err
    assert call(SMALL, f"--out={made}", "--root_seed=7") == 2


def test_verify_tells_that_all_is_as_registered(made):
    found = jm.verify(made)
    assert not found.faults
    date = read_manifest(made)["registration"]["date"]
    how = f"the root seed as drawn from them and beacon '{BEACON}'"
    assert f"registered 12 of 12 entries are as registered on {date}, {how}" in str(found)


def edited(made, tmp_path, change):
    folder = shutil.copytree(made, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def faults_of(folder, experiment=SMALL):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "registered", lambda: experiment)
        checks = {check.name: check for check in jm.verify(folder).checks}
    found = checks["registered"]
    assert not found.faults or found.right < found.of or not found.of
    return found.faults


@pytest.mark.parametrize("what", [what for what, (changes, _, _) in CHANGED.items() if changes])
def test_what_is_changed_after_the_run_is_found(made, what):
    changes, _, named = CHANGED[what]
    faults = faults_of(made, experiment_of(**changes))
    assert any(fault.startswith(f"manifest.json, registration: {named}") for fault in faults), faults


def test_changed_rules_are_found(made, other_rules):
    (fault,) = faults_of(made)
    assert fault.startswith("manifest.json, registration: rules.jaxmyopia.claims.verdicts: ")


def drop_a_claim(manifest):
    del manifest["registration"]["document"]["claims"]["small"]


EDITED = {
    "the root seed": (lambda m: m["config"].update(root_seed=7), "manifest.json: root_seed is 7, drawn was "),
    "the beacon": (lambda m: m["registration"].update(beacon="x"), "manifest.json: root_seed is "),
    "the document": (drop_a_claim, "manifest.json, registration: its hash is "),
    "the date": (lambda m: m["registration"].update(date="2001-01-01"), "manifest.json, registration: its hash is "),
    "a setting": (
        lambda m: m["config"].update(seeds=31), "manifest.json, registration: settings.seeds: 30, now 31",
    ),
    "the precision": (
        lambda m: m["config"]["numerics"].update(matmul_precision="high"),
        'manifest.json, registration: numerics.matmul_precision: "highest", now "high"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITED)
def test_what_is_edited_in_the_folder_is_found(made, tmp_path, what):
    change, named = EDITED[what]
    faults = faults_of(edited(made, tmp_path, change))
    assert any(fault.startswith(named) for fault in faults), faults


def test_a_registration_that_is_taken_away_leaves_claims_that_tell_of_it(made, tmp_path):
    found = faults_of(edited(made, tmp_path, lambda manifest: manifest.pop("registration")))
    assert found[0] == "claims.json, small: its registration is not that of manifest.json"


STUDY = LINE()
ARGUMENTS = {"seeds": 30, "steps": 5, "records": 4, "learning_rate": (0.01, 0.1), "init_scale": 1.0}


def test_from_python(tmp_path):
    path, several = tmp_path / "small.json", [below(0.9), another]
    hashed = jm.register(STUDY, several, path, **ARGUMENTS)
    first, second = (
        jm.settle(STUDY, several, registration=path, beacon=BEACON, progress=False, **ARGUMENTS) for _ in range(2)
    )
    for name in first.trials.columns:
        np.testing.assert_array_equal(first.trials[name], second.trials[name])
    assert first.folder.config["root_seed"] == registration.drawn(hashed, BEACON)
    assert f"(hash {hashed[:16]}...), seeds drawn from beacon '{BEACON}'" in str(first)
    assert not first.verify().faults
    alone = jm.settle(STUDY, several, progress=False, **ARGUMENTS)
    assert (alone.trials["loss_ratio"] != first.trials["loss_ratio"]).any()
    assert str(alone).endswith("not registered") and "not registered" in str(alone.verify())
    for wrong, named in (
        ({"seeds": 31}, "cells.0.seeds: 30, now 31"),
        ({"root_seed": 1}, "root_seed=1 is not allowed"),
        ({"registration": None}, "beacon='drand"),
    ):
        with pytest.raises(jm.ArgumentError, match=re.escape(named)):
            jm.settle(STUDY, several, **{"registration": path, "beacon": BEACON, **ARGUMENTS, **wrong})
    with pytest.raises(jm.ArgumentError, match=r"claims.another: \{.*, now null"):
        jm.settle(STUDY, several[:1], registration=path, beacon=BEACON, **ARGUMENTS)


def test_claims_that_are_judged_later_are_not_registered(made, tmp_path):
    answer = jm.load(shutil.copytree(made, tmp_path / "run")).judged([below(0.8), another])
    answer.write(Report("Later"))
    entries = json.loads((tmp_path / "run" / "claims.json").read_text())
    assert [entry["registration"] is None for entry in entries] == [True, False]
    assert line(entries).endswith("; not registered: small")
    again = jm.load(tmp_path / "run")
    again.write(Report("Once more"))  # what was read back is as it was told
    assert json.loads((tmp_path / "run" / "claims.json").read_text()) == entries
    assert "; not registered: small" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_packages_own_experiments_are_registered_alike_each_time(name):
    experiment = EXPERIMENTS[name]()
    sweep = next(iter(experiment.presets.values()))
    cells = experiment.cells(sweep)
    once, twice = (experiment.document(sweep, cells, {}) for _ in range(2))
    assert once == twice and len(once["claims"]) == len(experiment.claims(sweep))
