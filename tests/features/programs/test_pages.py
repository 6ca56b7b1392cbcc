"""What the pages of docs/ show as definitions can be registered as it stands."""

import json
import re
from pathlib import Path

import pytest

from flowmesh.testing.suite import Suite
from tests.features.natives import YAML

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("retries", "faq", "workers-in-other-languages")
BLOCK = re.compile(r"^```(yaml|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
async def test_the_examples_of_a_page_register(suite: Suite, page: str) -> None:
    """Each block of YAML and of JSON, in the order of the page."""
    blocks = BLOCK.findall((DOCS / f"{page}.md").read_text())
    assert blocks
    for language, text in blocks:
        if language == "yaml":
            answer = await suite.post("/api/v1/workflows", data=text.encode(), headers=YAML)
        else:
            answer = await suite.post("/workflows", json.loads(text))
        assert answer.status in (200, 201), f"{answer.text}\n{text}"
