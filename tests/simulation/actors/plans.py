"""The plans that a run may use: all shapes, drawn once."""

from __future__ import annotations

import hashlib
from functools import cache
from random import Random

from flowmesh.api.common.v1 import priority_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.plan import Plan, compile_plan
from tests.simulation.actors.handled import DURABLE_TYPE
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.servers.hosts import BUILTIN_TYPE

CATALOG_PLANS = 120
# Plans with nodes that start other plans, or continue as new.
LINKED_PLANS = 40
DURABLE_PLANS = 20
# Plans with a start policy.
STARTED_PLANS = 30
# Plans that wait for people; their names begin so.
TENDED_PLANS = 30
TENDED = "t"
ASKED = ("ann", "bob")
NODES_MAX = 6
QUEUES = ("default", "other")
SIGNAL = "go"
VARIABLE = "v"
POLICIES = (plan_pb2.FAILURE_POLICY_STOP, plan_pb2.FAILURE_POLICY_CANCEL)
ON_CANCEL = (
    plan_pb2.ON_CANCEL_CANCEL,
    plan_pb2.ON_CANCEL_CANCEL,
    plan_pb2.ON_CANCEL_TERMINATE,
    plan_pb2.ON_CANCEL_ABANDON,
)
UNDO_ATTEMPTS = 50
# The node of a machine that says whether to go round again; it stops after a few times.
AGAIN = "again"
WAITING = "waiting"
PAGE = "page"
# Plans of tasks that follow each other quickly, most of them repeatable.
CHAINS = 8
CHAIN = "chain"
CHAIN_NODES = 12


@cache
def catalog() -> dict[str, Plan]:
    """Plans of all shapes, by workflow id; the same in every run."""
    random = Random(7)
    plans = {f"w{number}": _plan(f"w{number}", random) for number in range(CATALOG_PLANS)}
    linked = (_linked_plan(f"l{number}", random) for number in range(LINKED_PLANS))
    durable = (_durable(f"d{number}", random) for number in range(DURABLE_PLANS))
    started = (_started(f"s{number}", random) for number in range(STARTED_PLANS))
    tended = (_tended(f"{TENDED}{number}", random) for number in range(TENDED_PLANS))
    return plans | {plan.workflow_id: plan for plan in (*linked, *durable, *started, *tended)}


def plan_of(workflow_id: str) -> Plan:
    return catalog().get(workflow_id) or chains()[workflow_id]


@cache
def chains() -> dict[str, Plan]:
    """Chains of tasks by workflow id; each task has the output of the one before as its input."""
    names = [f"r{number}" for number in range(CHAINS)]
    return {name: repeated(name, Random(f"chains/{name}")) for name in names}


