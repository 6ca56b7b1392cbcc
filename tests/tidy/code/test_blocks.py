"""Blocks of the written pages: each YAML, JSON and Python block parses, and its imports exist.

A block that cannot says why in its fence: `norun="reason"`."""

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.M | re.S)
REASON = re.compile(r'norun="[^"]+"')
GENERATED = {"decisions", "errors"}


def pages() -> list[Path]:
    """README and the written pages below docs."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(page for page in found if not GENERATED & set(page.parts))]


def faults(text: str) -> Iterator[str]:
    """What is wrong with each block of a page, with the line of its fence."""
    for block in FENCE.finditer(text):
        indent, fence, body = block.groups()
        if REASON.search(fence):
            continue
        plain = re.sub(f"^{indent}", "", body, flags=re.M)
        try:
            check(fence.partition(" ")[0], plain)
        except (SyntaxError, ValueError, ImportError, yaml.YAMLError) as error:
            yield f"line {text.count(chr(10), 0, block.start()) + 1}: {error}"


def check(language: str, text: str) -> None:
    """Parse one block in its language."""
    if language == "python":
        for node in ast.walk(ast.parse(text)):
            check_import(node)
    elif language == "yaml":
        list(yaml.safe_load_all(text))
    elif language == "json":
        check_values(text)


def check_import(node: ast.AST) -> None:
    """Find the modules that an import statement names."""
    names: list[str] = []
    if isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module]
    elif isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"no module {name}")


def check_values(text: str) -> None:
    """Parse one JSON value after the other."""
    rest = text.strip()
    while rest:
        _, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].strip()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_parses(page: Path) -> None:
    """YAML, JSON and Python; a block that cannot has a reason in its fence."""
    assert list(faults(page.read_text())) == []


@pytest.mark.parametrize(
    ("fence", "body"),
    [("python", "def"), ("python", "import no_such"), ("yaml", "a: [1"), ("json", '{"a": }')],
)
def test_a_block_that_does_not_parse_needs_a_reason(fence: str, body: str) -> None:
    """It is found without one."""
    assert list(faults(f"```{fence}\n{body}\n```\n"))
    assert not list(faults(f'```{fence} norun="shows a fault"\n{body}\n```\n'))
