"""Findings of scans, and those that are accepted for a reason until a date."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ACCEPTED: Final = Path(__file__).with_name("accepted.toml")
# An accepted finding is looked at again after at most so long.
ACCEPTED_DAYS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its place, such as a file or a package, and the problem."""

    scan: str
    place: str
    problem: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings of one place that need no change; `problems` are their texts."""

    scan: str
    place: str
    problems: tuple[str, ...]
    reason: str
    until: date

    def covers(self, finding: Finding) -> bool:
        same = (self.scan, self.place) == (finding.scan, finding.place)
        return same and finding.problem in self.problems


@dataclass(slots=True)
class Result:
    """The outcome of one scan. `unchecked` are parts that could not be scanned here."""

    scan: str
    examined: int
    findings: list[Finding]
    accepted: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def read_accepted(path: Path = ACCEPTED) -> list[Accepted]:
    """Read the table; raise SystemExit for an entry without a reason or an end date."""
    rows = []
    for row in tomllib.loads(path.read_text())["accepted"]:
        problems = row.pop("problems")
        rows.append(Accepted(problems=tuple(problems), **row))
        if not rows[-1].reason.strip():
            raise SystemExit(f"{path.name}: {rows[-1].place} needs a reason")
    return rows


def settle(result: Result, accepted: Iterable[Accepted], today: date) -> Result:
    """Move the accepted findings; an entry that has ended, or covers nothing, is a finding."""
    rows = [each for each in accepted if each.scan == result.scan]
    left: list[Finding] = []
    used: set[tuple[str, str]] = set()
    for finding in result.findings:
        row = next((each for each in rows if each.covers(finding)), None)
        if row is None:
            left.append(finding)
            continue
        used.add((row.place, finding.problem))
        result.accepted.append(finding)
    for row in rows:
        if row.until < today:
            left.append(Finding(row.scan, row.place, f"was accepted until {row.until}"))
        elif (row.until - today).days > ACCEPTED_DAYS_MAX:
            left.append(Finding(row.scan, row.place, f"is accepted for too long: {row.until}"))
        unused = [each for each in row.problems if (row.place, each) not in used]
        left += [Finding(row.scan, row.place, f"accepted, not found: {each}") for each in unused]
    result.findings = left
    return result
