"""Compatibility of a new version for callers of an old one.

The new input must accept every value of the old one. The old output must allow every value of the
new one, and every member it declared must still be declared.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import IntEnum

from flowmesh.contract.json_value import Json
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.problems import Path, path_text
from flowmesh.schemas import Finding, Kind, Outcome, compatible

_DEPTH_MAX = 32


class Verdict(IntEnum):
    """A verdict, in order of weight; the values are those of the API."""

    COMPATIBLE = 1
    UNKNOWN = 3
    BREAKING = 2

    @property
    def weight(self) -> int:
        return (Verdict.COMPATIBLE, Verdict.UNKNOWN, Verdict.BREAKING).index(self)


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for a verdict on the `input` or the `output`; `path` leads into the value."""

    side: str
    verdict: Verdict
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The verdict of each side with the reasons if it is not "compatible"."""

    input: Verdict
    output: Verdict
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> Verdict:
        return max(self.input, self.output, key=lambda verdict: verdict.weight)


def compatibility_of(old: Workflow, new: Workflow) -> Compatibility:
    taken = list(_input_reasons(old.input_schema, new.input_schema))
    given = list(_output_reasons(old.output_schema, new.output_schema))
    return Compatibility(_worst(taken), _worst(given), (*taken, *given))


def _worst(reasons: list[Reason]) -> Verdict:
    verdicts = [reason.verdict for reason in reasons]
    return max(verdicts, default=Verdict.COMPATIBLE, key=lambda verdict: verdict.weight)


def _input_reasons(old: Json, new: Json) -> Iterator[Reason]:
    for path, verdict, text in _findings(old, new):
        if text:
            yield Reason("input", verdict, path_text(path), f"the callers' value {text}")
        else:
            # Callers of the old version had no reason to pass a member it did not name.
            verdict = Verdict.COMPATIBLE if path else Verdict.UNKNOWN
            yield Reason("input", verdict, path_text(path), "was not declared before")


def _output_reasons(old: Json, new: Json) -> Iterator[Reason]:
    removed = list(_removed(old, new, (), 0))
    for path in removed:
        yield Reason("output", Verdict.BREAKING, path_text(path), "is not declared any more")
    for path, verdict, text in _findings(new, old):
        if text:
            yield Reason("output", verdict, path_text(path), f"the returned value {text}")
        elif path not in removed:
            message = "is not described any more"
            yield Reason("output", Verdict.UNKNOWN, path_text(path), message)


def _findings(up: Json, down: Json) -> Iterator[tuple[Path, Verdict, str]]:
    """Yield where values of one schema may not fit the other; no text if nothing is known."""
    verdict = compatible(_schema(up), _schema(down))
    if verdict.outcome is Outcome.COMPATIBLE:
        return
    if not verdict.findings:
        yield (), Verdict.UNKNOWN, "cannot be compared"
    undeclared = {finding.path for finding in verdict.findings if finding.kind is Kind.UNDECLARED}
    for path in sorted(undeclared, key=len):
        if not path or not _within(path[:-1], undeclared):
            yield path, Verdict.UNKNOWN, ""
    for finding in verdict.findings:
        if finding.kind is not Kind.UNDECLARED:
            text = finding.text or f"is {finding.given}, and it must be {finding.needed}"
            yield finding.path, _verdict(finding), text


def _within(path: Path, paths: Container[Path]) -> bool:
    """Return whether the path is one of `paths` or below one."""
    return any(path[:length] in paths for length in range(len(path) + 1))


def _schema(schema: Json) -> Json:
    return True if schema is None else schema


def _verdict(finding: Finding) -> Verdict:
    """Return the verdict of a finding; one unfit value already breaks a caller."""
    breaks = finding.conflict or finding.kind in (Kind.OPTIONAL, Kind.RANGE)
    return Verdict.BREAKING if breaks else Verdict.UNKNOWN


def _removed(old: Json, new: Json, path: Path, depth: int) -> Iterator[Path]:
    """Yield members that the old output declares and the new one, if it declares any, does not."""
    if not isinstance(old, dict) or not isinstance(new, dict) or depth > _DEPTH_MAX:
        return
    before, after = _members(old), _members(new)
    for name, member in before.items():
        if name not in after:
            if after:
                yield (*path, name)
        else:
            yield from _removed(member, after[name], (*path, name), depth + 1)
    items = old.get("items"), new.get("items")
    yield from _removed(*items, (*path, 0), depth + 1)


def _members(schema: dict[str, Json]) -> dict[str, Json]:
    members = schema.get("properties")
    return members if isinstance(members, dict) else {}