def repeated(workflow_id: str, random: Random | None = None) -> Plan:
    """A chain whose tasks are all repeatable and of remote workers, unless drawn."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    for index in range(CHAIN_NODES):
        node = message.nodes.add(id=f"{CHAIN}{index}", critical=True)
        node.kind = plan_pb2.NODE_KIND_TASK
        node.spec = int(random is not None and random.random() < 0.5)
        node.repeatable = random is None or random.random() < 0.85
        node.retry.max_attempts, node.retry.initial_delay_ms = 3, 10
        if index:
            node.dependencies.append(index - 1)
            node.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
            node.input_template = f'"{{{{tasks.{CHAIN}{index - 1}.output.run}}}}"'.encode()
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _started(workflow_id: str, random: Random) -> Plan:
    """A task or two, and when they begin; a few keys, so that starts meet."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    _task(message.nodes.add(id="n0"), random)
    if random.random() < 0.3:
        _task(message.nodes.add(id="n1", dependencies=[0]), random)
    if random.random() < 0.15:
        message.nodes.add(
            id="n2",
            dependencies=[0],
            kind=plan_pb2.NODE_KIND_CONTINUE,
            input_template=b'{"n": 1}',
            edges=[plan_pb2.EdgeRule(dependency=0, on_failure=True)],
        )
    start = message.start
    if random.random() < 0.3:
        start.key_template = b'"{{input.n}}"'
    if random.random() < 0.8:
        start.concurrency = random.choice((1, 1, 2))
        conflicts = list(plan_pb2.StartConflict.values())
        start.on_conflict = random.choice(conflicts[: 3 if start.concurrency > 1 else 4])
    drawn = random.random()
    if drawn < 0.2:
        start.delay_ms = random.choice((20, 800))
    elif drawn < 0.4 and start.on_conflict in (0, plan_pb2.START_CONFLICT_REPLACE):
        start.debounce_ms, start.max_wait_ms = random.choice((50, 600)), random.choice((0, 900))
    elif drawn < 0.5 or not start.concurrency:
        start.dedup_window_ms = random.choice((100, 3_000))
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _durable(workflow_id: str, random: Random) -> Plan:
    """A durable handler, alone or for each item of a map."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    message.specs.add(task_type=DURABLE_TYPE, digest="durable")
    message.parallelism = random.choice((0, 0, 1))
    nodes = message.nodes
    if random.random() < 0.4:
        each = nodes.add(id="each", kind=plan_pb2.NODE_KIND_MAP, critical=True)
        each.input_template, each.map.concurrency = b"[1, 2]", 2
        nodes = each.map.nodes
    node = nodes.add(id="handled", kind=plan_pb2.NODE_KIND_TASK, spec=2, critical=True)
    node.retry.max_attempts = random.choice((1, 3))
    node.retry.initial_delay_ms = 20
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _tended(workflow_id: str, random: Random) -> Plan:
    """Work that is held when it fails, in a map that may be held too, and what people decide."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    message.parallelism = random.choice((0, 0, 2))
    _task(message.nodes.add(id="n0"), random)
    _approval(message.nodes.add(id="n1", dependencies=[0] * (random.random() < 0.5)), random)
    body = message.nodes.add(id="n2", dependencies=[0] * (random.random() < 0.3))
    random.choice((_map, _group, _machine))(body, random)
    if random.random() < 0.3 and body.map.nodes and not body.map.pages_max:
        _approval(body.map.nodes.add(id="asks", dependencies=[0]), random)
    _task(message.nodes.add(id="n3", dependencies=random.choice(([1], [2], [1, 2]))), random)
    inner = (*body.map.nodes, *body.group.nodes, *body.states.nodes)
    for node in (*message.nodes, *inner):
        # The map over a page has the outcome of the map by pages.
        if random.random() < 0.5 and not node.map.next_path:
            node.on_failure = plan_pb2.NODE_FAILURE_POLICY_HOLD
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _approval(node: plan_pb2.PlanNode, random: Random) -> None:
    """Two are asked, and a third if they take too long."""
    node.kind = plan_pb2.NODE_KIND_APPROVAL
    node.critical = True
    node.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    escalates = b', "escalateTo": ["cem"]' if random.random() < 0.5 else b""
    asked = ", ".join(f'"{name}"' for name in ASKED).encode()
    node.input_template = b'{"assignees": [%b]%b}' % (asked, escalates)
    node.approval.needed = random.choice((0, 1, 2))
    node.approval.deadline_ms = random.choice((0, 300, 2_000))
    node.approval.on_deadline = random.choice(list(plan_pb2.Deadline.values()))
    node.approval.goes_on_rejected = random.random() < 0.5


def _plan(workflow_id: str, random: Random) -> Plan:
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    if random.random() < 0.2:
        message.parallelism = random.randint(1, 2)
    if random.random() < 0.1:
        message.timeout_ms = random.choice((300, 2_000, 15_000))
    if random.random() < 0.3:
        message.on_failure = random.choice(POLICIES)
    message.compensation.parallel = random.random() < 0.5
    message.compensation.on_terminate = random.random() < 0.5
    for index in range(random.randint(1, NODES_MAX)):
        earlier = [n for n in range(index) if random.random() < 0.5][-2:]
        node = message.nodes.add(id=f"n{index}", dependencies=earlier, critical=True)
        drawn = random.random()
        if drawn < 0.15:
            node.kind = plan_pb2.NODE_KIND_TIMER
            node.delay_ms = random.choice((1, 30, 400, 1_500))
        elif drawn < 0.27:
            _map(node, random)
        elif drawn < 0.35:
            _group(node, random)
        elif drawn < 0.45:
            _machine(node, random)
        else:
            _task(node, random)
        if earlier and random.random() < 0.3:
            _branch(node, earlier, random)
    if random.random() < 0.2:
        message.output_template = b'{"from": "{{input.n}}"}'
    _tolerate(message, Random(f"tolerates/{workflow_id}"))
    _limit(message, Random(f"limits/{workflow_id}"))
    _vary(message, Random(f"variables/{workflow_id}"))
    _permit(message, Random(f"permissions/{workflow_id}"))
    _repeat(message, Random(f"repeats/{workflow_id}"))
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _tolerate(message: plan_pb2.Plan, random: Random) -> None:
    """Some maps over a list, or over pages, bear that items fail: so many, or a share of all."""
    for node in message.nodes:
        if node.kind == plan_pb2.NODE_KIND_MAP and random.random() < 0.5:
            items = node.map.nodes[1] if node.map.pages_max else node
            items.map.tolerated_failures = random.choice((0, 1))
            items.map.tolerated_share = random.choice((0.0, 0.3, 0.7))


