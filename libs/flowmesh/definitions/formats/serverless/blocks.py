"""Tasks of Serverless Workflow with tasks in them: do, for, fork, try, and calls of functions."""

from collections.abc import Callable
from dataclasses import replace

from flowmesh.definitions.formats.machines import Machine, everything
from flowmesh.definitions.formats.serverless.layout import BEFORE, Around, At
from flowmesh.definitions.formats.serverless.values import Made, duration_of, unsupported
from flowmesh.definitions.limits import RETRY_ATTEMPTS_MAX
from flowmesh.definitions.model import Follow, GroupBody, Json, Node, Retry, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.jq_values import is_variable

# Lays the inside of a block out in a machine; given what follows, it answers its first node.
Inside = Callable[[Machine, Around], str]
BACKOFFS = ("constant", "exponential", "linear")
ERROR_MEMBERS = ("type", "status", "instance", "title", "detail", "details")


def block(at: At, inside: Inside, *, opens: bool = False, begins: Made | None = None) -> None:
    """A block of tasks; one that is opened has a frame, which its end closes."""
    around = at.around
    if at.limit_ms:
        whole = inside

        def inside(machine: Machine, around: Around) -> str:
            return _raced(at, whole, machine, around)

    if not opens and not at.shape:
        first = inside(at.machine, replace(around, after=at.after))
        at.machine.step(at.entry, first, at.path, at.name)
        return
    leave = at.new("end")
    first = inside(at.machine, replace(around, after=leave, depth=around.depth + 1))
    before = {key: value for key, value in at.shape.items() if key in BEFORE}
    behind = {key: value for key, value in at.shape.items() if key not in BEFORE}
    at.node(at.entry, {"op": "enter", **before, **(begins or {})}, first)
    at.node(leave, {"op": "leave", **behind}, at.after)


def _raced(at: At, inside: Inside, machine: Machine, around: Around) -> str:
    """The inside of a block against the clock: whichever is first ends the other.

    A failure would not end the race, so it is held back until the race is over.
    """
    timer, late, held, both, check = (
        at.new(what) for what in ("timer", "late", "held", "limit", "timely")
    )
    within, clock = machine.inner((*at.path, "within")), machine.inner((*at.path, "timeout"))
    alone = replace(around, after="", end="", catch=held, ends=False)
    start = inside(within, alone)
    at.node(held, {"op": "held"}, machine=within, given={"error": "{{error}}"}, catch="")
    clock.timer(timer, at.limit_ms, late, at.path)
    at.node(late, {"op": "late"}, machine=clock, catch="")
    racers = (
        within.as_node(at.new("within"), start, name=at.name),
        clock.as_node(at.new("clock"), timer),
    )
    group = GroupBody(racers, at.path, race=True)
    machine.body(both, group, Follow(check, everything(around.catch)), at.path)
    config = {"op": "timely", "timeout_ms": at.limit_ms}
    at.node(check, config, around.after, machine=machine, catch=around.catch)
    return both


def lay_do(at: At) -> None:
    def inside(machine: Machine, around: Around) -> str:
        return at.compiler.tasks(machine, at.reader.raw("do"), (*at.path, "do"), around)

    block(at, inside)


def lay_for(at: At) -> None:
    """A loop: one node for the next item, then the tasks, and back."""
    loop = at.reader.object("for")
    each, position = loop.text("each") or "item", loop.text("at") or "index"
    for key, name in (("each", each), ("at", position)):
        if not is_variable(name):
            loop.wrong(key, "the name of a variable")
            return
    source = loop.required_text("in", "an expression that gives the list of items")
    loop.refuse_unknown()
    if not source:
        return
    items = at.expressions.expression(source, (*loop.path, "in"), at.names)
    inside_names = at.names | {each, position}
    config: Made = {"op": "loop", "each": each, "position": position}
    if condition := at.reader.text("while", most=1 << 16):
        path = (*at.path, "while")
        config["while"] = at.expressions.expression(condition, path, inside_names)

    def inside(machine: Machine, around: Around) -> str:
        head, route = at.new("next"), at.new("item")
        within = replace(around, after=head, names=around.names | {each, position})
        body = at.compiler.tasks(machine, at.reader.raw("do"), (*at.path, "do"), within)
        targets = {"body": body, "after": around.after}
        at.node(head, {**config, **targets}, route, machine=machine, catch=around.catch)
        machine.route(route, targets.values(), at.path)
        return head

    block(at, inside, opens=True, begins={"items": items})


