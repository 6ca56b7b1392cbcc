"""Plans and schedules drawn from a seed: nodes of all kinds, and actions on them."""

import contextlib
import random
from typing import Any

from flowmesh.api.common.v1 import priority_pb2, search_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Begin,
    Breakpoints,
    ChildBegan,
    ChildDone,
    Debounce,
    Decide,
    DeliveryLost,
    Ended,
    Join,
    NodeMissing,
    NodeUnfit,
    Pause,
    Record,
    Resume,
    SetAttributes,
    SetVariable,
    Signal,
    Start,
    Suspend,
    TaskRuns,
    TimersDue,
    Unfit,
)
from flowmesh.engine.state.journal import CALL, SIGNAL, SLEEP, STEP
from flowmesh.engine.state.state import FAILED
from flowmesh.plan import Plan
from tests.unit.engine import factories
from tests.unit.engine.factories import (
    Run,
    each,
    edge,
    group,
    json,
    machine,
    node,
    paged,
    plan,
    undo,
)
from tests.unit.engine.factories import state as state_of

RETRY = {"max_attempts": 3, "initial_delay_ms": 10, "multiplier": 2}
CLASSES = ["ServerError", "ClientError"]
OUTPUTS = [b"null", b"false", b'{"a":1}', b'"yes"', b'["no","yes"]', b'{"next":""}',
           b'{"items":[1,2],"next":7}', b'{"items":[1,2,3]}']  # fmt: skip
STEPS_MAX = 40
DEPTH = 2
NOT_OF_STATES = ("after", "join", "join_count", "join_required", "edges")
ACTIONS = ["RETRY", "SKIP", "COMPLETE", "OVERRIDE", "CONTINUE", "FAIL"]


def random_plan(rng: random.Random) -> Plan:
    """Up to twelve nodes of all kinds, maps below maps among them."""
    compensation = plan_pb2.Compensation(
        parallel=rng.random() < 0.5, on_terminate=rng.random() < 0.5
    )
    return plan(
        *random_nodes(rng, "n", 12, DEPTH),
        parallelism=rng.choice([0, 0, 1, 2]),
        on_failure=rng.choice([0, 0, 1, 2]),
        compensation=compensation,
        variables=rng.choice([(), (plan_pb2.Variable(name="v", initial=b"1"),)]),
        start=random_policy(rng),
    )


def random_policy(rng: random.Random) -> plan_pb2.StartPolicy | None:
    """Delay, debounce or queue some starts; most begin at once."""
    if rng.random() < 0.7:
        return None
    times: dict[str, Any] = {rng.choice(["delay_ms", "debounce_ms"]): rng.choice([0, 10])}
    return plan_pb2.StartPolicy(concurrency=rng.randint(0, 2), **times)


def random_nodes(rng: random.Random, name: str, most: int, depth: int) -> list[dict[str, Any]]:
    """Each after some earlier ones."""
    nodes: list[dict[str, Any]] = []
    for number in range(rng.randint(1, most)):
        earlier = [f"{name}{i}" for i in range(number)]
        after = tuple(rng.sample(earlier, rng.randint(0, min(3, number))))
        nodes.append(random_node(rng, f"{name}{number}", after, depth))
    return nodes


def random_node(
    rng: random.Random, name: str, after: tuple[str, ...], depth: int
) -> dict[str, Any]:
    """One of any kind, with nodes below it as long as there is some depth left."""
    drawn = rng.random()
    if depth and drawn < 0.1:
        return random_pages(rng, name, after, depth)
    if depth and drawn < 0.37:
        how: dict[str, Any] = {
            "after": after,
            "critical": rng.random() < 0.8,
            "on_failure": random_hold(rng),
        }
        below = random_nodes(rng, f"{name}_", 3, depth - 1)
        if drawn < 0.19:
            return group(name, *below, race=rng.random() < 0.5, **how)
        if drawn < 0.28:
            return machine(name, 7, *(as_state(rng, one, below) for one in below), **how)
        items = list(range(rng.randint(0, 4)))
        how |= {"concurrency": rng.randint(1, 3), "tolerated": rng.randint(0, 2)}
        return each(name, items, *below, **how)
    if drawn > 0.92:
        return random_approval(rng, name, after)
    return random_leaf(rng, name, after, outermost=depth == DEPTH)


