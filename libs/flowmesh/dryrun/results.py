"""The results of tests of one workflow: one shape for services and REST."""

import msgspec

from flowmesh.dryrun.report import Part


class TestResult(Part, kw_only=True):
    """One test: its name, its line in the text, and the expectations that did not hold."""

    name: str
    line: int
    passed: bool
    failures: list[str]
    duration_ms: float


class TestProblem(Part, kw_only=True):
    """A problem of the text of the tests, because of which none of them ran."""

    code: str
    message: str
    path: str
    line: int
    column: int


class TestCoverage(Part, kw_only=True):
    """The nodes that ran and the branches that were taken, of all; `missed` names the others."""

    percent: float
    nodes: int
    nodes_run: int
    branches: int
    branches_taken: int
    missed: list[str]


class TestResults(Part, kw_only=True):
    """The results of all tests of a text; passed if it has no problem and each test passed."""

    passed: bool
    tests: list[TestResult]
    problems: list[TestProblem]
    coverage: TestCoverage


def encode(results: TestResults) -> bytes:
    return msgspec.json.encode(results)