def lay_fork(at: At) -> None:
    fork = at.reader.object("fork")
    branches, compete = fork.items("branches"), fork.flag("compete", False)
    if not branches:
        message = "a fork needs at least one branch"
        at.problems.add("GRAPH_EMPTY", message, (*fork.path, "branches"))
    fork.refuse_unknown()

    def inside(machine: Machine, around: Around) -> str:
        alone = replace(around, after="", end="", catch="", ends=False)
        nodes = [_branch(at, machine, alone, index) for index in range(len(branches))]
        both, join = at.new("branches"), at.new("join")
        if compete:
            group, following = GroupBody(tuple(nodes), fork.path, race=True), around.after
        else:
            group = machine.beside(nodes, fork.path, at.name)
            following = join
            at.node(join, {"op": "join"}, around.after, machine=machine, catch=around.catch)
        machine.body(both, group, Follow(following, everything(around.catch)), at.path)
        return both

    block(at, inside)


def _branch(at: At, machine: Machine, around: Around, index: int) -> Node:
    path = (*at.path, "fork", "branches")
    inner = machine.inner((*path, index))
    given: list[Json] = at.reader.value["fork"]["branches"]
    item = given[index]
    start = ""
    if isinstance(item, dict) and len(item) == 1:
        [(name, definition)] = item.items()
        start = at.compiler.single(inner, name, definition, (*path, index, name), around)
    else:
        message = "a branch is an object with one member: the name and the task"
        at.problems.add("DEFINITION_INVALID", message, (*path, index))
    return inner.as_node(at.new(f"branch-{index}"), start)


def lay_try(at: At) -> None:
    """Its tasks, and behind them a node that decides what becomes of their errors."""
    if not at.reader.has("catch"):
        at.reader.missing("catch", "the errors to catch and what to do then")
    catch = at.reader.object("catch")
    error = catch.text("as") or "error"
    if not is_variable(error):
        catch.wrong("as", "the name of a variable")
        return
    known = at.names | {error}
    config: Made = {"op": "caught", "name_of_error": error, "with": _filter(at, catch)}
    config |= _conditions(at, catch, known)
    if catch.has("retry"):
        config["retry"] = _retry(at, catch, known)
    has_handler = catch.has("do")
    handler = catch.raw("do")
    catch.refuse_unknown()

    def inside(machine: Machine, around: Around) -> str:
        caught, route, again = (at.new(name) for name in ("catch", "caught", "again"))
        first_place = len(at.compiler.places)
        body = at.reader.raw("try")
        within = replace(around, catch=caught)
        first = at.compiler.tasks(machine, body, (*at.path, "try"), within)
        places = dict(list(at.compiler.places.items())[first_place:])
        full = {**config, "depth": around.depth, "places": places, "after": around.after}
        targets = [around.after]
        if "retry" in full:
            full["again"] = again
            machine.timer(again, "{{state.wait}}", first, at.path)
            targets.append(again)
        if has_handler:
            handling = replace(around, names=around.names | {error})
            start = at.compiler.tasks(machine, handler, (*catch.path, "do"), handling)
            full["handler"] = start
            targets.append(start)
        given = {"error": "{{error}}"}
        at.node(caught, full, route, machine=machine, given=given, catch=around.catch)
        machine.route(route, targets, at.path)
        return first

    block(at, inside, opens=True)


def _filter(at: At, catch: Reader) -> Made:
    errors = catch.object("errors")
    wanted = errors.object("with")
    for key in ERROR_MEMBERS:
        wanted.has(key)
    wanted.refuse_unknown()
    errors.refuse_unknown()
    found = dict(wanted.value)
    for key, value in found.items():
        if isinstance(value, str) and "${" in value:
            why = "use catch.when, which is an expression over $error"
            at.refuse("an expression in an error filter", "catch", "errors", "with", key, why=why)
    if "details" in found:
        found["detail"] = found.pop("details")
    return found


