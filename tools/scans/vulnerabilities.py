"""Known vulnerabilities of dependencies, by the auditor of each package manager.

An auditor that is not installed, or cannot reach its database, makes its part unchecked: that is
reported, and is no proof that nothing is there.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.scans.findings import ROOT, Finding, Result

SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Auditor:
    """A command in a folder, and the reader of its report: package and advisory."""

    command: tuple[str, ...]
    folder: str
    read: Callable[[Any], Iterator[tuple[str, str]]]


def _pip(report: Any) -> Iterator[tuple[str, str]]:
    for each in report["dependencies"]:
        for found in each.get("vulns", ()):
            yield f"pypi:{each['name']}", found["id"]


def _npm(report: Any) -> Iterator[tuple[str, str]]:
    for name, each in report["vulnerabilities"].items():
        yield f"npm:{name}", f"severity {each['severity']}"


def _go(report: Any) -> Iterator[tuple[str, str]]:
    for each in report.get("Results") or ():
        yield f"golang:{each['package']}", each["id"]


def _cargo(report: Any) -> Iterator[tuple[str, str]]:
    for each in report["vulnerabilities"]["list"]:
        yield f"cargo:{each['package']['name']}", each["advisory"]["id"]


AUDITORS: Final = (
    Auditor(("pip-audit", "-f", "json", "-r", "requirements-dev.lock"), ".", _pip),
    *(
        Auditor(("npm", "audit", "--json"), folder, _npm)
        for folder in (
            "console",
            "sdks/typescript",
            "tests/clients",
            "tests/clients/conformance",
            "benchmarks/peers",
        )
    ),
    Auditor(("govulncheck", "-format", "json", "./..."), "sdks/go", _go),
    Auditor(("cargo-audit", "audit", "--json"), "sdks/rust", _cargo),
)


def scan(auditors: tuple[Auditor, ...] = AUDITORS, root: Path = ROOT) -> Result:
    """Run every auditor that is installed."""
    result = Result("vulnerabilities", 0, [])
    for each in auditors:
        name = f"{each.command[0]} in {each.folder}"
        if shutil.which(each.command[0]) is None:
            result.unchecked.append(f"{name}: not installed")
            continue
        done = subprocess.run(
            each.command,
            cwd=root / each.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        try:
            found = list(each.read(json.loads(done.stdout)))
        except (ValueError, KeyError, TypeError):
            result.unchecked.append(f"{name}: its database cannot be reached")
            continue
        result.examined += 1
        result.findings += [Finding("vulnerabilities", *row) for row in found]
    return result