def _vary(message: plan_pb2.Plan, random: Random) -> None:
    """Some tasks read a variable, which people change meanwhile."""
    if random.random() < 0.5:
        message.variables.add(name=VARIABLE, initial=b"0")
        for node in message.nodes:
            if node.kind == plan_pb2.NODE_KIND_TASK and not node.input_template:
                node.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
                node.input_template = b'{"v": "{{variables.%s}}"}' % VARIABLE.encode()


def _limit(message: plan_pb2.Plan, random: Random) -> None:
    """Some workflows and some of their tasks are limited, in all executions together or by key."""
    limited: list[plan_pb2.Plan | plan_pb2.PlanNode] = [message]
    limited += [node for node in message.nodes if random.random() < 0.2]
    for one in limited if random.random() < 0.4 else ():
        one.limits.concurrency = random.randint(1, 3)
        if random.random() < 0.3:
            one.limits.rate_per_second = random.choice((5.0, 50.0))
        if random.random() < 0.3:
            one.limits.key_template = b'"{{input.n}}"'


def _permit(message: plan_pb2.Plan, random: Random) -> None:
    """Some tasks of some workflows need a permission."""
    for node in message.nodes if random.random() < 0.2 else ():
        if node.kind == plan_pb2.NODE_KIND_TASK and random.random() < 0.4:
            node.permissions.append("pay")


def _repeat(message: plan_pb2.Plan, random: Random) -> None:
    """Some tasks may run again, also those of bodies."""
    for node in message.nodes:
        for each in (node, *node.map.nodes, *node.group.nodes, *node.states.nodes):
            each.repeatable = each.kind == plan_pb2.NODE_KIND_TASK and random.random() < 0.4