def _conditions(at: At, reader: Reader, names: frozenset[str]) -> Made:
    found: Made = {}
    for key, member in (("when", "when"), ("exceptWhen", "except_when")):
        if text := reader.text(key, most=1 << 16):
            found[member] = at.expressions.expression(text, (*reader.path, key), names)
    return found


def _retry(at: At, catch: Reader, names: frozenset[str]) -> Made:
    named = catch.raw("retry")
    policy = catch.object("retry") if not isinstance(named, str) else _named_retry(at, named, catch)
    made: Made = {"delay_ms": _constant(at, policy, "delay"), "jitter_ms": [0, 0]}
    made |= _conditions(at, policy, names)
    backoff = policy.object("backoff")
    kinds = [key for key in BACKOFFS if backoff.has(key)]
    for kind in kinds:
        if backoff.object(kind).value:
            why = "the factor of exponential backoff is 2: change the delay"
            at.refuse(f"parameters of {kind} backoff", "catch", "retry", "backoff", kind, why=why)
    made["backoff"] = kinds[0] if kinds else "constant"
    limit = policy.object("limit")
    attempt = limit.object("attempt")
    made["count"] = attempt.integer("count", RETRY_ATTEMPTS_MAX, 0, RETRY_ATTEMPTS_MAX)
    if attempt.has("duration"):
        path = (*attempt.path, "duration")
        why = "give the tasks of the try a timeout"
        unsupported(at.problems, "retry.limit.attempt.duration", path, why)
    made["limit_ms"] = _constant(at, limit, "duration")
    if policy.has("jitter"):
        jitter = policy.object("jitter")
        made["jitter_ms"] = [_constant(at, jitter, "from"), _constant(at, jitter, "to")]
        jitter.refuse_unknown()
    for part in (policy, backoff, limit, attempt):
        part.refuse_unknown()
    return made


def _named_retry(at: At, name: str, catch: Reader) -> Reader:
    retries = at.compiler.use.retries
    if not isinstance(retries.raw(name), dict):
        message = f"use.retries has no policy {name[:64]!r}"
        at.problems.add("DEFINITION_INVALID", message, (*catch.path, "retry"))
    return retries.object(name)


def _constant(at: At, reader: Reader, key: str) -> int:
    found = duration_of(reader, key)
    if found is None:
        why = "write the duration out"
        unsupported(at.problems, "an expression as duration", (*reader.path, key), why)
    return found or 0


def call_function(at: At, name: str) -> None:
    """A function of the document, written out where it is called, over its arguments."""
    functions = at.compiler.use.functions
    definition = functions.raw(name)
    path = (*functions.path, name)
    if name in at.around.functions:
        at.refuse("a function that calls itself", "call", why="loop with for, or run a workflow")
        return
    if not isinstance(definition, dict):
        message = f"a function is a task, not {kind_of(definition)}"
        at.problems.add("DEFINITION_INVALID", message, path)
        return
    arguments = at.expressions.value(at.reader.raw("with") or {}, (*at.path, "with"), at.names)

    def inside(machine: Machine, around: Around) -> str:
        own = replace(around, names=frozenset(), functions=(*around.functions, name))
        return at.compiler.single(machine, name, definition, path, own)

    block(at, inside, opens=True, begins={"arguments": arguments})


def beside(
    at: At,
    task: Task | None,
    task_ref: str,
    given: Json,
    path: Path,
    answered: str,
    retry: Retry | None = None,
) -> None:
    """A task that is elsewhere beside the value it is called with, which its answer goes into."""
    before = {key: value for key, value in at.shape.items() if key in BEFORE}
    behind = {key: value for key, value in at.shape.items() if key not in BEFORE}
    call, answer = at.new("call"), at.new("answer")
    arguments = at.expressions.value(given, path, at.names)
    at.node(at.entry, {"op": "prepare", **before, "arguments": arguments}, call)
    node = Node(
        at.new("task"),
        at.path,
        name=at.name,
        task=task,
        task_ref=task_ref,
        input="{{state.call}}",
        has_input=True,
        retry=retry,
        timeout_ms=at.limit_ms,
        bound=at.machine.bound,
    )
    group = at.machine.beside((node,), at.path, at.name)
    at.machine.body(call, group, Follow(answer, everything(at.around.catch)), at.path)
    at.compiler.place(node.id, at.path)
    at.node(answer, {"op": answered, **behind}, at.after)
