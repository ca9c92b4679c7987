# SPDX-License-Identifier: Apache-2.0
"""What the site needs and GitHub does without: pages that the list leaves to us, files outside docs/, the reference.

The documents are written to be read on GitHub: there a link may lead out of docs/, to a figure or a source, and
docs/api.md is a list of names.
"""

import functools
import importlib
import posixpath
import pydoc
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "files"  # the site's folder of what lies outside docs/
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(?=[)#\s])")
ITEM = re.compile(r"^- `jm\.(?P<name>[\w.]+)`.*(?:\n  .*)*$", re.MULTILINE)
PICTURES = (".png", ".svg")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts pages in the place of `folder/*`, and leaves out those that are not there."""
    docs = Path(config.docs_dir)
    named = set(_pages(config.nav))
    config.nav = _expanded(config.nav, docs, named)
    return config


def _pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in _pages(entry)]


def _expanded(nav: list[Any], docs: Path, named: set[str]) -> list[Any]:
    found: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and entry.endswith("*"):
            others = sorted(path.relative_to(docs).as_posix() for path in docs.glob(f"{entry}.md"))
            found += [page for page in others if page not in named]
        elif isinstance(entry, dict):
            ((title, inner),) = entry.items()
            if isinstance(inner, list):
                found.append({title: _expanded(inner, docs, named)})
            elif (docs / inner).exists():
                found.append(entry)
        elif (docs / entry).exists():
            found.append(entry)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the figures outside docs/ to which a page links."""
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            path = _outside(page.src_uri, target, config)
            if path and path.suffix in PICTURES and files.get_file_from_path(_uri(path)) is None:
                files.append(File.generated(config, _uri(path), abs_src_path=str(path)))
    return files


def _outside(page: str, target: str, config: MkDocsConfig) -> Path | None:
    """The file outside docs/ that a link on a page leads to, if it does."""
    docs = Path(config.docs_dir)
    path = (docs / page).parent / target
    inside = path.resolve().is_relative_to(docs.resolve())
    return None if inside or not path.exists() else path.resolve()


def _uri(path: Path) -> str:
    return f"{OUTSIDE}/{path.relative_to(ROOT).as_posix()}"


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links out of docs/ to the copy of a figure, or to the repository; and puts the reference into api.md."""
    del files
    here = page.file.src_uri

    def led(match: re.Match[str]) -> str:
        path = _outside(here, match[1], config)
        if path is None:
            return match[1]
        if path.suffix in PICTURES:
            return posixpath.relpath(_uri(path), posixpath.dirname(here) or ".")
        return f"{config.repo_url}/blob/main/{path.relative_to(ROOT).as_posix()}"

    markdown = LINK.sub(led, markdown)
    return ITEM.sub(_reference, markdown) if here == "api.md" else markdown


def _reference(match: re.Match[str]) -> str:
    """The directive of a name: by where it is written, for a module may have the same name."""
    pydoc.locate(f"jaxmyopia.{match['name'].rpartition('.')[0]}".rstrip("."))  # imports what holds it
    found = functools.reduce(getattr, match["name"].split("."), importlib.import_module("jaxmyopia"))
    options = {"toc_label": match["name"]}
    if found.__module__.startswith("jaxmyopia.studies"):  # a study's members are for the engine
        options["members"] = "false"
    told = "".join(f"      {name}: {value}\n" for name, value in options.items())
    return f"::: {found.__module__}.{found.__qualname__}\n    options:\n{told}"
