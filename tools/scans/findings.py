"""Findings of scans, and those that are accepted for a reason until a date."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ACCEPTED: Final = tuple(sorted(Path(__file__).parent.glob("accepted*.toml")))
# An accepted finding is looked at again after at most so long.
ACCEPTED_DAYS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its place, such as a file or a package, and the problem."""

    scan: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings that need no change, as they are printed."""

    scan: str
    findings: tuple[str, ...]
    reason: str
    until: date


@dataclass(slots=True)
class Result:
    """The outcome of one scan. `unchecked` are parts that could not be scanned here."""

    scan: str
    examined: int
    findings: list[Finding]
    accepted: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def read_accepted(paths: Iterable[Path] = ACCEPTED) -> list[Accepted]:
    """Read the tables; raise SystemExit for an entry without a reason."""
    rows = []
    for path in paths:
        for row in tomllib.loads(path.read_text())["accepted"]:
            rows.append(Accepted(findings=tuple(row.pop("findings")), **row))
            if not rows[-1].reason.strip():
                raise SystemExit(f"{path.name}: {rows[-1].findings[0]} needs a reason")
    return rows


def settle(result: Result, accepted: Iterable[Accepted], today: date) -> Result:
    """Move the accepted findings; an entry that has ended, or covers nothing, is a finding."""
    rows = [each for each in accepted if each.scan == result.scan]
    covered = {text for row in rows for text in row.findings}
    result.accepted = [each for each in result.findings if str(each) in covered]
    left = [each for each in result.findings if str(each) not in covered]
    for row in rows:
        if row.until < today:
            left.append(Finding(row.scan, row.findings[0], f"was accepted until {row.until}"))
        elif (row.until - today).days > ACCEPTED_DAYS_MAX:
            left.append(Finding(row.scan, row.findings[0], f"accepted for too long: {row.until}"))
    unused = covered - {str(each) for each in result.accepted}
    left += [Finding(result.scan, text, "is accepted, and not found") for text in sorted(unused)]
    result.findings = left
    return result
