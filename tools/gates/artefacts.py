"""The reports that tests, coverage, mutants and scans leave in build/."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from defusedxml import ElementTree

from tools import covered
from tools.mutants.__main__ import REPORT as MUTANTS
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


@dataclass(slots=True)
class Layer:
    """The tests of one layer of the pyramid."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


def read(file: Path) -> Any:
    """Return a report, or None if there is none."""
    return json.loads(file.read_text()) if file.is_file() else None


def layer_of(name: str) -> str:
    """Return the layer of a test by the dotted name of its module."""
    folder = name.split(".")[1] if name.startswith("tests.") else ""
    return next((layer for layer, folders in LAYERS.items() if folder in folders), "")


def pyramid(folder: Path = TESTS) -> dict[str, Layer]:
    """Count the tests of all JUnit reports of a folder; a test that ran twice counts once."""
    outcomes: dict[tuple[str, str], str] = {}
    for file in sorted(folder.glob("*.xml")):
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


def test_problems(layers: dict[str, Layer]) -> Iterator[str]:
    """Yield what keeps the tests from counting as a pass of all layers."""
    for name, layer in layers.items():
        if layer.failed or layer.skipped:
            yield f"{name}: {layer.failed} failed, {layer.skipped} skipped"
        if layer.passed < LEAST[name]:
            yield f"{name}: {layer.passed} tests passed, at least {LEAST[name]}"


def coverage_problems(report: Any, packages: Iterable[str]) -> Iterator[str]:
    """Yield what keeps coverage from passing; a part of the packages is not the coverage of all."""
    if report is None:
        yield "build/coverage.json is missing: run `make coverage`"
        return
    if report["tests"]:
        yield f"build/coverage.json is of tests that ended with {report['tests']}, not 0"
    if missing := sorted(set(packages) - report["packages"].keys()):
        yield f"build/coverage.json has no {', '.join(missing)}: run `make coverage` without a part"
    yield from covered.problems(report["packages"])


def mutation_problems(report: Any, packages: Iterable[str]) -> Iterator[str]:
    """Yield what keeps the mutation score from passing; so does a draw of changed lines only."""
    if report is None:
        yield "build/mutants.json is missing: run `make mutants`"
        return
    if report["changed"]:
        yield f"build/mutants.json is of the lines since {report['changed']}, not of all"
    if missing := sorted({*packages, "all"} - report["scores"].keys()):
        yield f"build/mutants.json has no {', '.join(missing)}: run `make mutants` without a part"
    for name, row in report["scores"].items():
        if row["score"] < row["least"]:
            yield f"{name}: {row['score']:.1%} of the mutants killed, at least {row['least']:.0%}"


def scan_problems(report: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Yield open findings, and scans without a result; an unchecked part is a risk of the proof."""
    for name in names:
        row = (report or {}).get(name)
        if row is None:
            yield f"build/scans.json has no scan of {name}: run `make scan`"
        elif not row["examined"]:
            yield f"{name}: nothing was examined"
        elif row["findings"]:
            yield f"{name}: {len(row['findings'])} open findings"


__all__ = ["COVERAGE", "LAYERS", "MUTANTS", "SCANS", "TESTS"]
