"""`test`: runs files of workflow tests and reports failures and coverage."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.definitions.problems import print_problem
from flowmesh.cli.definitions.sources import TEST_SUFFIXES, Source
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.dryrun.coverage import Coverage
    from flowmesh.dryrun.suites import Outcome, Suite

Results = list[tuple["Suite", list[tuple["Outcome", float]]]]
MISSED_SHOWN_MAX = 10


@command
def run_tests(
    *paths: Path,
    matching: Annotated[str, Parameter(name=["--matching", "-k"])] = "",
    min_coverage: float = 0.0,
    junit: str = "",
    common: Common = COMMON,
) -> int:
    """Run workflow tests, `*.test.yaml` files, in this process and without calls.

    Prints failed expectations, and the coverage of nodes and branches. Exit code 1 if a test
    fails, a file is invalid, or the coverage is too low.

    Args:
        paths: Files and folders; this folder by default.
        matching: Only tests that contain this text in their name or file name.
        min_coverage: Minimum percentage of nodes and branches that ran.
        junit: File for the results as JUnit XML.
    """
    from flowmesh.dryrun.coverage import percent
    from flowmesh.dryrun.suites import read_suite

    try:
        suites = [read_suite(file) for file in _files(paths or (Path(),))]
    except OSError as error:
        raise Refused(f"{error.filename} cannot be read", code=exit_codes.USAGE) from None
    ran = asyncio.run(_run(suites, matching))
    coverages = _coverages(ran)
    if junit:
        from flowmesh.dryrun.junit import junit as as_xml

        Path(junit).write_bytes(as_xml(ran))
    # The workflows of a file that cannot be run are not known.
    share = None if any(suite.problems for suite, _ in ran) else percent(coverages)
    passed = all(not s.problems and all(o.passed for o, _ in found) for s, found in ran)
    is_covered = (share or 0.0) >= min_coverage
    if common.structured:
        output.document(_as_json(ran, coverages, share, passed and is_covered))
    else:
        _print(ran, coverages, share, matching)
        if not is_covered:
            output.problem(f"flowmesh: {_share_text(share)}, not {min_coverage:g} % or more")
    return exit_codes.DONE if passed and is_covered else exit_codes.FAILED


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.name.endswith(TEST_SUFFIXES))
        elif path.is_file():
            found.append(path)
        else:
            raise Refused(f"there is no file {path}", code=exit_codes.USAGE)
    if not found:
        endings = ", ".join(TEST_SUFFIXES)
        raise Refused("there are no tests", f"their files end in {endings}", exit_codes.USAGE)
    return list(dict.fromkeys(found))


async def _run(suites: "list[Suite]", matching: str) -> Results:
    from flowmesh.dryrun.suites import run_case
    from flowmesh.sandbox import Sandbox

    ran: Results = []
    async with Sandbox() as sandbox:
        for suite in suites:
            outcomes = []
            for case in suite.cases:
                if matching in case.name or matching in suite.file.name:
                    started = time.monotonic()
                    outcome = await run_case(case, sandbox)
                    outcomes.append((outcome, time.monotonic() - started))
            ran.append((suite, outcomes))
    return ran


def _coverages(ran: Results) -> "list[Coverage]":
    from flowmesh.dryrun.coverage import Coverage

    found: dict[str, Coverage] = {}
    for _, outcomes in ran:
        for outcome, _ in outcomes:
            if outcome.report is not None:
                name = outcome.report.workflow
                found.setdefault(name, Coverage(name)).add(outcome.report)
    return [found[name] for name in sorted(found)]


def _share_text(share: float | None) -> str:
    return "coverage unknown" if share is None else f"coverage {share:.1f} %"


def _print(ran: Results, coverages: "list[Coverage]", share: float | None, matching: str) -> None:
    counts = {"passed": 0, "failed": 0}
    for suite, outcomes in ran:
        for found in suite.problems:
            source = Source()
            source.add(str(found.file), found.text)
            print_problem(found.problem, "error", found.problem.place, source)
        if outcomes or not matching:
            output.line(str(suite.file))
        if suite.problems:
            counts["failed"] += 1
            output.line("  ✘ the file cannot be run")
        for outcome, _ in outcomes:
            counts["passed" if outcome.passed else "failed"] += 1
            output.line(f"  {'✔' if outcome.passed else '✘'} {outcome.case.name}")
            for line in filter(None, (outcome.error, *outcome.failures)):
                output.line(f"      {line}")
            if not outcome.passed:
                output.line(f"      at {suite.file}:{outcome.case.line}")
    for coverage in coverages:
        run = f"{len(coverage.nodes_run)}/{len(coverage.nodes)} nodes"
        taken = f"{len(coverage.branches_taken)}/{len(coverage.branches)} branches"
        output.line(f"coverage of {coverage.workflow}: {run}, {taken}")
        for name in coverage.missed[:MISSED_SHOWN_MAX]:
            output.line(f"  not run: {name}")
        if len(coverage.missed) > MISSED_SHOWN_MAX:
            output.line(f"  … and {len(coverage.missed) - MISSED_SHOWN_MAX} more")
    summary = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    output.line(f"{summary or 'no tests'}; {_share_text(share)}")


def _as_json(
    ran: Results, coverages: "list[Coverage]", share: float | None, passed: bool
) -> dict[str, Any]:
    return {
        "passed": passed,
        "tests": [
            {
                "file": str(suite.file),
                "name": outcome.case.name,
                "line": outcome.case.line,
                "passed": outcome.passed,
                "failures": [*outcome.failures, *filter(None, (outcome.error,))],
                "durationMs": round(seconds * 1_000, 1),
            }
            for suite, outcomes in ran
            for outcome, seconds in outcomes
        ],
        "problems": [
            {
                "file": str(found.file),
                "code": found.problem.code,
                "message": found.problem.message,
                "path": found.problem.place,
                "line": found.problem.line,
                "column": found.problem.column,
            }
            for suite, _ in ran
            for found in suite.problems
        ],
        "coverage": {
            "percent": None if share is None else round(share, 1),
            "workflows": [
                {
                    "workflow": coverage.workflow,
                    "nodes": len(coverage.nodes),
                    "nodesRun": len(coverage.nodes_run),
                    "branches": len(coverage.branches),
                    "branchesTaken": len(coverage.branches_taken),
                    "missed": coverage.missed,
                }
                for coverage in coverages
            ],
        },
    }
