"""The scenarios of the browser tests: read from their sources, and their results."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "console" / "tests" / "e2e"
_TITLE = re.compile(r'^\s*test\(\s*"((?:[^"\\]|\\.)+)"', re.MULTILINE)
_TAG = re.compile(r"@(S[0-4]-\d{2,3})")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A test of a browser, with the features that it shows."""

    file: str
    title: str

    @property
    def features(self) -> list[str]:
        return _TAG.findall(self.title)

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.spec.ts')}: {self.title.partition(' @')[0]}"


def scenarios() -> list[Scenario]:
    """Return all scenarios in order of their files."""
    return [
        Scenario(path.name, title)
        for path in sorted(SOURCE.glob("*.spec.ts"))
        for title in _TITLE.findall(path.read_text())
    ]


def results(report: Path) -> dict[Scenario, str]:
    """Return the failure of each scenario in a report of Playwright; empty for a success."""
    return dict(_results(json.loads(report.read_text())["suites"], ""))


def _results(suites: list[dict[str, Any]], file: str) -> Iterator[tuple[Scenario, str]]:
    for suite in suites:
        name = file or Path(suite["file"]).name
        for spec in suite.get("specs", []):
            yield Scenario(name, spec["title"]), _failure(spec)
        yield from _results(suite.get("suites", []), name)


def _failure(spec: dict[str, Any]) -> str:
    if spec["ok"]:
        return ""
    errors = [
        error.get("message", "")
        for test in spec["tests"]
        for result in test["results"]
        for error in result.get("errors", [])
    ]
    return "\n".join(errors) or "it did not run"
