# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what the committed run says."""

import json

from experiments import publish


def test_the_readme_shows_the_committed_claims():
    folder = publish.ROOT / "experiments" / "results" / "plateaus"
    claims, manifest = (json.loads((folder / name).read_text()) for name in ("claims.json", "manifest.json"))
    readme = (publish.ROOT / "README.md").read_text()
    assert manifest["status"] == "complete"
    assert readme == publish.put_between(readme, "claims", publish.claims_table(claims, manifest))


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert publish.put_between(text, "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
