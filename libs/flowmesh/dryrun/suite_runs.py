"""Runs of all tests of one text."""

import time

from flowmesh.dryrun.coverage import Coverage, percent
from flowmesh.dryrun.results import TestCoverage, TestProblem, TestResult, TestResults
from flowmesh.dryrun.suites import Outcome, Suite, run_case
from flowmesh.sandbox import Sandbox


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
