"""Plans and drivers for tests of the engine, a line each."""

from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import Command, Start, State, TaskEnded, Transition, decide, replay
from flowmesh.plan import Plan, compile_plan

NOW = 1_000_000


def node(node_id: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A node by id with the ids it waits for; fields as in the message."""
    return {"id": node_id, "after": after, **fields}


def plan(*nodes: dict[str, Any], **fields: Any) -> Plan:
    """A plan of these nodes; all are critical tasks unless said."""
    message = plan_pb2.Plan(digest="d", namespace="default", workflow_id="w", version=1, **fields)
    message.specs.add(task_type="work")
    index = {one["id"]: number for number, one in enumerate(nodes)}
    for one in nodes:
        given = dict(one)
        after = [index[name] for name in given.pop("after")]
        given.setdefault("kind", plan_pb2.NODE_KIND_TASK)
        given.setdefault("critical", True)
        message.nodes.add(dependencies=after, **given)
    return compile_plan(message)


def failed(class_: str = "ServerError", **fields: Any) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message="it broke", **fields)
    setattr(failure, "class", class_)
    return failure


def json(data: bytes) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=data)


class Run:
    """An execution driven by commands, with every event it produced."""

    def __init__(self, of: Plan, start: bytes = b"{}") -> None:
        self.state = State("exec-1", of)
        self.events: list[history.HistoryEvent] = []
        self.now = NOW
        self.last = Transition(self.state)
        self.do(Start(json(start)))

    def do(self, command: Command, *, after_us: int = 0) -> bool:
        """Decides one command `after_us` later; the transition is in `last`."""
        self.now += after_us
        self.last = Transition(self.state)
        followed = decide(self.state, command, self.now, self.last)
        self.events += self.last.history.events
        return followed

    def complete(self, node_id: str, output: bytes = b"null", attempt: int = 1) -> bool:
        return self.do(TaskEnded(node_id, attempt, output=json(output)))

    def fail(self, node_id: str, class_: str = "ServerError", attempt: int = 1) -> bool:
        return self.do(TaskEnded(node_id, attempt, failure=failed(class_)))

    @property
    def kinds(self) -> list[str]:
        """Events in short: `task_scheduled a`, `workflow_completed` …"""
        out = []
        for event in self.events:
            kind = event.WhichOneof("event") or ""
            name = getattr(getattr(event, kind), "node", "")
            out.append(f"{kind} {name}".strip())
        return out

    def replayed(self) -> State:
        """The state that the history alone adds up to."""
        return replay("exec-1", self.state.plan, self.events)
