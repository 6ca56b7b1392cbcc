"""The control-flow patterns: each example does what its tests say, the table has them all."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowmesh.dryrun.suites import read_suite, run_case
from flowmesh.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples" / "patterns"
FILES = sorted(FOLDER.glob("*.test.yaml"))
PATTERNS = 43
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Runs what has no effect."""
    async with Sandbox() as running:
        yield running


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
async def test_a_pattern_is_what_its_example_does(file: Path, sandbox: Sandbox) -> None:
    """The real engine on a virtual clock does what is said beside the example."""
    suite = read_suite(file)
    assert not suite.problems
    assert suite.cases
    for case in suite.cases:
        outcome = await run_case(case, sandbox)
        assert not outcome.error, f"{case.name}: {outcome.error}"
        assert not outcome.failures, f"{case.name}: {outcome.failures}"


def test_the_table_has_every_pattern() -> None:
    """By number, each with an example that is there and tested, or the reason why there is none."""
    rows = _ROW.findall((ROOT / "docs" / "patterns.md").read_text())
    assert [int(number) for number, *_ in rows] == list(range(1, PATTERNS + 1))
    for number, name, how, example in rows:
        linked = re.search(r"\(\.\./(examples/patterns/[\w.-]+)\)", example)
        if linked is not None:
            path = ROOT / linked[1]
            assert path.is_file(), name
            test = path.with_name(path.name.partition(".")[0] + ".test.yaml")
            assert test in FILES, name
            assert path.name.startswith(f"{int(number):02d}-")
        elif example.startswith("`"):
            assert (ROOT / example.strip("`")).is_file(), name
        else:
            assert how.startswith("no: "), name
