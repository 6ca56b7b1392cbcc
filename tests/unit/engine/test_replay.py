"""Replaying a history gives the state that live execution had, whatever the schedule."""

import contextlib
import inspect
import random
from collections import Counter
from typing import Any

import pytest

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Begin,
    Breakpoints,
    Cancel,
    ChildBegan,
    ChildDone,
    Debounce,
    DeliveryLost,
    Erase,
    Join,
    NodeMissing,
    NodeUnfit,
    Pause,
    Record,
    Resume,
    Scope,
    SetAttributes,
    SetVariable,
    Signal,
    Start,
    State,
    Suspend,
    TaskRuns,
    TimersDue,
    Unfit,
    progress,
    replay,
    restore_held,
)
from flowmesh.engine.journal import CALL, SIGNAL, SLEEP, STEP
from flowmesh.engine.state import FAILED
from flowmesh.orchestrator.erasing import without_values
from flowmesh.orchestrator.snapshots import restore, snapshot
from flowmesh.plan import Plan
from tests.draws import draws
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
NOT_OF_STATES = ("after", "join", "join_count", "join_required", "edges")
ACTIONS = ["RETRY", "SKIP", "COMPLETE", "OVERRIDE", "CONTINUE", "FAIL"]


def random_plan(rng: random.Random) -> Plan:
    """Up to twelve nodes of all kinds, maps below maps among them."""
    compensation = plan_pb2.Compensation(
        parallel=rng.random() < 0.5, on_terminate=rng.random() < 0.5
    )
    return plan(
        *random_nodes(rng, "n", 12, 2),
        parallelism=rng.choice([0, 0, 1, 2]),
        on_failure=rng.choice([0, 0, 1, 2]),
        compensation=compensation,
        variables=rng.choice([(), (plan_pb2.Variable(name="v", initial=b"1"),)]),
        start=random_policy(rng),
    )


def random_policy(rng: random.Random) -> plan_pb2.StartPolicy | None:
    """Begins later, when it is quiet, in its turn, or at once; most do at once."""
    if rng.random() < 0.7:
        return None
    times = {rng.choice(["delay_ms", "debounce_ms"]): rng.choice([0, 10])}
    return plan_pb2.StartPolicy(concurrency=rng.randint(0, 2), **times)