def random_leaf(
    rng: random.Random, name: str, after: tuple[str, ...], *, outermost: bool
) -> dict[str, Any]:
    """A node that has none below it."""
    kind = rng.choice([1, 1, 1, 1, 2, 3, 7])
    fields: dict[str, Any] = {"kind": kind, "critical": rng.random() < 0.8}
    fields["gate"] = rng.random() < 0.2
    if kind == plan_pb2.NODE_KIND_SIGNAL:
        fields |= random_signal(rng)
    elif rng.random() < 0.15:
        kind = fields["kind"] = plan_pb2.NODE_KIND_CHILD
        detached = rng.random() < 0.2
        fields["child"] = plan_pb2.ChildCall(workflow_id="c", detached=detached)
        fields["child"].on_cancel = plan_pb2.ON_CANCEL_CANCEL
        if rng.random() < 0.3:
            fields["child"].names_template = b'{"workflow": "{{execution.id}}"}'
        fields["timeout_ms"] = rng.choice([0, 0, 20])
        fields["input_template"] = b'"{{input}}"'
    elif outermost and rng.random() < 0.05:
        kind = fields["kind"] = plan_pb2.NODE_KIND_CONTINUE
    if after and rng.random() < 0.3:
        fields["join"] = rng.choice([plan_pb2.JOIN_ALL, plan_pb2.JOIN_ANY])
        fields["join_count"] = rng.randint(0, len(after))
        fields["join_required"] = rng.sample(range(len(after)), rng.randint(0, 1))
    if after and rng.random() < 0.3:
        place = rng.randrange(len(after))
        fields["edges"] = [rng.choice([edge(place, "yes"), edge(place, on_failure=True)])]
    if kind == plan_pb2.NODE_KIND_TIMER:
        fields["delay_ms"] = rng.randint(1, 20)
    if rng.random() < 0.6:
        fields["retry"] = RETRY
    fields["on_failure"] = rng.choice([0, 0, 0, 0, 1, 2, 3])
    if kind == plan_pb2.NODE_KIND_TASK:
        fields |= random_task(rng, name)
    if rng.random() < 0.3:
        fields["queue"] = rng.choice(["slow", "fast"])
    return node(name, *after, **fields)


def random_hold(rng: random.Random) -> int:
    """Some nodes are held after a failure."""
    return plan_pb2.NODE_FAILURE_POLICY_HOLD if rng.random() < 0.3 else 0


def random_approval(rng: random.Random, name: str, after: tuple[str, ...]) -> dict[str, Any]:
    """Ann and Bob are asked; the deadline escalates to another person or to none."""
    escalates = ', "escalateTo": ["cem"]' if rng.random() < 0.5 else ""
    return node(
        name,
        *after,
        kind=plan_pb2.NODE_KIND_APPROVAL,
        input_mode=plan_pb2.INPUT_MODE_TEMPLATE,
        input_template=f'{{"assignees": ["ann", "bob"]{escalates}}}'.encode(),
        approval=plan_pb2.Approval(
            needed=rng.randint(0, 2),
            deadline_ms=rng.choice([0, 10]),
            on_deadline=rng.choice(list(plan_pb2.Deadline.values())),
            goes_on_rejected=rng.random() < 0.5,
        ),
        on_failure=random_hold(rng),
    )


def random_signal(rng: random.Random) -> dict[str, Any]:
    """A wait, with a limit or a key or without."""
    fields: dict[str, Any] = {"signal": "s"}
    if rng.random() < 0.3:
        fields["timeout_ms"] = rng.randint(1, 20)
        fields["on_timeout"] = rng.choice([b"", b"1"])
    if rng.random() < 0.3:
        fields["input_template"] = b'"k"'
    return fields


def random_task(rng: random.Random, name: str) -> dict[str, Any]:
    """Draw the options of tasks only."""
    fields: dict[str, Any] = {}
    if rng.random() < 0.4:
        fields["priority"] = rng.choice(priority_pb2.Priority.values())
    if rng.random() < 0.3:
        fields["undo"] = undo(name, retry=rng.choice([None, RETRY]))
    if rng.random() < 0.1:
        fields["total_timeout_ms"] = rng.randint(1, 60)
    if rng.random() < 0.2:
        fields["start_timeout_ms"] = rng.randint(1, 60)
    return fields


