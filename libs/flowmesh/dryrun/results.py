"""The results of tests of one workflow: one shape for services and REST."""

import time

import msgspec

from flowmesh.dryrun.coverage import Coverage, percent
from flowmesh.dryrun.report import Part
from flowmesh.dryrun.suites import Outcome, Suite, run_case
from flowmesh.sandbox import Sandbox


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


async def run_suite(suite: Suite, sandbox: Sandbox) -> TestResults:
    """Run the tests one after the other."""
    coverage = Coverage("")
    tests: list[TestResult] = []
    for case in suite.cases:
        started = time.monotonic()
        outcome = await run_case(case, sandbox)
        if outcome.report is not None:
            coverage.add(outcome.report)
        tests.append(_result(outcome, time.monotonic() - started))
    problems = [
        TestProblem(
            code=each.problem.code,
            message=each.problem.message,
            path=each.problem.place,
            line=each.problem.line,
            column=each.problem.column,
        )
        for each in suite.problems
    ]
    return TestResults(
        passed=not problems and all(each.passed for each in tests),
        tests=tests,
        problems=problems,
        coverage=_coverage(coverage),
    )


def _result(outcome: Outcome, seconds: float) -> TestResult:
    return TestResult(
        name=outcome.case.name,
        line=outcome.case.line,
        passed=outcome.passed,
        failures=[*outcome.failures, *filter(None, (outcome.error,))],
        duration_ms=round(seconds * 1_000, 1),
    )


def _coverage(found: Coverage) -> TestCoverage:
    return TestCoverage(
        percent=round(percent([found]), 1),
        nodes=len(found.nodes),
        nodes_run=len(found.nodes_run),
        branches=len(found.branches),
        branches_taken=len(found.branches_taken),
        missed=found.missed,
    )
