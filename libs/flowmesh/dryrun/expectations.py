"""Expectations of a test, read from its file and compared with the report of a dry run."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import UnsetType

from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path, Problems, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.dryrun.mocks import duration_us
from flowmesh.dryrun.names import plain
from flowmesh.dryrun.report import Failure, Node, Report
from flowmesh.dryrun.values import differences, shown
from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from flowmesh.expressions.conditions import Condition

STATUSES = ("completed", "failed", "running", "canceled")
NODE_STATUSES = ("completed", "failed", "skipped", "canceled", "running", "pending")
ROOTS = ("input", "output", "status", "nodes", "calls", "path", "skipped", "durationMs")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Value:
    """An expected value, to be equal or contained."""

    equal: Json = _ABSENT
    part: Json = _ABSENT

    def against(self, name: str, found: Json) -> list[str]:
        differing = []
        if self.equal is not _ABSENT:
            differing += differences(name, self.equal, found)
        if self.part is not _ABSENT:
            differing += differences(name, self.part, found, subset=True)
        return differing


@dataclass(frozen=True, slots=True)
class Failing:
    """An expected failure, with a part of its message."""

    class_: str = ""
    message: str = ""
    task: str = ""

    def against(self, name: str, found: Failure | UnsetType) -> list[str]:
        if not isinstance(found, Failure):
            return [f"{name}: expected a failure, found none"]
        differing = []
        if self.class_ and self.class_ != found.class_:
            differing.append(f"{name}.class: expected {self.class_}, is {found.class_}")
        if self.message not in found.message:
            expected, message = shown(self.message), shown(found.message)
            differing.append(f"{name}.message: expected to contain {expected}, is {message}")
        if self.task and self.task != found.task_id:
            differing.append(f"{name}.node: expected {self.task}, is {found.task_id or 'none'}")
        return differing


@dataclass(frozen=True, slots=True)
class NodeExpected:
    """The expectations of one node."""

    status: str = ""
    attempts: int = -1
    input: Value = field(default_factory=Value)
    output: Value = field(default_factory=Value)
    call: Value = field(default_factory=Value)
    failure: Failing | None = None

    def against(self, node_id: str, report: Report) -> Iterator[str]:
        name = f"nodes.{node_id}"
        node = report.node(node_id) or Node(id=node_id, kind="", status="pending", attempts=0)
        if self.status and self.status != node.status:
            why = f" ({node.error.class_}: {node.error.message})" if node.error else ""
            yield f"{name}.status: expected {self.status}, is {node.status}{why}"
        if self.attempts not in (-1, node.attempts):
            yield f"{name}.attempts: expected {self.attempts}, is {node.attempts}"
        yield from self.input.against(f"{name}.input", node.input)
        yield from self.output.against(f"{name}.output", node.output)
        if self.failure is not None:
            yield from self.failure.against(f"{name}.failure", node.error)
        if self.call.part is not _ABSENT:
            yield from self._call(name, node_id, report)

    def _call(self, name: str, node_id: str, report: Report) -> Iterator[str]:
        """Yield the differences of the last call, unless one call matches."""
        differing = [f"{name}.call: expected a call, found none"]
        for call in report.calls:
            if call.node == node_id:
                differing = self.call.against(f"{name}.call", msgspec.to_builtins(call))
                if not differing:
                    return
        yield from differing


@dataclass(frozen=True, slots=True)
class Expected:
    """The expectations of one test. Empty members are not checked."""

    status: str = "completed"
    path: tuple[str, ...] | None = None
    ran: tuple[str, ...] = ()
    skipped: frozenset[str] | None = None
    output: Value = field(default_factory=Value)
    failure: Failing | None = None
    least_us: int = 0
    most_us: int | None = None
    nodes: Mapping[str, NodeExpected] = field(default_factory=dict)
    checks: tuple[tuple[str, Condition], ...] = ()

    def against(self, report: Report, given: Json) -> list[str]:
        """Return all differences between the report and the expectations."""
        differing = []
        if self.status != report.status:
            why = f" ({report.error.class_}: {report.error.message})" if report.error else ""
            if report.waiting_for:
                why += f"; it waits for {', '.join(report.waiting_for)}"
            differing.append(f"status: expected {self.status}, is {report.status}{why}")
        differing += self._path_differences(report)
        differing += self.output.against("output", report.output)
        if self.failure is not None:
            differing += self.failure.against("failure", report.error)
        for node_id, node in self.nodes.items():
            differing += node.against(node_id, report)
        return differing + self._checked(report, given)

    def _path_differences(self, report: Report) -> Iterator[str]:
        if self.path is not None and list(self.path) != report.path:
            yield f"path: expected {' → '.join(self.path) or 'nothing'}"
            yield f"path: is       {' → '.join(report.path) or 'nothing'}"
        for name in self.ran:
            if name not in report.path:
                yield f"ran: expected {name} to run, it did not"
        if self.skipped is not None and self.skipped != set(report.skipped):
            yield f"skipped: expected {_listed(self.skipped)}, is {_listed(report.skipped)}"
        if self.least_us == self.most_us and report.duration_ms * 1000 != self.least_us:
            exact = self.least_us / 1000
            yield f"duration: expected {exact:,.0f} ms, is {report.duration_ms:,.0f} ms"
        elif report.duration_ms * 1000 < self.least_us:
            least = self.least_us / 1000
            yield f"duration: expected at least {least:,.0f} ms, is {report.duration_ms:,.0f} ms"
        elif self.most_us is not None and report.duration_ms * 1000 > self.most_us:
            most = self.most_us / 1000
            yield f"duration: expected at most {most:,.0f} ms, is {report.duration_ms:,.0f} ms"

    def _checked(self, report: Report, given: Json) -> list[str]:
        if not self.checks:
            return []
        shape = msgspec.to_builtins(report)
        scope = {
            **{name: shape[name] for name in ("output", "status", "calls", "path", "skipped")},
            "input": given,
            "durationMs": report.duration_ms,
            "nodes": {node["id"]: node for node in shape["nodes"]},
        }
        differing = []
        for source, condition in self.checks:
            try:
                if not condition.is_prompt(scope):
                    differing.append(f"check: {source}: the data is too large for a check")
                elif not condition.evaluate(scope):
                    differing.append(f"check: {source}: is false")
            except RenderError as error:
                differing.append(f"check: {source}: {error}")
        return differing


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def read_expected(reader: Reader, known: Collection[str] | None) -> Expected:
    """Read the `expect` of a test; `known` are the existing nodes, if known."""
    failing = _failing(reader.object("failure")) if reader.has("failure") else None
    status = _word(reader, "status", STATUSES, "failed" if failing else "completed")
    least_us, most_us = _duration(reader)
    expected = Expected(
        status=status,
        path=_names(reader, "path", known) if reader.has("path") else None,
        ran=_names(reader, "ran", known),
        skipped=frozenset(_names(reader, "skipped", known)) if reader.has("skipped") else None,
        output=_value(reader, "output"),
        failure=failing,
        least_us=least_us,
        most_us=most_us,
        nodes=_nodes(reader.object("nodes"), known),
        checks=tuple(_checks(reader)),
    )
    reader.refuse_unknown()
    return expected


def _word(reader: Reader, key: str, words: Collection[str], default: str) -> str:
    return reader.choice(key, [word.upper() for word in words], default).lower()


def _value(reader: Reader, key: str) -> Value:
    matches = f"{key}Matches"
    return Value(
        equal=reader.raw(key) if reader.has(key) else _ABSENT,
        part=reader.raw(matches) if reader.has(matches) else _ABSENT,
    )


def _failing(reader: Reader) -> Failing:
    found = Failing(reader.text("class"), reader.text("message"), reader.text("node"))
    reader.refuse_unknown()
    return found


def _duration(reader: Reader) -> tuple[int, int | None]:
    """Read an exact duration, or the bounds `atLeast` and `atMost`."""
    if not isinstance(reader.raw("duration"), dict):
        exact = duration_us(reader, "duration")
        return exact, exact if reader.raw("duration") is not None else None
    bounds = reader.object("duration")
    least = duration_us(bounds, "atLeast")
    most = duration_us(bounds, "atMost") if bounds.has("atMost") else None
    bounds.refuse_unknown()
    return least, most


def _names(reader: Reader, key: str, known: Collection[str] | None) -> tuple[str, ...]:
    found = []
    for number, name in enumerate(reader.items(key)):
        path = (*reader.path, key, number)
        if isinstance(name, str):
            check_node(name, known, path, reader.problems)
            found.append(name)
        else:
            message = f"{key} must contain ids of nodes, not {kind_of(name)}"
            reader.problems.add("DEFINITION_INVALID", message, path)
    return tuple(found)


def check_node(name: str, known: Collection[str] | None, path: Path, problems: Problems) -> None:
    """Report an unknown node. Names have the form `a`, inside a map `each[0]/a`."""
    if known is not None and plain(name) not in known:
        message = f"there is no node {name!r}{nearest(name, known)}"
        problems.add("GRAPH_UNKNOWN_NODE", message, path, at_key=True)


def _nodes(reader: Reader, known: Collection[str] | None) -> dict[str, NodeExpected]:
    found = {}
    for name in reader.value:
        check_node(name, known, (*reader.path, name), reader.problems)
        node = reader.object(name)
        call = node.raw("call") if node.has("call") else _ABSENT
        found[name] = NodeExpected(
            status=_word(node, "status", NODE_STATUSES, ""),
            attempts=node.integer("attempts", -1, 0, 2**31),
            input=_value(node, "input"),
            output=_value(node, "output"),
            call=Value(part=call),
            failure=_failing(node.object("failure")) if node.has("failure") else None,
        )
        node.refuse_unknown()
    return found


def _checks(reader: Reader) -> Iterator[tuple[str, Condition]]:
    for number, source in enumerate(reader.items("check")):
        path = (*reader.path, "check", number)
        if not isinstance(source, str):
            message = f"a check must be a CEL expression, not {kind_of(source)}"
            reader.problems.add("DEFINITION_INVALID", message, path)
            continue
        try:
            condition = compile_condition(source, dialect="cel", roots=ROOTS)
        except ExpressionInvalid as error:
            reader.problems.add(error.reason, error.message, path)
            continue
        if condition is not None:
            yield source, condition
