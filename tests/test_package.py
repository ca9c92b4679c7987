# SPDX-License-Identifier: Apache-2.0
"""What is installed is what is in the checkout: the wheel's files, its console script, and what a source holds."""

import importlib.metadata
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

pytest.importorskip("setuptools", minversion="77")  # older ones know the licence's name but not as a name

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = """
import pathlib, setuptools.build_meta as build
pathlib.Path("built").mkdir()
print(build.build_sdist("built"), build.build_wheel("built"))
"""
# The installed program, by its entry point; and what its page is made of, read as it is read.
USE = """
import importlib.metadata, sys
(script,) = importlib.metadata.entry_points(group="console_scripts", name="jaxmyopia")
sys.argv = ["jaxmyopia", "--version"]
code = script.load()()
from jaxmyopia.report import page
print(code, page.__file__)
"""


def package_files(root: pathlib.Path) -> set[str]:
    """The files of the package, as paths from the root."""
    found = (path for path in (root / "jaxmyopia").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix() for path in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> pathlib.Path:
    """A copy of the checkout, without what is not tracked, and what is built of it, in `built`: no network is asked."""
    work = tmp_path_factory.mktemp("package") / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*", "runs", "results")
    shutil.copytree(ROOT, work, ignore=ignored)
    (work / "jaxmyopia" / "stats" / "__pycache__").mkdir()
    (work / "jaxmyopia" / "stats" / "__pycache__" / "table.cpython-311.pyc").write_bytes(b"compiled")
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=work, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return work / "built"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == package_files(ROOT) and {"jaxmyopia/py.typed", "jaxmyopia/report/templates/page.html"} <= inside
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_holds_the_package_and_its_documents_but_no_tests_and_nothing_compiled(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files(ROOT) <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "docs/own_claim.md"} <= names
    assert [name for name in names if "__pycache__" in name or name.startswith(("tests", "experiments"))] == []


def test_the_console_script_is_the_program(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)  # as it is installed
    use = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-I", "-c", use], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    version, told = done.stdout.splitlines()
    (installed,) = importlib.metadata.distributions(name="jaxmyopia", path=[str(tmp_path)])
    assert version == installed.version and told == f"0 {tmp_path / 'jaxmyopia' / 'report' / 'page.py'}"
    assert {label.split(",")[0] for label in installed.metadata.get_all("Project-URL")} >= {"Source", "Changes"}
