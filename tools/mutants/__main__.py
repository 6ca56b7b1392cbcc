"""Mutate code, one place at a time, and count the mutants that the tests kill.

    python -m tools.mutants [--draw 400] [--seed 1] [--jobs 2] [--package NAME ...]
                            [--changed BASE]

A mutant runs in a copy of its package, against the tests that reach its line. `--changed` draws
from the lines that differ from a commit. Prints the score with its 95 % interval (Wilson) and the
survivors, writes build/mutants.json, and exits with 1 below SCORE_LEAST or PACKAGE_SCORE_LEAST. A
draw from changed lines may be small, and is too low when its whole interval is below CHANGED_LEAST.
Of such a draw only mutants count whose line one of these tests reaches; `make coverage` counts the
others.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from coverage import Coverage, CoverageData

from tools.breaks import ROOT, Break, copied
from tools.mutants.drawing import PACKAGES, Mutant, draw

SCORE_LEAST: Final = 0.80
PACKAGE_SCORE_LEAST: Final = 0.75
# Of changed lines, without the tests that take long: raise it with the tests.
CHANGED_LEAST: Final = 0.60
SECONDS: Final = 120
REPORT: Final = ROOT / "build" / "mutants.json"
# The profile `ci` of Hypothesis draws the same values again, and has no deadline. A test of speed
# fails beside other tests, and under coverage.
PYTEST: Final = (
    *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--ignore-glob=*/test_speed.py"),
    *("-m", "not slow and not long", "--hypothesis-profile=ci"),
)
# How the child process is started that notes which tests reach which lines.
RECORD: Final = "--record"
# The tests that reach each line of each file; an empty name is a line that runs outside of tests.
Reached = dict[str, dict[int, list[str]]]


class Contexts:
    """Names the running test in the data of coverage, and keeps the names of those that fail."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.failed: set[str] = set()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        yield
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)


def record(package: str, file: str) -> int:
    """Run the tests of a package; keep which of them reach which line, and which failed."""
    source, tests = PACKAGES[package]
    coverage = Coverage(data_file=file, include=[f"{ROOT / source}/*"], config_file=False)
    coverage.start()
    contexts = Contexts(coverage)
    code = pytest.main([*PYTEST, *tests], [contexts])
    coverage.stop()
    coverage.save()
    failed_in(file).write_text("\n".join(sorted(contexts.failed)))
    return code


def failed_in(file: str) -> Path:
    """Return where the names are kept of the tests that failed in a recording."""
    return Path(f"{file}.failed")


def reaching(package: str) -> Reached:
    """Return the tests of each line of a package; raise SystemExit if none can run."""
    with tempfile.TemporaryDirectory(prefix="contexts-") as folder:
        file = f"{folder}/data"
        argv = (sys.executable, "-m", "tools.mutants", RECORD, package, file)
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            raise SystemExit(f"{package}: its tests do not run:\n{done.stdout[-2000:]}")
        return recorded(file)


def recorded(file: str) -> Reached:
    """Return what a recording kept, without the tests that failed, which would kill all mutants.

    Such a test is of a time, say, on a busy machine; its name is printed.
    """
    failed = set(failed_in(file).read_text().splitlines())
    for each in sorted(failed):
        print(f"left out, as it fails without a mutant: {each}", flush=True)
    data = CoverageData(file)
    data.read()
    return {
        name: {
            line: [each for each in tests if each not in failed]
            for line, tests in data.contexts_by_lineno(name).items()
        }
        for name in data.measured_files()
    }


def tests_of(mutant: Mutant, reached: Reached) -> list[str]:
    """Return the tests that reach a line; all of the package if it runs while modules load."""
    contexts = reached.get(str(ROOT / mutant.file), {}).get(mutant.line, [])
    if set(contexts) == {""}:
        contexts = [
            each for lines in reached.values() for tests in lines.values() for each in tests
        ]
    return sorted(set(contexts) - {""})