def random_nodes(rng: random.Random, name: str, most: int, depth: int) -> list[dict[str, Any]]:
    """Each after some earlier ones."""
    nodes: list[dict[str, Any]] = []
    for number in range(rng.randint(1, most)):
        earlier = [f"{name}{i}" for i in range(number)]
        after = tuple(rng.sample(earlier, rng.randint(0, min(3, number))))
        if depth and rng.random() < 0.2:
            below = random_nodes(rng, f"{name}{number}_", 3, depth - 1)
            critical = rng.random() < 0.8
            if rng.random() < 0.5:
                race = rng.random() < 0.5
                made = group(f"{name}{number}", *below, after=after, race=race, critical=critical)
            else:
                below = [as_state(rng, one, below) for one in below]
                made = machine(f"{name}{number}", 7, *below, after=after, critical=critical)
            nodes.append(made)
            continue
        if depth and rng.random() < 0.1:
            nodes.append(random_pages(rng, f"{name}{number}", after, depth))
            continue
        if depth and rng.random() < 0.15:
            items = list(range(rng.randint(0, 4)))
            body = random_nodes(rng, f"{name}{number}_", 3, depth - 1)
            nodes.append(
                each(
                    f"{name}{number}",
                    items,
                    *body,
                    after=after,
                    concurrency=rng.randint(1, 3),
                    tolerated=rng.randint(0, 2),
                    critical=rng.random() < 0.8,
                )
            )
            continue
        kind = rng.choice([1, 1, 1, 1, 2, 3, 7])
        fields: dict[str, Any] = {"kind": kind, "critical": rng.random() < 0.8}
        fields["gate"] = rng.random() < 0.2
        if kind == plan_pb2.NODE_KIND_SIGNAL:
            fields |= random_signal(rng)
        elif rng.random() < 0.15:
            kind = fields["kind"] = plan_pb2.NODE_KIND_CHILD
            detached = rng.random() < 0.2
            fields["child"] = plan_pb2.ChildCall(workflow_id="c", detached=detached, on_cancel=1)
            if rng.random() < 0.3:
                fields["child"].names_template = b'{"workflow": "{{execution.id}}"}'
            fields["timeout_ms"] = rng.choice([0, 0, 20])
            fields["input_template"] = b'"{{input}}"'
        elif name == "n" and rng.random() < 0.05:
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
            fields |= random_task(rng, f"{name}{number}")
        if rng.random() < 0.3:
            fields["queue"] = rng.choice(["slow", "fast"])
        nodes.append(node(f"{name}{number}", *after, **fields))
    return nodes


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
    """What only a task may have."""
    fields: dict[str, Any] = {}
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
            value = json(b"%d" % rng.randint(2, 9))
            run.do(SetVariable("v", value, request_id=rng.choice(["", "v1", "v2"])))
        case 17 | 18:
            ask(run, rng, node_id, attempt)


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
    """Somebody does anything to any node; what is refused changes nothing."""
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
    """Whoever is waited for does something."""
    state = run.state
    if not state.ended and (state.breakpoints or state.stops_everywhere):
        run.do(Breakpoints())
    for node_id in (*state.on_hold, *(f"{one.id}:undo" for one in state.undo)):
        known = None if state.ended else state.node(node_id)
        if known is not None and (node_id in state.on_hold or known.status == FAILED):
            actions = ["RETRY", "SKIP", "COMPLETE"] + ["FAIL"] * (node_id in state.on_hold)
            with contextlib.suppress(NodeUnfit):
                run.steer(node_id, rng.choice(actions))


def facts(state: State) -> object:
    """Everything about a state that decisions depend on.

    When a map asks again, or whether it is held instead, is nobody's business but its own; what it
    asks with is fetched again. Nor is what waits while nothing begins because a node has failed.
    """
    nodes = [one for scope in state.all_scopes() for one in scope.nodes.values()]
    maps = {
        one.id
        for one in nodes
        if one.planned.body is not None or (one.planned.waits and not one.due_at_us)
    }
    timers = {name: due for name, due in state.timers.items() if name not in maps}
    return (
        state.status, state.sequence, facts_of(state.scope), state.running_count,
        sorted(state.at_workers), sorted(state.open_lanes.items()),
        sorted(name for name in state.held if name not in maps and not state.stopping),
        sorted((name, sorted(nodes)) for name, nodes in state.awaiting.items()),
        state.signals_taken, state.link,
        {} if state.ended else timers, state.requests, sorted(state.scopes),
        [one.SerializeToString() for one in state.signals], state.signals_bytes,
        sorted(state.on_hold), sorted(state.stopped), sorted(state.passed), state.edits,
        state.breakpoints, state.stops_everywhere, state.compensation, state.closing,
        [one.id for one in state.undo], dict(state.search), state.erasure, state.input,
        state.output, state.failure, state.variables, state.variables_set,
        state.hold, state.begun_at_us, state.joined_by,
        sorted(name for name, one in state.scopes.items() if one.kept),
    )  # fmt: skip


def not_once(run: Run) -> list[tuple[str, int]]:
    """Attempts that were begun twice: what is told of the one would be taken for the other's."""
    begun = [one.task_scheduled for one in run.events if one.HasField("task_scheduled")]
    planned = ((one, run.state.plan.at(one.node)) for one in begun)
    named = Counter((one.node, one.attempt) for one, of in planned if of.is_task or of.waits)
    return [name for name, times in named.items() if times > 1]


