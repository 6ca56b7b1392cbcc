"""The generated pages are what their sources say, and links between pages hold."""

import re
from pathlib import Path

import pytest

from tests.tidy import sources
from tools import docs

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_generated_pages_are_fresh(name: str) -> None:
    """`make docs` would change nothing."""
    fresh = (docs.DOCS / name).read_text() == docs.PAGES[name]()
    assert fresh, f'docs/{name} is stale: run "make docs" and commit it'


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file of the repository."""
    broken = [
        f"{name}: {target}"
        for name in sources.tracked()
        if name.endswith(".md")
        for target, _ in LINK.findall(sources.text(name))
        if "://" not in target and not (sources.ROOT / Path(name).parent / target).exists()
    ]
    assert not broken, sources.lines(broken)