def killed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Return whether a test fails, or takes too long, with the mutant in a copy of its package."""
    text = (ROOT / mutant.file).read_text()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copied(Break(mutant.package, "", mutant.file, text, mutant.source()), Path(name))
        chosen = Path(name) / "tests"
        chosen.write_text("\n".join(tests))
        environment = {**os.environ, "PYTHONPATH": name, "FLOWMESH_CORE": "pure"}
        try:
            done = subprocess.run(
                (sys.executable, "-m", "pytest", "-x", *PYTEST, f"@{chosen}"),
                cwd=ROOT,
                env=environment,
                capture_output=True,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return True
    return done.returncode != 0


def interval(kills: int, count: int) -> list[float]:
    """Return the bounds of the 95 % interval of a share, by Wilson."""
    if not count:
        return [0.0, 1.0]
    z, share = 1.96, kills / count
    middle, scale = share + z * z / (2 * count), 1 + z * z / count
    width = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return [round((middle - width) / scale, 3), round((middle + width) / scale, 3)]


def score(outcomes: Mapping[str, Sequence[bool]], changed: str = "") -> dict[str, dict[str, Any]]:
    """Return count, kills, share and interval of each package, and of all together."""
    least = CHANGED_LEAST if changed else SCORE_LEAST
    every = {**outcomes, "all": [each for part in outcomes.values() for each in part]}
    return {
        name: {
            "mutants": len(kills),
            "killed": sum(kills),
            "score": round(sum(kills) / len(kills), 3),
            "interval": interval(sum(kills), len(kills)),
            "least": least if name == "all" else PACKAGE_SCORE_LEAST,
        }
        for name, kills in every.items()
        if kills
    }


def too_low(scores: Mapping[str, Mapping[str, Any]], changed: str) -> list[str]:
    """Return what is below the least: packages and all; of changed lines all, beyond chance."""
    reached = (
        {name: row["interval"][1] for name, row in scores.items() if name == "all"}
        if changed
        else {name: row["score"] for name, row in scores.items()}
    )
    return [name for name, share in reached.items() if share < scores[name]["least"]]


def run(
    mutants: Sequence[Mutant], jobs: int, *, reached_only: bool
) -> tuple[dict[str, list[bool]], list[str]]:
    """Return the outcomes by package, and the survivors."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    survivors: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        names = list(dict.fromkeys(each.package for each in mutants))
        reached = dict(zip(names, pool.map(reaching, names), strict=True))
        tests = [tests_of(each, reached[each.package]) for each in mutants]
        kills = pool.map(lambda mutant, its: bool(its) and killed(mutant, its), mutants, tests)
        for each, its, dies in zip(mutants, tests, kills, strict=True):
            if its or not reached_only:
                outcomes[each.package].append(dies)
            if not dies:
                no_test = "" if its else " (no test reaches the line)"
                survivors.append(f"{each.file}:{each.line}: {each.shown()}{no_test}")
                print(f"survived {survivors[-1]}", flush=True)
    return outcomes, survivors


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == [RECORD]:
        return record(*arguments[1:])
    parser = argparse.ArgumentParser(prog="tools.mutants")
    parser.add_argument("--draw", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--package", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--changed", default="", metavar="BASE")
    options = parser.parse_args(arguments)
    mutants = draw(options.package, options.draw, options.seed, options.changed)
    outcomes, survivors = run(mutants, options.jobs, reached_only=bool(options.changed))
    scores = score(outcomes, options.changed)
    for name, row in scores.items():
        counts = f"{row['killed']} of {row['mutants']} killed"
        print(f"{name:12} {counts}, {row['score']}, {row['interval']}")
    report = {
        "seed": options.seed,
        "changed": options.changed,
        "scores": scores,
        "survivors": survivors,
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    low = too_low(scores, options.changed)
    print(f"below the least score: {', '.join(low)}" if low else f"{len(mutants)} mutants")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
