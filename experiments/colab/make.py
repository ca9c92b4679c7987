# SPDX-License-Identifier: Apache-2.0
"""Makes each notebook of this folder from the script beside it, whose cells begin with `# %%`, without outputs.

python -m experiments.colab.make
"""

import pathlib

import jupytext
import nbformat

FOLDER = pathlib.Path(__file__).resolve().parent
SCRIPTS = tuple(sorted(path for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "make")))


def notebook(script: pathlib.Path) -> str:
    """The notebook of a script as its file's text; what stands before the first cell, the licence, is left out."""
    text = script.read_text()
    made = jupytext.reads(text[text.index("# %%") :], fmt="py:percent")
    for place, cell in enumerate(made.cells):
        cell.id = f"{script.stem}-{place}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def main() -> None:
    """Writes them all."""
    for script in SCRIPTS:
        script.with_suffix(".ipynb").write_text(notebook(script))


if __name__ == "__main__":
    main()