def random_pages(
    rng: random.Random, name: str, after: tuple[str, ...], depth: int
) -> dict[str, Any]:
    """A map by pages."""
    below = random_nodes(rng, f"{name}_", 2, depth - 1)
    how: dict[str, Any] = {"counted": rng.random() < 0.3, "tolerated": rng.randint(0, 2)}
    how |= {"pages_max": rng.choice([2, 9]), "concurrency": rng.randint(1, 3)}
    how["tolerated_share"] = rng.choice([0.0, 0.5])
    return paged(name, *below, after=after, **how)


def as_state(
    rng: random.Random, one: dict[str, Any], among: list[dict[str, Any]]
) -> dict[str, Any]:
    """A node of a machine: what follows it is any of them, or the end."""
    given = {key: value for key, value in one.items() if key not in NOT_OF_STATES}
    then, caught = (rng.choice(["", "", *(each["id"] for each in among)]) for _ in range(2))
    catches = {rng.choice(["*", "ClientError"]): caught} if rng.random() < 0.5 else {}
    how = {"chooses": rng.random() < 0.2, "keeps": rng.random() < 0.2}
    return state_of(given.pop("id"), then, catches, **how, **given)


def step(run: Run, rng: random.Random) -> None:
    """One random command: results right, wrong and late, lost workers, time, signals."""
    state = run.state
    node_id = rng.choice(list(state.at_workers) or [state.plan.nodes[0].id])
    known = state.node(node_id)
    attempt = known.attempt if known is not None and rng.random() < 0.9 else rng.randint(1, 4)
    asked = [*state.awaiting.get("", ())]
    if state.hold is not None and rng.random() < 0.5:
        begun(run, rng)
        return
    match rng.randint(0, 19):
        case 15 | 16 if asked:
            _child_says(run, rng, rng.choice(asked))
        case 0 | 1 | 2 | 3:
            run.complete(node_id, rng.choice(OUTPUTS), attempt)
        case 4 | 5:
            run.fail(node_id, rng.choice(CLASSES), attempt)
        case 6:
            run.do(TaskRuns(node_id, attempt, "w", run.now))
        case 7:
            run.do(DeliveryLost(node_id, attempt))
        case 8:
            run.do(TimersDue(), after_us=rng.randint(0, 30_000))
        case 10 if not state.ended and not state.paused and not state.compensating:
            run.do(Pause())
        case 12 if not state.ended and rng.random() < 0.2:
            run.do(Join(rng.choice(["exec-2", "exec-3"]), "pay", 1))
        case 12 if not state.ended:
            steered(run, rng)
        case 16 if state.asking and not state.ended:
            decided(run, rng)
        case 14 if not state.ended:
            value = search_pb2.SearchValue(name=f"attr.{rng.choice('ab')}", number=rng.random())
            removed = ("attr.a",) if rng.random() < 0.2 else ()
            run.do(SetAttributes((value,), removed, rng.choice(["", "s1", "s2"])))
        case 13 if not state.ended:
            some = frozenset(one.id for one in state.plan.nodes if rng.random() < 0.3)
            run.do(Breakpoints(rng.random() < 0.2, some))
        case 10 | 11 if state.paused:
            run.do(Resume())
        case 9 if not state.ended:
            name = rng.choice(["s", "s k"])
            run.do(Signal(name, json(b"1"), request_id=rng.choice(["", "r1", "r2"])))
        case 19 if not state.ended and state.plan.variables:
            changed = json(b"%d" % rng.randint(2, 9))
            run.do(SetVariable("v", changed, request_id=rng.choice(["", "v1", "v2"])))
        case 17 | 18:
            ask(run, rng, node_id, attempt)


def decided(run: Run, rng: random.Random) -> None:
    """One of those asked says yes or no, perhaps again or about what was asked before."""
    asking = rng.choice(list(run.state.asking.values()))
    asked_at_us = rng.choice([0, 0, asking.scheduled_at_us, 1])
    with contextlib.suppress(NodeUnfit, Unfit):
        run.do(
            Decide(
                asking.id,
                rng.choice(["ann", "bob", "cem"]),
                rng.random() < 0.7,
                request_id=rng.choice(["", "a1", "a2"]),
                asked_at_us=asked_at_us,
            )
        )