def _linked_plan(workflow_id: str, random: Random) -> Plan:
    """A task and two children, alone or in a race; sometimes the next run, if the task failed."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest="remote")
    message.specs.add(task_type=BUILTIN_TYPE, digest="builtin")
    if random.random() < 0.2:
        message.timeout_ms = random.choice((300, 2_000))
    _task(message.nodes.add(id="n0"), random)
    _child(message.nodes.add(id="n1", dependencies=[0] * (random.random() < 0.5)), random)
    last = message.nodes.add(id="n2", critical=random.random() < 0.8)
    if random.random() < 0.5:
        _child(last, random)
    else:
        last.kind = plan_pb2.NODE_KIND_GROUP
        last.group.race = random.random() < 0.7
        _child(last.group.nodes.add(id="left"), random)
        _task(last.group.nodes.add(id="right"), random)
    waits = message.nodes.add(id="n3", kind=plan_pb2.NODE_KIND_SIGNAL, signal=SIGNAL)
    waits.timeout_ms = random.choice((50, 700))
    if random.random() < 0.5:
        waits.input_template = b'"key"'
    if random.random() < 0.6:
        again = message.nodes.add(id="n4", dependencies=[0], kind=plan_pb2.NODE_KIND_CONTINUE)
        again.edges.add(dependency=0, on_failure=True)
        again.input_template = b'{"n": 1}'
    _join(message, Random(f"joins/{workflow_id}"))
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)


def _join(message: plan_pb2.Plan, random: Random) -> None:
    """Some children are of plans with a start policy, which others start too."""
    for node in message.nodes:
        if node.kind == plan_pb2.NODE_KIND_CHILD and random.random() < 0.4:
            node.child.names_template = b""
            node.child.workflow_id = f"s{random.randrange(STARTED_PLANS)}"
            if random.random() < 0.5:
                node.input_template = b'{"n": 1}'


def _child(node: plan_pb2.PlanNode, random: Random) -> None:
    """Most start a plan without children, some one of their own kind: these end at a depth."""
    node.kind = plan_pb2.NODE_KIND_CHILD
    node.critical = random.random() < 0.6
    node.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    node.input_template = b'"{{input}}"'
    own = random.random() < 0.15
    number = random.randrange(LINKED_PLANS if own else CATALOG_PLANS)
    if random.random() < 0.3:
        node.child.names_template = b'{"workflow": "%b%d"}' % (b"l" if own else b"w", number)
    else:
        node.child.workflow_id = f"{'l' if own else 'w'}{number}"
    node.child.detached = random.random() < 0.15
    node.child.on_cancel = random.choice(ON_CANCEL)
    if random.random() < 0.4:
        node.retry.max_attempts = 2
        node.retry.initial_delay_ms = 20
        node.retry.retry_on.append("ChildFailed")
    if random.random() < 0.2:
        node.timeout_ms = random.choice((200, 1_500))


def _task(node: plan_pb2.PlanNode, random: Random) -> None:
    node.kind = plan_pb2.NODE_KIND_TASK
    node.spec = int(random.random() < 0.4)
    node.critical = random.random() < 0.8
    node.queue = random.choice(QUEUES)
    if random.random() < 0.1:
        node.on_failure = plan_pb2.NODE_FAILURE_POLICY_CONTINUE
    elif random.random() < 0.1:
        node.on_failure = plan_pb2.NODE_FAILURE_POLICY_COMPENSATE
    if random.random() < 0.3:
        _undo(node)
    if random.random() < 0.1:
        node.start_timeout_ms = random.choice((30, 2_000))
    node.priority = random.choice((priority_pb2.PRIORITY_NORMAL, priority_pb2.PRIORITY_HIGH))
    if random.random() < 0.5:
        node.retry.max_attempts = random.randint(2, 3)
        node.retry.initial_delay_ms = random.choice((10, 200))
    if random.random() < 0.2:
        node.timeout_ms = random.choice((100, 1_500))
        node.retry.max_attempts = 3


def _undo(node: plan_pb2.PlanNode) -> None:
    """The undo task fails now and then, and is retried until it succeeds."""
    node.undo.id = f"{node.id}:undo"
    node.undo.kind = plan_pb2.NODE_KIND_TASK
    node.undo.spec = node.spec
    node.undo.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    node.undo.input_template = b'"{{undo.output}}"'
    node.undo.retry.max_attempts = UNDO_ATTEMPTS
    node.undo.retry.initial_delay_ms = 10


def _map(node: plan_pb2.PlanNode, random: Random) -> None:
    """Over a list, or over pages that a task brings."""
    node.kind = plan_pb2.NODE_KIND_MAP
    node.critical = random.random() < 0.8
    if random.random() < 0.4:
        node.map.pages_max, counted = random.choice((2, 9)), random.random() < 0.3
        node.map.counted = counted
        _task(node.map.nodes.add(id=PAGE), random)
        node = node.map.nodes.add(id="items", kind=node.kind, critical=True, dependencies=[0])
        node.map.next_path.append("next")
        node.map.counted = counted
    by_page = f'"{{{{tasks.{PAGE}.output.items}}}}"'.encode()
    node.input_template = by_page if node.map.next_path else b"[1, 2, 3]"
    node.map.concurrency = random.randint(1, 3)
    _task(node.map.nodes.add(id="first"), random)
    if random.random() < 0.5:
        _task(node.map.nodes.add(id="then", dependencies=[0]), random)


def _group(node: plan_pb2.PlanNode, random: Random) -> None:
    """Two tasks side by side, or a race with a timer or a signal as one of the runners."""
    node.kind = plan_pb2.NODE_KIND_GROUP
    node.critical = random.random() < 0.8
    node.group.race = random.random() < 0.6
    _task(node.group.nodes.add(id="left"), random)
    if not node.group.race:
        _task(node.group.nodes.add(id="right"), random)
        return
    timer = node.group.nodes.add(id="timer", kind=plan_pb2.NODE_KIND_TIMER, critical=True)
    timer.delay_ms = random.choice((30, 400))
    waiting = node.group.nodes.add(id=WAITING, kind=plan_pb2.NODE_KIND_SIGNAL, critical=True)
    waiting.signal = SIGNAL


def _machine(node: plan_pb2.PlanNode, random: Random) -> None:
    """Work that goes round a few times, a handler of what fails in it, and a pause at the end."""
    node.kind = plan_pb2.NODE_KIND_STATES
    node.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    node.input_template = b"0"
    node.critical = random.random() < 0.8
    for name in ("work", AGAIN, "handle"):
        _task(node.states.nodes.add(id=name), random)
    work, again, handle = node.states.nodes
    work.follow.next = 2
    work.follow.catches.add(classes=["*"], next=3)
    again.follow.chooses = True
    again.critical = True
    handle.follow.next = 4
    pause = node.states.nodes.add(id="pause", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=20)
    pause.follow.keeps = True


def _branch(node: plan_pb2.PlanNode, earlier: list[int], random: Random) -> None:
    """Edges that are taken by some outcomes only, and a join."""
    node.join = random.choice((plan_pb2.JOIN_UNSPECIFIED, plan_pb2.JOIN_ALL, plan_pb2.JOIN_ANY))
    place = random.randrange(len(earlier))
    if node.join and random.random() < 0.5:
        node.join_count = random.randint(1, len(earlier))
        node.join_required.extend(random.sample(range(len(earlier)), random.randint(0, 1)))
    if random.random() < 0.5:
        node.edges.add(dependency=place, on_failure=True)
    else:
        node.edges.add(dependency=place, label=f"n{earlier[place]}")


def chain(workflow_id: str, *nodes: str, task_type: str = REMOTE_TYPE) -> Plan:
    """A plan whose tasks follow one another."""
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=task_type, digest=task_type)
    for index, node in enumerate(nodes):
        message.nodes.add(
            id=node,
            kind=plan_pb2.NODE_KIND_TASK,
            dependencies=range(max(0, index - 1), index),
            critical=True,
        )
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return compile_plan(message)
