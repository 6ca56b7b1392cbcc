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
_TAG = re.compile(r"@(S[0-5]-\d{2,3})")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A test of a browser, with the features that it shows."""

    file: str
    title: str

    @property
    def features(self) -> list[str]:
        return _TAG.findall(self.title)

    def failures(self, found: Mapping["Scenario", "Outcome"]) -> list[str]:
        """Return the failures of all tests of this title, and one if none of them has run."""
        pattern = ".+".join(map(re.escape, _MEMBER.split(self.title)))
        ran = {
            each.title: outcome
            for each, outcome in found.items()
            if each.file == self.file and re.fullmatch(pattern, each.title)
        }
        if not ran:
            return [f"{self.title}: it has not run"]
        return [f"{title}: {each.errors}" for title, each in ran.items() if not each.passed]

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.spec.ts')}: {self.title.partition(' @')[0]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a scenario: the errors of all tries, and whether the last one passed."""

    passed: bool
    tries: int
    errors: str


def scenarios() -> list[Scenario]:
    """Return all scenarios in order of their files."""
    return [
        Scenario(path.name, title)
        for path in sorted(SOURCE.glob("*.spec.ts"))
        for _, title in _TITLE.findall(path.read_text())
    ]


def results(report: Path) -> dict[Scenario, Outcome]:
    """Return the outcome of each scenario in a report of Playwright."""
    return dict(_results(json.loads(report.read_text())["suites"], ""))


def measures(report: Path) -> list[str]:
    """Return what the tests of budgets have measured."""
    found = re.findall(r'"type": "budget",\s*"description": "([^"]*)"', report.read_text())
    return list(dict.fromkeys(found))


def _results(suites: list[dict[str, Any]], file: str) -> Iterator[tuple[Scenario, Outcome]]:
    for suite in suites:
        name = file or Path(suite["file"]).name
        for spec in suite.get("specs", []):
            yield Scenario(name, spec["title"]), _outcome(spec)
        yield from _results(suite.get("suites", []), name)


def _outcome(spec: dict[str, Any]) -> Outcome:
    # A test that was skipped, or not reached by an interrupted run, is "ok" in the report.
    tries = [test["results"] for test in spec["tests"]]
    last = {each[-1]["status"] if each else "none" for each in tries}
    errors = [
        error.get("message", "")
        for each in tries
        for result in each
        for error in result.get("errors", [])
    ]
    return Outcome(
        passed=spec["ok"] and last == {"passed"},
        tries=max(map(len, tries), default=0),
        errors="\n".join(errors) or "it did not run",
    )
