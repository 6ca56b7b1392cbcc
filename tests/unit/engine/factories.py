"""Plans and drivers for tests of the engine, a line each."""

from typing import Any

import orjson

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import (
    Collect,
    Command,
    Expand,
    Start,
    State,
    TaskEnded,
    Transition,
    decide,
    replay,
)
from flowmesh.engine.state import RUNNING
from flowmesh.plan import Plan, compile_plan, inline, render_items

NOW = 1_000_000


def node(node_id: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A node by id with the ids it waits for; fields as in the message."""
    return {"id": node_id, "after": after, **fields}


def plan(*nodes: dict[str, Any], **fields: Any) -> Plan:
    """A plan of these nodes; all are critical tasks unless said."""
    message = plan_pb2.Plan(digest="d", namespace="default", workflow_id="w", version=1, **fields)
    message.specs.add(task_type="work")
    _fill(message.nodes, nodes)
    return compile_plan(message)


def each(
    node_id: str,
    items: Any,
    *body: dict[str, Any],
    after: tuple[str, ...] = (),
    concurrency: int = 2,
    **fields: Any,
) -> dict[str, Any]:
    """A map over the items, or over what a template like `"{{input}}"` gives."""
    return node(
        node_id,
        *after,
        kind=plan_pb2.NODE_KIND_MAP,
        input_mode=plan_pb2.INPUT_MODE_TEMPLATE,
        input_template=orjson.dumps(items),
        body=body,
        concurrency=concurrency,
        **fields,
    )


def _fill(messages: Any, nodes: tuple[dict[str, Any], ...]) -> None:
    index = {one["id"]: number for number, one in enumerate(nodes)}
    for one in nodes:
        given = dict(one)
        after = [index[name] for name in given.pop("after")]
        body, concurrency = given.pop("body", ()), given.pop("concurrency", 0)
        given.setdefault("kind", plan_pb2.NODE_KIND_TASK)
        given.setdefault("critical", True)
        message = messages.add(dependencies=after, **given)
        if body:
            message.map.concurrency = concurrency
            _fill(message.map.nodes, body)


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

    def serve(self) -> None:
        """Gives the maps what they ask for, until none does."""
        while self.last.asks:
            asked, self.last.asks = self.last.asks, []
            for one in asked:
                if one.status != RUNNING:
                    continue
                if one.map is None or one.map.begun < one.map.total:
                    items = render_items(self.state, one, inline)
                    self.do(Expand(one.id, items))
                else:
                    self.do(Collect(one.id, json(b"[]")))
                asked += self.last.asks

    @property
    def dispatched(self) -> list[str]:
        return [one.id for one in self.last.dispatch]

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
