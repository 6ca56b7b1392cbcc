"""The scenarios of the browser tests: read from their sources, and their results."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "console" / "tests" / "e2e"
# A title is a string, or a template with the members of a list.
_TITLE = re.compile(r"""^\s*test\(\s*(["`])((?:(?!\1)[^\\]|\\.)+)\1""", re.MULTILINE)
_MEMBER = re.compile(r"\$\{[^}]*\}")
_TAG = re.compile(r"@(S[0-4]-\d{2,3})")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A test of a browser, with the features that it shows."""

    file: str
    title: str

    @property
    def features(self) -> list[str]:
        return _TAG.findall(self.title)

    def failures(self, found: Mapping["Scenario", str]) -> list[str]:
        """Return the failures of all tests of this title, and one if none of them has run."""
        pattern = ".+".join(map(re.escape, _MEMBER.split(self.title)))
        ran = {
            each.title: text
            for each, text in found.items()
            if each.file == self.file and re.fullmatch(pattern, each.title)
        }
        if not ran:
            return [f"{self.title}: it has not run"]
        return [f"{title}: {text}" for title, text in ran.items() if text]

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.spec.ts')}: {self.title.partition(' @')[0]}"


def scenarios() -> list[Scenario]:
    """Return all scenarios in order of their files."""
    return [
        Scenario(path.name, title)
        for path in sorted(SOURCE.glob("*.spec.ts"))
        for _, title in _TITLE.findall(path.read_text())
    ]


def results(report: Path) -> dict[Scenario, str]:
    """Return the failure of each scenario in a report of Playwright; empty for a success."""
    return dict(_results(json.loads(report.read_text())["suites"], ""))


def measures(report: Path) -> list[str]:
    """Return what the tests of budgets have measured."""
    found = re.findall(r'"type": "budget",\s*"description": "([^"]*)"', report.read_text())
    return list(dict.fromkeys(found))


def _results(suites: list[dict[str, Any]], file: str) -> Iterator[tuple[Scenario, str]]:
    for suite in suites:
        name = file or Path(suite["file"]).name
        for spec in suite.get("specs", []):
            yield Scenario(name, spec["title"]), _failure(spec)
        yield from _results(suite.get("suites", []), name)


def _failure(spec: dict[str, Any]) -> str:
    # A test that was skipped, or not reached by an interrupted run, is "ok" in the report.
    statuses = {result["status"] for test in spec["tests"] for result in test["results"]}
    if spec["ok"] and statuses == {"passed"}:
        return ""
    errors = [
        error.get("message", "")
        for test in spec["tests"]
        for result in test["results"]
        for error in result.get("errors", [])
    ]
    return "\n".join(errors) or "it did not run"
