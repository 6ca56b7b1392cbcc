"""Plans and drivers for tests of the engine, a line each."""

from typing import Any

import orjson

from flowmesh.api.common.v1 import failure_pb2, link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1.execution_pb2 import NodeAction
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import (
    Collect,
    Command,
    Expand,
    NodeState,
    Rendered,
    Start,
    State,
    Steer,
    TaskEnded,
    Transition,
    decide,
    replay,
)
from flowmesh.engine.state.state import RUNNING
from flowmesh.plan import (
    Plan,
    RenderError,
    compile_plan,
    inline,
    next_page,
    render_input,
    render_items,
    render_names,
)

NOW = 1_000_000
SERVED_MAX = 2_000


def node(node_id: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A node by id with the ids it waits for; fields as in the message."""
    return {"id": node_id, "after": after, **fields}


def plan(*nodes: dict[str, Any], task_type: str = "work", **fields: Any) -> Plan:
    """A plan of these nodes; all are critical tasks of one type unless said."""
    message = plan_pb2.Plan(digest="d", namespace="default", workflow_id="w", version=1, **fields)
    message.specs.add(task_type=task_type)
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


def paged(node_id: str, *body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A map whose items a task brings page by page, as `{items, next}`; `pages_max`, `fetch`."""
    page, items = f"{node_id}:page", f"{node_id}:items"
    template = f'{{{{tasks["{page}"].output.items}}}}'
    names = ("concurrency", "tolerated", "tolerated_share")
    own = {key: fields.pop(key) for key in names if key in fields}
    own |= {"next_path": ["next"], "counted": fields.get("counted", False)}
    mode, cursor = plan_pb2.INPUT_MODE_TEMPLATE, b'{"cursor":"{{cursor}}"}'
    fetch = node(page, input_mode=mode, input_template=cursor, **fields.pop("fetch", {}))
    over = (fetch, each(items, template, *body, after=(page,), **own))
    fields.setdefault("pages_max", 100)
    kind = plan_pb2.NODE_KIND_MAP
    return node(node_id, *fields.pop("after", ()), kind=kind, body=over, **fields)


def group(node_id: str, *body: dict[str, Any], race: bool = False, **fields: Any) -> dict[str, Any]:
    """A graph that runs once, or a race of its leaves."""
    after = fields.pop("after", ())
    return node(node_id, *after, kind=plan_pb2.NODE_KIND_GROUP, body=body, race=race, **fields)


def machine(node_id: str, value: Any, *body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A state machine that begins with its first node and the value, or a template of it."""
    after = fields.pop("after", ())
    return node(
        node_id,
        *after,
        kind=plan_pb2.NODE_KIND_STATES,
        input_mode=plan_pb2.INPUT_MODE_TEMPLATE,
        input_template=orjson.dumps(value),
        body=body,
        **fields,
    )


def state(
    node_id: str, then: str = "", catches: dict[str, str] | None = None, **fields: Any
) -> dict[str, Any]:
    """A node of a machine and the one that follows it; what it catches, by class."""
    chooses, keeps = fields.pop("chooses", False), fields.pop("keeps", False)
    fields.setdefault("kind", plan_pb2.NODE_KIND_TASK)
    if fields["kind"] == plan_pb2.NODE_KIND_TASK:
        fields.setdefault("input_mode", plan_pb2.INPUT_MODE_TEMPLATE)
        fields.setdefault("input_template", b'"{{state}}"')
    return {
        "id": node_id,
        "after": (),
        "then": (then, catches or {}, chooses, keeps),
        **fields,
    }


def signal(node_id: str, *after: str, name: str, **fields: Any) -> dict[str, Any]:
    """A node that waits for a signal."""
    return node(node_id, *after, kind=plan_pb2.NODE_KIND_SIGNAL, signal=name, **fields)


def child(node_id: str, *after: str, workflow: str = "c", **fields: Any) -> dict[str, Any]:
    """A node that starts a workflow with the execution's input; `detached`, `on_cancel`, `project`,
    `credential`.
    """
    call = plan_pb2.ChildCall(
        workflow_id=workflow,
        detached=fields.pop("detached", False),
        on_cancel=fields.pop("on_cancel", plan_pb2.ON_CANCEL_CANCEL),
        names_template=fields.pop("names", b""),
        project=fields.pop("project", ""),
        credential=fields.pop("credential", ""),
    )
    fields.setdefault("input_template", b'"{{input}}"')
    fields.setdefault("input_mode", plan_pb2.INPUT_MODE_TEMPLATE)
    return node(node_id, *after, kind=plan_pb2.NODE_KIND_CHILD, child=call, **fields)


def again(node_id: str, *after: str, given: Any = None, **fields: Any) -> dict[str, Any]:
    """Return a node that continues the execution as new."""
    return node(
        node_id,
        *after,
        kind=plan_pb2.NODE_KIND_CONTINUE,
        input_mode=plan_pb2.INPUT_MODE_TEMPLATE,
        input_template=orjson.dumps(given),
        **fields,
    )


def edge(dependency: int, label: str = "", *, on_failure: bool = False) -> plan_pb2.EdgeRule:
    return plan_pb2.EdgeRule(dependency=dependency, label=label, on_failure=on_failure)


def undo(node_id: str, **fields: Any) -> plan_pb2.PlanNode:
    """The task that undoes a node of this id."""
    fields = {"input_mode": plan_pb2.INPUT_MODE_TEMPLATE, "critical": True} | fields
    fields.setdefault("input_template", b'"{{undo.output}}"')
    return plan_pb2.PlanNode(id=f"{node_id}:undo", kind=plan_pb2.NODE_KIND_TASK, **fields)


def _fill(messages: Any, nodes: tuple[dict[str, Any], ...]) -> None:
    index = {one["id"]: number for number, one in enumerate(nodes)}
    for one in nodes:
        given = dict(one)
        after = [index[name] for name in given.pop("after")]
        body, concurrency = given.pop("body", ()), given.pop("concurrency", 0)
        race, then = given.pop("race", False), given.pop("then", None)
        single, steps_max = given.pop("single", False), given.pop("steps_max", 0)
        given.setdefault("kind", plan_pb2.NODE_KIND_TASK)
        given.setdefault("critical", True)
        undo, tolerated = given.pop("undo", None), given.pop("tolerated", 0)
        pages_max, next_path = given.pop("pages_max", 0), given.pop("next_path", ())
        counted, share = given.pop("counted", False), given.pop("tolerated_share", 0.0)
        message = messages.add(dependencies=after, **given)
        if undo is not None:
            message.undo.CopyFrom(undo)
        if then is not None:
            _follow(message.follow, then, {"": -1, **index})
        match message.kind:
            case plan_pb2.NODE_KIND_MAP:
                message.map.concurrency = concurrency
                message.map.tolerated_failures = tolerated
                message.map.tolerated_share = share
                message.map.pages_max, message.map.counted = pages_max, counted
                message.map.next_path.extend(next_path)
                _fill(message.map.nodes, body)
            case plan_pb2.NODE_KIND_GROUP:
                message.group.race, message.group.single = race, single
                _fill(message.group.nodes, body)
            case plan_pb2.NODE_KIND_STATES:
                message.states.start, message.states.steps_max = 0, steps_max
                _fill(message.states.nodes, body)


def _follow(message: plan_pb2.Follow, then: Any, index: dict[str, int]) -> None:
    name, catches, message.chooses, message.keeps = then
    message.SetInParent()
    message.next = index[name] + 1
    for class_, place in catches.items():
        message.catches.add(classes=[class_], next=index[place] + 1)


def failed(class_: str = "ServerError", **fields: Any) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message="it broke", **fields)
    setattr(failure, "class", class_)
    return failure


def json(data: bytes) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=data)


class Run:
    """An execution driven by commands, with every event it produced."""

    def __init__(
        self, of: Plan, start: bytes = b"{}", *, link: link_pb2.Link | None = None
    ) -> None:
        self.state = State("exec-1", of)
        self.events: list[history.HistoryEvent] = []
        self.now = NOW
        self.last = Transition(self.state)
        self.do(Start(json(start), link=link))

    def steer(self, node_id: str, action: str, **fields: Any) -> bool:
        """Apply an action to a node."""
        return self.do(Steer(node_id, NodeAction.Value(f"NODE_ACTION_{action}"), **fields))

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
        """Gives bodies what they ask for, until none does or one goes round for ever."""
        most = SERVED_MAX
        while self.last.asks and most:
            asked, self.last.asks = self.last.asks, []
            for one in asked:
                if one.status != RUNNING:
                    continue
                if not most:
                    break
                most -= 1
                begun = one.map is not None and one.map.begun == one.map.total
                if one.planned.waits:
                    value = render_input(self.state, one)
                    names = render_names(self.state, one)
                    self.do(Rendered(one.id, one.attempt, value, names=names))
                elif (
                    one.machine is not None or one.planned.pages_max or (one.is_group and not begun)
                ):
                    self.do(Expand(one.id))
                elif one.planned.kind == plan_pb2.NODE_KIND_STATES:
                    self.do(Expand(one.id, value=render_input(self.state, one)))
                elif not begun:
                    self.do(self._expanded(one))
                else:
                    self.do(Collect(one.id, json(b"[]")))
                asked += self.last.asks

    def _expanded(self, one: NodeState) -> Expand:
        try:
            return Expand(one.id, render_items(self.state, one, inline), next_page(one, inline))
        except RenderError:
            return Expand(one.id, failure=failed("ValidationError"))

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