def begun(run: Run, rng: random.Random) -> None:
    """One that waits has its time or its turn, or another start comes."""
    match rng.randint(0, 3):
        case 0:
            run.do(TimersDue(), after_us=rng.randint(0, 30_000))
        case 1:
            run.do(Debounce(Start(json(b'{"later":1}'), rng.choice(["", "d1", "d2"]))))
        case _:
            run.do(Begin())


def _child_says(run: Run, rng: random.Random, node_id: str) -> None:
    """A child has started, cannot, or has ended; in any order and more than once."""
    attempt = run.state.node(node_id).attempt  # type: ignore[union-attr]
    refused = factories.failed(rng.choice(CLASSES)) if rng.random() < 0.2 else None
    match rng.randint(0, 2):
        case 0:
            joined = rng.random() < 0.3
            run.do(ChildBegan(node_id, attempt, "exec-c", 1, refused, joined=joined))
        case 1:
            done = execution_pb2.EXECUTION_STATUS_COMPLETED
            run.do(ChildDone(node_id, attempt, "exec-c", done, output=json(b"1")))
        case 2:
            failed = execution_pb2.EXECUTION_STATUS_FAILED
            run.do(ChildDone(node_id, attempt, "exec-c", failed, failure=factories.failed()))


def ask(run: Run, rng: random.Random, node_id: str, attempt: int) -> None:
    """A durable handler asks for something, wants something no more, or leaves its worker."""
    known = run.state.node(node_id)
    journal = known.journal if known is not None else None
    records = journal.records if journal is not None else []
    opened = list(journal.open.values()) if journal is not None else []
    index = len({each.index for each in records})
    new = [
        JournalRecord(index=index, kind=STEP, name="step", output=json(b"1")),
        JournalRecord(index=index, kind=SLEEP, delay_ms=rng.randint(1, 30)),
        JournalRecord(index=index, kind=SIGNAL, name="s", delay_ms=rng.choice([0, 10])),
        JournalRecord(index=index, kind=CALL, name="work"),
    ]
    if opened:
        given = rng.choice(opened)
        canceled = JournalRecord(index=given.index, kind=given.kind, name=given.name, canceled=True)
        new.append(canceled)
    command = Suspend if rng.random() < 0.4 else Record
    seen = rng.choice([len(records), len(records), max(0, len(records) - 1)])
    run.do(command(node_id, attempt, [rng.choice(new)], known=seen, began_at_us=run.now))


def steered(run: Run, rng: random.Random) -> None:
    """Apply any action to any node; a rejected action changes nothing."""
    state = run.state
    known = [one.id for scope in state.all_scopes() for one in scope.nodes.values()]
    listed = [*known, *state.stopped, *state.on_hold, *(one.id for one in state.plan.nodes)]
    before = state.sequence
    given = json(b"7") if rng.random() < 0.5 else None
    try:
        run.steer(rng.choice(listed), rng.choice(ACTIONS), input=given, output=given)
    except (NodeUnfit, NodeMissing, Unfit):
        assert state.sequence == before


def people(run: Run, rng: random.Random) -> None:
    """One of the awaited parties acts."""
    state = run.state
    if not state.ended and (state.breakpoints or state.stops_everywhere):
        run.do(Breakpoints())
    for asking in list(state.asking):
        for by in ("ann", "bob", "cem"):
            with contextlib.suppress(NodeUnfit, Unfit, Ended):
                run.do(Decide(asking, by, rng.random() < 0.8))
    for node_id in (*state.on_hold, *(f"{one.id}:undo" for one in state.undo)):
        known = None if state.ended else state.node(node_id)
        if known is not None and (node_id in state.on_hold or known.status == FAILED):
            actions = ["RETRY", "SKIP", "COMPLETE"] + ["FAIL"] * (node_id in state.on_hold)
            with contextlib.suppress(NodeUnfit):
                run.steer(node_id, rng.choice(actions))
