# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what the committed run says."""

import json

from experiments import publish


def test_the_readme_shows_the_committed_answers():
    readme = (publish.ROOT / "README.md").read_text()
    names = [folder.name for folder in publish.RESULTS.iterdir()]
    assert sorted(publish.MARK.findall(readme)) == sorted(names)
    for name in names:
        folder = publish.RESULTS / name
        assert json.loads((folder / "manifest.json").read_text())["status"] == "complete"
        assert readme == publish.put_between(readme, f"answer {name}", publish.answer_table(folder))


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert publish.put_between(text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
