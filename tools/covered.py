"""Run tests and judge which lines and branches of libs/ and services/ they reach.

    python -m tools.covered [--package libs/flowmesh/engine ...] [--units]
                            [ARGUMENTS OF PYTEST ...]

Processes that the tests start are measured too, unless they are killed by signal 9. Prints each
package below its least share, writes build/coverage.json, and exits with 1 if there is one, or if a
test fails. With `--package` only those packages are judged. With `--units` the tests are those of
one process, each package has a least share of its own, in tools/coverage-units.toml, and it is left
to `make test` whether they pass.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
CONFIG: Final = ROOT / "tools" / "coverage.toml"
FOLDER: Final = ROOT / "build" / "coverage"
REPORT: Final = ROOT / "build" / "coverage.json"
UNITS: Final = ROOT / "tools" / "coverage-units.toml"
# Folders of tests/ that start no suite.
UNIT_TESTS: Final = ("unit", "golden", "model", "simulation", "evaluation", "regression")
UNITS_REPORT: Final = ROOT / "build" / "coverage-units.json"
LINES_LEAST: Final = 0.90
BRANCHES_LEAST: Final = 0.85
PACKAGE_LINES_LEAST: Final = 0.80
TOTAL: Final = "all"
# A package that loses a few lines with their tests does not fail.
MARGIN: Final = 0.02


@dataclass(slots=True)
class Share:
    """Lines and branches of a package, and how many of them are reached."""

    lines: int = 0
    reached_lines: int = 0
    branches: int = 0
    reached_branches: int = 0

    def add(self, row: Mapping[str, int]) -> None:
        self.lines += row["num_statements"]
        self.reached_lines += row["covered_lines"]
        self.branches += row["num_branches"]
        self.reached_branches += row["covered_branches"]

    @property
    def of_lines(self) -> float:
        return self.reached_lines / self.lines if self.lines else 1.0

    @property
    def of_branches(self) -> float:
        return self.reached_branches / self.branches if self.branches else 1.0

    def as_json(self) -> dict[str, float]:
        return {"lines": round(self.of_lines, 4), "branches": round(self.of_branches, 4)}


def shares(report: Mapping[str, Any], chosen: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Return the shares of each package, such as `libs/flowmesh/engine`, and of all."""
    found: dict[str, Share] = {TOTAL: Share()}
    for file, row in report["files"].items():
        package = "/".join(Path(file).parts[:3])
        if not chosen or package in chosen:
            found.setdefault(package, Share()).add(row["summary"])
            found[TOTAL].add(row["summary"])
    return {name: share.as_json() for name, share in sorted(found.items())}


def problems(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the shares that are too small, and what is not measured at all."""
    if len(found) < 2:
        return ["no package is measured"]
    low = []
    for name, share in found.items():
        least = LINES_LEAST if name == TOTAL else PACKAGE_LINES_LEAST
        if share["lines"] < least:
            low.append(f"{name}: {share['lines']:.1%} of the lines, at least {least:.0%}")
    if found[TOTAL]["branches"] < BRANCHES_LEAST:
        branches = found[TOTAL]["branches"]
        low.append(f"{TOTAL}: {branches:.1%} of the branches, at least {BRANCHES_LEAST:.0%}")
    return low


def unit_problems(
    found: Mapping[str, Mapping[str, float]], least: Mapping[str, float]
) -> Iterator[str]:
    """Yield the packages below their least share, and those of one table that the other lacks."""
    packages = found.keys() - {TOTAL}
    for name in sorted(packages | least.keys()):
        if name not in least:
            share = found[name]["lines"]
            yield f"{name} is not in {UNITS.name}: write {share - MARGIN:.2f} or less"
        elif name not in found:
            yield f"{name} of {UNITS.name} is not measured"
        elif found[name]["lines"] < least[name]:
            yield f"{name}: {found[name]['lines']:.1%} of the lines, at least {least[name]:.0%}"


def measure(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run pytest under coverage; return its exit code and the report of coverage."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    environment = {**os.environ, "COVERAGE_ROOT": str(ROOT), "FLOWMESH_CORE": "pure"}
    command = (sys.executable, "-m", "coverage")
    config = f"--rcfile={CONFIG}"

    def run(*rest: str) -> int:
        return subprocess.run((*command, *rest), cwd=ROOT, env=environment, check=False).returncode

    # Measured code is slow, and the profile `ci` of Hypothesis has no deadline.
    code = run("run", config, "-m", "pytest", "--hypothesis-profile=ci", *arguments)
    run("combine", "--quiet", config)
    if run("json", "--quiet", config, "-o", str(FOLDER / "report.json")):
        return 1, {"files": {}}
    return code, json.loads((FOLDER / "report.json").read_text())


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.covered")
    parser.add_argument("--package", action="append", default=[])
    parser.add_argument("--units", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    tests = [f"tests/{each}" for each in UNIT_TESTS] if options.units else []
    code, report = measure([*rest, *tests])
    found = shares(report, options.package)
    file = UNITS_REPORT if options.units else REPORT
    file.write_text(json.dumps({"packages": found, "tests": code}, indent=1) + "\n")
    for name, share in found.items():
        print(f"{name:40} lines {share['lines']:.1%}, branches {share['branches']:.1%}")
    least = tomllib.loads(UNITS.read_text()) if options.units else {}
    low = list(unit_problems(found, least)) if options.units else problems(found)
    print("\n".join(low))
    return 1 if low or (code and not options.units) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