def kept_by(kind: type) -> list[str]:
    """The attributes of its instances, whether it is compiled or not."""
    return [name for name, kept in vars(kind).items() if inspect.isdatadescriptor(kept)]


def facts_of(scope: Scope) -> object:
    nodes = []
    for _, one in sorted(scope.nodes.items()):
        values = {name: getattr(one, name) for name in kept_by(type(one))}
        values |= {"planned": one.planned.id, "scope": one.scope.prefix}
        values |= {"scopes": None, "inner": None}
        if one.child is not None:
            values["child"] = {name: getattr(one.child, name) for name in kept_by(type(one.child))}
        if one.machine is not None:
            kept = {name: getattr(one.machine, name) for name in kept_by(type(one.machine))}
            open_scopes = {item: facts_of(body) for item, body in one.machine.scopes.items()}
            values["machine"] = kept | {"scopes": open_scopes}
        if one.map is not None:
            kept = {name: getattr(one.map, name) for name in kept_by(type(one.map))}
            open_scopes = {item: facts_of(body) for item, body in sorted(one.map.scopes.items())}
            values["map"] = kept | {"items": None, "scopes": open_scopes}
        if one.journal is not None:
            kept = {name: getattr(one.journal, name) for name in kept_by(type(one.journal))}
            calls = {item: facts_of(body) for item, body in sorted(one.journal.scopes.items())}
            values["journal"] = kept | {"scopes": calls}
        nodes.append(values)
    failed = scope.failed.id if scope.failed is not None else ""
    return nodes, scope.waiting, scope.open_count, scope.tried, failed


def history_of(seed: int) -> Run:
    """An execution in which much has happened that the seed draws."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    run.serve()
    for _ in range(STEPS_MAX):
        step(run, rng)
        run.serve()
    return run


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that goes round without work asks early whether to go on."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 5)
    monkeypatch.setattr(factories, "SERVED_MAX", 20)


@pytest.mark.parametrize("seed", range(draws(1_000)))
def test_replay_equals_live(seed: int) -> None:
    """State, snapshot and history agree after any schedule, and every execution comes to an end."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(400):
        if run.state.ended:
            break
        if rng.random() < 0.5:
            run.serve()
        else:
            step(run, rng)
        if rng.random() < 0.02 and not run.state.ended and not run.state.compensating:
            run.do(Cancel("by chance"))
    for number in range(STEPS_MAX):
        if run.state.ended:
            break
        if run.state.paused:
            run.do(Resume())
        people(run, rng)
        run.do(TimersDue(), after_us=2_000_000)
        run.serve()
        for one in list(run.state.at_workers.values()):
            # A machine may go round for ever.
            run.complete(one.id, rng.choice(OUTPUTS), attempt=one.attempt)
        if run.state.awaiting and not run.state.ended:
            run.do(Signal("s", json(b"1")))
        if number == STEPS_MAX // 2 and not run.state.ended and not run.state.compensating:
            run.do(Cancel("it goes round"))
    assert run.state.ended

    assert facts(run.replayed()) == facts(run.state)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    assert facts(restored) == facts(run.state)
    assert [event.sequence for event in run.events] == list(range(1, len(run.events) + 1))
    assert not_once(run) == []

    run.do(Erase("asked for", "e1"))
    run.do(Erase("again", "e2"))
    assert facts(run.replayed()) == facts(run.state)
    bare = replay("exec-1", run.state.plan, map(without_values, run.events))
    assert facts(bare) == facts(run.state)


@pytest.mark.parametrize("seed", range(draws(1_000)))
def test_a_snapshot_in_the_middle_continues_alike(seed: int) -> None:
    """An execution restored half-way decides the same as the one that was never away."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))  # type: ignore[arg-type]
    for _ in range(rng.randint(0, 15)):
        if not run.state.ended:
            step(run, rng)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    restore_held(restored)
    assert facts(restored) == facts(run.state)
