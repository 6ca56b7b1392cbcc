"""The generated pages are what their sources say, and links between pages hold."""

import re
from pathlib import Path

import pytest

from flowmesh.contract import FINAL_BY_DEFAULT, NEVER_RETRIED, TEMPORARY
from flowmesh.definitions.editor.bodies import POLICY
from flowmesh.definitions.model import NATIVE_RETRY
from flowmesh.gateway import openapi
from tests.tidy import sources
from tools import docs

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_generated_pages_are_fresh(name: str) -> None:
    """`make docs` would change nothing."""
    fresh = (docs.DOCS / name).read_text() == docs.PAGES[name]()
    assert fresh, f'docs/{name} is stale: run "make docs" and commit it'


@pytest.mark.parametrize("file", sorted(docs.DATA), ids=lambda file: file.name)
def test_generated_data_is_fresh(file: Path) -> None:
    """`make docs` would change nothing in the packages."""
    assert file.read_text() == docs.DATA[file](), f'{file} is stale: run "make docs" and commit it'


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


def test_the_page_on_retries_has_every_field_and_its_default() -> None:
    """The members of a retry policy and the values that they have when left out."""
    text = (docs.DOCS / "retries.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
    assert POLICY["properties"].keys() <= rows.keys()
    default = NATIVE_RETRY
    assert [rows[name] for name in ("maxAttempts", "initialDelay", "multiplier", "maxDelay")] == [
        str(default.max_attempts),
        f"{default.initial_delay_ms}ms",
        f"{default.multiplier:g}",
        f"{default.max_delay_ms // 1_000}s",
    ]


def test_the_page_on_retries_tells_which_classes_are_retried() -> None:
    """Those that are by default, those that are final by default, and those that never are."""
    text = (docs.DOCS / "retries.md").read_text()
    rows = re.findall(r"^\| (`\w+`.*?) \|.*\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    classes = {
        kind: {
            name
            for cell, built_in, handler in rows
            if built_in.startswith(kind) and handler.startswith(kind)
            for name in re.findall(r"`(\w+)`", cell)
        }
        for kind in ("retried", "final", "never")
    }
    assert classes["retried"] == set(TEMPORARY)
    assert classes["final"] == set(FINAL_BY_DEFAULT)
    assert classes["never"] == set(NEVER_RETRIED)


def test_one_page_places_every_route_outside_the_main_api() -> None:
    """docs/rest-apis.md names each path that is not below /api/v1, and the README links to it."""
    page = sources.text("docs/rest-apis.md")
    others = [path for path in openapi.document()["paths"] if not path.startswith("/api/v1/")]
    others = [path for path in others if path not in ("/", "/swagger/{asset}")]
    assert [path for path in others if f"{path}`" not in page] == []
    assert "docs/rest-apis.md" in sources.text("README.md")


def test_the_index_has_every_page() -> None:
    """docs/README.md links each page, by what a reader wants to do."""
    index = sources.text("docs/README.md")
    pages = [path.name for path in docs.DOCS.glob("*.md") if path.name != "README.md"]
    assert [name for name in sorted(pages) if f"({name}" not in index] == []
