"""The gates: each yields what keeps a stage from passing."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tools import covered_sdks
from tools.gates import artefacts, proofs
from tools.mutants.drawing import PACKAGES
from tools.scans.__main__ import SCANS
from tools.scans.findings import ROOT

# What generators of projects leave behind: names of files, and lines in them.
TEMPLATE_NAMES: Final = re.compile(
    r"(^|/)(Class1\.cs|UnitTest1\.cs|WeatherForecast\w*\.\w+|AppTest\.java|App\.test\.[jt]sx?"
    r"|(react|vite|logo|next)\.svg|hello_world\.\w+|test_sample\.py|reportWebVitals\.[jt]s)$"
)
TEMPLATE_LINES: Final = re.compile(
    r"fn it_works\(\)|shouldAnswerWithTrue|Edit <code>src/App|Learn React"
    r"|This is my awesome project|Describe your project here"
)
_PRODUCT: Final = (("libs", "flowmesh"), ("services", "flowmesh"))
TYPED: Final = ("libs", "services", "tools", "tests", "benchmarks", "examples", "sdks/conformance")


def template_problems(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Gate 1: no file or line of a template of projects."""
    for name in names:
        if TEMPLATE_NAMES.search(name):
            yield f"{name} is a file of a template"
        elif Path(name).suffix in {".py", ".ts", ".tsx", ".go", ".rs", ".java", ".md"}:
            # This module and its tests name the lines.
            found = TEMPLATE_LINES.search((root / name).read_text(errors="replace"))
            if found and "gates" not in name:
                yield f"{name} has a line of a template: {found[0]}"


def lint_problems(root: Path) -> Iterator[str]:
    """Gate 2: the linters and formatters find nothing."""
    yield from _ran(root, sys.executable, "-m", "ruff", "check", "--quiet", ".")
    yield from _ran(root, sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".")


def build_problems(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Gate 3: every module compiles with warnings as errors."""
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                compile((root / name).read_bytes(), name, "exec", dont_inherit=True)
            except (SyntaxError, Warning) as error:
                yield f"{name}: {error}"


def type_problems(root: Path, folders: Iterable[str] = TYPED) -> Iterator[str]:
    """Gate 4: Python is strictly typed; `make console-test` is the same for TypeScript."""
    exclude = ("--exclude", "^examples/use-cases/")
    yield from _ran(root, sys.executable, "-m", "mypy", "--no-error-summary", *folders, *exclude)


def _ran(root: Path, *command: str) -> list[str]:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return lines or ["failed"] if done.returncode else []


def tracked(root: Path = ROOT) -> list[str]:
    """Return the files of git that are there and are not generated."""
    done = subprocess.run(("git", "ls-files"), cwd=root, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()
    return [each for each in names if not each.startswith("gen/") and (root / each).is_file()]


def packages(names: Iterable[str]) -> set[str]:
    """Return the packages with a program among files, such as `libs/flowmesh/engine`."""
    parts = [Path(each).parts for each in names if each.endswith(".py")]
    found = {each[:3] for each in parts if each[:2] in _PRODUCT and len(each) > 3}
    return {"/".join(each) for each in found}


def _templates() -> Iterator[str]:
    return template_problems(ROOT, tracked())


def _build() -> Iterator[str]:
    return build_problems(ROOT, (each for each in tracked() if each.endswith(".py")))


def _tests() -> Iterator[artefacts.Problem]:
    missing = list(artefacts.run_problems(os.environ.get("TESTS_SHARE", "")))
    yield from missing
    least = {} if missing else artefacts.LEAST
    yield from artefacts.test_problems(artefacts.pyramid(), least)


def _coverage() -> Iterator[artefacts.Problem]:
    yield from artefacts.coverage_problems(artefacts.read(artefacts.COVERAGE), packages(tracked()))
    yield from artefacts.sdk_problems(artefacts.read(covered_sdks.REPORT), covered_sdks.floors())
    yield from artefacts.mutation_problems(artefacts.read(artefacts.MUTANTS), PACKAGES)


def _scans() -> Iterator[artefacts.Problem]:
    return artefacts.scan_problems(artefacts.read(artefacts.SCANS), tuple(SCANS))


GATES: Final[tuple[tuple[str, Callable[[], Iterable[artefacts.Problem]]], ...]] = (
    ("no template files", _templates),
    ("linting", lambda: lint_problems(ROOT)),
    ("build without warnings", _build),
    ("types", lambda: type_problems(ROOT)),
    ("all tests pass, none skipped", _tests),
    ("coverage and mutation score", _coverage),
    ("scans", _scans),
    ("proof of the release", proofs.release_problems),
)
