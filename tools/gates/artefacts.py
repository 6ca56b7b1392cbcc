"""The reports that tests, coverage, mutants and scans leave in build/.

A report that is older than the commit says nothing of it, and is as good as missing.
"""

import functools
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from defusedxml import ElementTree

from tools import covered, covered_sdks
from tools.mutants.__main__ import REPORT as MUTANTS
from tools.mutants.__main__ import too_low
from tools.scans.__main__ import REPORT as SCANS
from tools.scans.findings import ROOT

TESTS: Final = ROOT / "build" / "tests"
COVERAGE: Final = covered.REPORT
# The layer of each folder of tests/: one process, real servers, the running suite.
LAYERS: Final[dict[str, tuple[str, ...]]] = {
    "unit": ("unit", "tidy", "proof", "model", "spin", "simulation", "evaluation"),
    "integration": ("integration", "conformance", "badinput", "golden", "hostile", "regression"),
    "end-to-end": (
        *("access", "clients", "console", "drills", "faults", "features", "guarantees"),
        *("kubernetes", "linearizability", "load", "upgrade"),
    ),
}
# The counts of the source, S0-105.
LEAST: Final = {"unit": 3_300, "integration": 500, "end-to-end": 100}
# The reports that all tests leave, and what writes them.
RUNS: Final = {
    "test-spread": "make test",
    "test-timed": "make test",
    "test-long-spread": "make test-long",
    "test-long-timed": "make test-long",
    "test-kubernetes-all": "make test-kubernetes",
}


@dataclass(frozen=True, slots=True)
class NotRun:
    """A part of a gate that no report of this commit answers, and the reason."""

    why: str


Problem = str | NotRun


@dataclass(slots=True)
class Layer:
    """The tests of one layer of the pyramid."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


@functools.cache
def committed_s() -> int:
    """Return when the commit was made, in seconds since 1970."""
    show = ("git", "show", "--no-patch", "--format=%ct", "HEAD")
    return int(subprocess.run(show, cwd=ROOT, capture_output=True, check=True).stdout)


def current(file: Path) -> bool:
    """Return whether a report is there and no older than the commit."""
    return file.is_file() and file.stat().st_mtime >= committed_s()


def read(file: Path) -> Any:
    """Return a report of this commit, or None if there is none."""
    return json.loads(file.read_text()) if current(file) else None


def layer_of(name: str) -> str:
    """Return the layer of a test by the dotted name of its module."""
    folder = name.split(".")[1] if name.startswith("tests.") else ""
    return next((layer for layer, folders in LAYERS.items() if folder in folders), "")


def pyramid(folder: Path = TESTS) -> dict[str, Layer]:
    """Count the tests of all JUnit reports of a folder; a test that ran twice counts once."""
    outcomes: dict[tuple[str, str], str] = {}
    for file in filter(current, sorted(folder.glob("*.xml"))):
        for case in ElementTree.fromstring(file.read_text()).iter("testcase"):
            key = (case.get("classname", ""), case.get("name", ""))
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            outcomes[key] = min(kinds, default="passed")
    layers = {name: Layer() for name in LAYERS}
    for (classname, _), outcome in outcomes.items():
        layer = layers.get(layer_of(classname))
        if layer is None:
            continue
        match outcome:
            case "passed":
                layer.passed += 1
            case "skipped":
                layer.skipped += 1
            case _:
                layer.failed += 1
    return layers


def run_problems(share: str, folder: Path = TESTS) -> Iterator[NotRun]:
    """Yield the runs of tests that left no report, and the files that a share leaves out."""
    missing = {run for name, run in RUNS.items() if not current(folder / f"{name}.xml")}
    yield from (_missing("report of all tests", run) for run in sorted(missing))
    if share:
        yield NotRun(f"long tests of the files outside of TESTS_SHARE={share}")


def test_problems(layers: dict[str, Layer], least: Mapping[str, int]) -> Iterator[Problem]:
    """Yield what keeps the tests from counting as a pass of all layers.

    A skipped test, such as of a server that this machine does not have, was not run.
    """
    for name, layer in layers.items():
        if layer.failed:
            yield f"{name}: {layer.failed} failed"
        if layer.skipped:
            yield NotRun(f"{name}: {layer.skipped} skipped")
        if layer.passed < least.get(name, 0):
            yield f"{name}: {layer.passed} tests passed, at least {least[name]}"


def _missing(report: str, run: str) -> NotRun:
    return NotRun(f"{report} is missing or older than the commit: run `{run}`")


def coverage_problems(report: Any, packages: Iterable[str]) -> Iterator[Problem]:
    """Yield what keeps coverage from passing; a part of the packages is not the coverage of all."""
    if report is None:
        yield _missing("build/coverage.json", "make coverage")
        return
    if report["tests"]:
        yield f"build/coverage.json is of tests that ended with {report['tests']}, not 0"
    if missing := sorted(set(packages) - report["packages"].keys()):
        yield NotRun(f"build/coverage.json has no {', '.join(missing)}: run `make coverage`")
    yield from covered.problems(report["packages"])


def sdk_problems(report: Any, least: Mapping[str, float]) -> Iterator[Problem]:
    """Yield what keeps the coverage of the SDKs besides Python from passing."""
    if report is None:
        yield _missing("build/coverage-sdks.json", "make coverage-sdks")
        return
    if missing := sorted(least.keys() - report.keys()):
        yield NotRun(f"build/coverage-sdks.json has no {', '.join(missing)}")
    yield from covered_sdks.problems(report, least)


def mutation_problems(report: Any, packages: Iterable[str]) -> Iterator[Problem]:
    """Yield what keeps the mutation score from passing; so does a draw of changed lines only."""
    if report is None:
        yield _missing("build/mutants.json", "make mutants")
        return
    scores = report["scores"]
    if report["changed"]:
        drawn = scores["all"]["mutants"] if scores else 0
        yield NotRun(f"mutants of all lines: {drawn} are of those since {report['changed']}")
    if missing := sorted({*packages, "all"} - scores.keys()):
        yield NotRun(f"build/mutants.json has no {', '.join(missing)}: run `make mutants`")
    for name in too_low(scores, report["changed"]):
        row = scores[name]
        yield f"{name}: {row['score']:.1%} of the mutants killed, at least {row['least']:.0%}"


def scan_problems(report: Any, names: tuple[str, ...]) -> Iterator[Problem]:
    """Yield open findings, and scans without a result; an unchecked part is a risk of the proof."""
    for name in names:
        row = (report or {}).get(name)
        if row is None:
            yield NotRun(f"scan of {name}: run `make scan`")
        elif not row["examined"] and row["unchecked"]:
            yield NotRun(f"scan of {name}: {'; '.join(row['unchecked'])}")
        elif not row["examined"]:
            yield f"{name}: nothing was examined"
        elif row["findings"]:
            yield f"{name}: {len(row['findings'])} open findings"


__all__ = ["COVERAGE", "LAYERS", "MUTANTS", "SCANS", "TESTS"]
