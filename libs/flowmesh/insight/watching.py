"""A watch on one value: the tasks that set and read it, and its value after each task.

Readers are the nodes with templates that refer to the value, to a part of it, or to a value that
contains it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import UNSET

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import State
from flowmesh.expressions import Reference, Template
from flowmesh.expressions.references import ReferenceInvalid, parse_reference
from flowmesh.insight.inputs import Stored, replayed
from flowmesh.insight.parts import moment
from flowmesh.insight.reports import Watch, WatchStep
from flowmesh.insight.times import COMPLETED, FAILED
from flowmesh.plan import PayloadNeeded, Plan, PlanNode, RenderError, decode
from flowmesh.views import event_type, json_value

ROOTS = ("input", "variables", "tasks", "context", "states", "signals")
STEPS_MAX = 5_000
VALUE_BYTES_MAX = 4 << 20
"""Approximate bytes of the values in one report; further values are left out."""

Path = tuple[str | int, ...]
_MISSING: Any = UNSET


class PathInvalid(ValueError):
    """The path is malformed or has an unknown root."""


def parsed(path: str) -> Reference:
    """Parse a path as a reference. Raises PathInvalid."""
    try:
        reference = parse_reference(path, 0, len(path), "")
    except ReferenceInvalid as error:
        raise PathInvalid(error.message) from None
    if reference.root not in ROOTS:
        raise PathInvalid(f"it begins with {reference.root!r}, not with one of {', '.join(ROOTS)}")
    if reference.root != "input" and not reference.path:
        raise PathInvalid(f"{reference.root} is followed by a name")
    return reference


def watch(
    execution_id: str,
    plan: Plan,
    events: Iterable[pb.HistoryEvent],
    path: str,
    stored: Stored,
    *,
    truncated: bool = False,
) -> Watch:
    """Follow a value through a history. Raises PathInvalid."""
    watched = parsed(path)
    watcher = _Watcher(plan, watched, stored)
    replayed(execution_id, plan, events, stored, watcher.note)
    return Watch(
        execution_id=execution_id,
        path=str(watched),
        steps=watcher.steps,
        readers=[node_id for node_id, reads in watcher.reads.items() if reads],
        truncated=truncated or watcher.cut,
    )


@dataclass(slots=True)
class _Watcher:
    plan: Plan
    watched: Reference
    stored: Stored
    steps: list[WatchStep] = field(default_factory=list)
    # True for nodes that read it, by their id in the plan.
    reads: dict[str, bool] = field(default_factory=dict)
    last: Any = _MISSING
    cut: bool = False
    _bytes: int = 0
    # The last decoded payload: decoding an output for each event would dominate the cost.
    _decoded: tuple[payload_pb2.Payload | None, Any] = (None, _MISSING)
    # The signals, the number already searched, and the last one with the name.
    _signals: list[execution_pb2.Signal] = field(default_factory=list)
    _looked_at: int = 0
    _of_name: execution_pb2.Signal | None = None

    def __post_init__(self) -> None:
        self.reads = {
            name: _overlap(self.watched, _references(node), node)
            for name, node in _named(self.plan, "")
        }

    def note(self, state: State, event: pb.HistoryEvent) -> None:
        kind = event.WhichOneof("event") or ""
        node_id = getattr(getattr(event, kind), "node", "")
        value = self._value(state)
        changed = value is not self.last and value != self.last
        self.last = value
        if kind == "task_scheduled" and self.reads.get(_bare(node_id), False):
            self._add(event, "read", node_id, value, changed=changed)
        elif changed:
            self._add(event, "set", node_id, value, changed=True)
        elif node_id and kind in ("task_completed", "task_failed", "task_skipped"):
            self._add(event, "pass", node_id, value, changed=False)
        elif kind == "workflow_completed" and _reads(self.watched, self.plan.output):
            self._add(event, "read", "", value, changed=changed)

    def _add(
        self,
        event: pb.HistoryEvent,
        action: Literal["set", "read", "pass"],
        node_id: str,
        value: Any,
        *,
        changed: bool,
    ) -> None:
        if len(self.steps) >= STEPS_MAX:
            self.cut = True
            return
        shown = value
        if action != "pass" or changed:
            # Measuring a large value is slow: skipped above the limit.
            if self._bytes <= VALUE_BYTES_MAX:
                self._bytes += len(repr(value)) if isinstance(value, dict | list | str) else 8
            if self._bytes > VALUE_BYTES_MAX:
                self.cut, shown = True, UNSET
        self.steps.append(
            WatchStep(
                sequence=event.sequence,
                at=moment(event.at_us),
                event=event_type(event),
                action=action,
                task_id=node_id or UNSET,
                value=shown,
                changed=changed,
            )
        )

    # --- values ---

    def _value(self, state: State) -> Any:
        root, path = self.watched.root, self.watched.path
        match root:
            case "input":
                return _within(self._decode(state.input), path)
            case "variables":
                return _within(state.variables[-1], path)
            case "tasks":
                return self._output(state, str(path[0]), path[1:])
            case "states":
                node = state.node(str(path[0]))
                machine = node.machine if node is not None else None
                return _within(self._decode(machine.value), path[1:]) if machine else UNSET
            case "signals":
                return self._signal(state, path)
        return self._context(state, path)

    def _output(self, state: State, node_id: str, path: Path) -> Any:
        """`tasks.a` is an object with the member `output`, as templates have it."""
        node = state.node(node_id)
        if node is None or node.status not in (COMPLETED, FAILED) or node.output is None:
            return UNSET
        if not path:
            return {"output": self._decode(node.output)}
        return _within(self._decode(node.output), path[1:]) if path[0] == "output" else UNSET

    def _context(self, state: State, path: Path) -> Any:
        if path[0] in self.plan.by_id:
            node = state.node(str(path[0]))
            if node is not None and node.output is not None:
                return _within(self._decode(node.output), path[1:])
        return _within(self._decode(state.input), path)

    def _signal(self, state: State, path: Path) -> Any:
        """Return the payload of the last signal of a name."""
        if state.signals is not self._signals:
            self._signals, self._looked_at, self._of_name = state.signals, 0, None
        for signal in state.signals[self._looked_at :]:
            if signal.name == str(path[0]):
                self._of_name = signal
        self._looked_at = len(state.signals)
        if self._of_name is None:
            return UNSET
        return _within(self._decode(self._of_name.payload), path[1:])

    def _decode(self, payload: payload_pb2.Payload) -> Any:
        known, value = self._decoded
        if known is payload:
            return value
        try:
            value = decode(payload, self.stored)
        except (PayloadNeeded, RenderError):
            value = json_value(payload)
        self._decoded = (payload, value)
        return value


def _within(value: Any, path: Path) -> Any:
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
            continue
        if not (isinstance(value, list) and isinstance(key, int) and key < len(value)):
            return UNSET
        value = value[key]
    return value


# --- readers ---


def _named(graph: Any, prefix: str) -> Iterator[tuple[str, PlanNode]]:
    """Yield all nodes by their ids without items: `map/a`."""
    for node in graph.nodes:
        yield prefix + node.id, node
        if node.body is not None:
            yield from _named(node.body, f"{prefix}{node.id}/")


def _bare(node_id: str) -> str:
    """`map/a` of `map[7]/a`."""
    return "/".join(part.partition("[")[0] for part in node_id.split("/"))


def _references(node: PlanNode) -> tuple[Reference, ...]:
    return node.input.references if node.input is not None else ()


def _overlap(watched: Reference, references: Iterable[Reference], node: PlanNode) -> bool:
    if node.input_mode == plan_pb2.INPUT_MODE_CONTEXT:
        return watched.root in ("input", "tasks", "context")
    return any(_touch(watched, reference) for reference in references)


def _reads(watched: Reference, template: Template | None) -> bool:
    return template is not None and any(_touch(watched, each) for each in template.references)


def _touch(watched: Reference, reference: Reference) -> bool:
    """Return whether one path contains the other; the context is the input and all outputs."""
    return any(
        one[: len(other)] == other[: len(one)]
        for one in _places(watched)
        for other in _places(reference)
    )


def _places(reference: Reference) -> Iterator[Path]:
    if reference.root != "context":
        # `state` is the value of the nearest machine; all machines count.
        root = "states" if reference.root == "state" else reference.root
        path = () if reference.root == "state" else reference.path
        yield (root, *path)
    elif not reference.path:
        yield ("input",)
        yield ("tasks",)
    else:
        yield ("input", *reference.path)
        yield ("tasks", reference.path[0], "output", *reference.path[1:])
