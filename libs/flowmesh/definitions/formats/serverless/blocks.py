"""Compound tasks of Serverless Workflow: do, for, fork, try, and calls of functions."""

from collections.abc import Callable
from dataclasses import replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.machines import Machine, catch_all
from flowmesh.definitions.formats.serverless.compiler import BEFORE, EnclosingScope, TaskContext
from flowmesh.definitions.formats.serverless.values import JsonObject, duration_of, unsupported
from flowmesh.definitions.limits import RETRY_ATTEMPTS_MAX
from flowmesh.definitions.model import Follow, GroupBody, Node, Retry, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.jq_values import is_variable

# Compiles the tasks of a block into a machine and returns the first node, given the successor.
CompileBody = Callable[[Machine, EnclosingScope], str]
BACKOFFS = ("constant", "exponential", "linear")
ERROR_MEMBERS = ("type", "status", "instance", "title", "detail", "details")


def block(
    context: TaskContext,
    compile_body: CompileBody,
    *,
    opens: bool = False,
    begins: JsonObject | None = None,
) -> None:
    """Compile a block of tasks; an opened block has a frame, which its end closes."""
    enclosing = context.enclosing
    if context.limit_ms:
        whole = compile_body

        def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
            return _with_timeout(context, whole, machine, enclosing)

    if not opens and not context.shape:
        first = compile_body(context.machine, replace(enclosing, after=context.after))
        context.machine.step(context.entry, first, context.path, context.name)
        return
    leave = context.new("end")
    first = compile_body(
        context.machine, replace(enclosing, after=leave, depth=enclosing.depth + 1)
    )
    before = {key: value for key, value in context.shape.items() if key in BEFORE}
    behind = {key: value for key, value in context.shape.items() if key not in BEFORE}
    context.node(context.entry, {"op": "enter", **before, **(begins or {})}, first)
    context.node(leave, {"op": "leave", **behind}, context.after)


def _with_timeout(
    context: TaskContext, compile_body: CompileBody, machine: Machine, enclosing: EnclosingScope
) -> str:
    """Compile a block with a timeout: the block races with a timer.

    A failure would not end the race, so it is held back until the race is over.
    """
    timer, late, held, both, check = (
        context.new(what) for what in ("timer", "late", "held", "limit", "timely")
    )
    within, clock = (
        machine.inner((*context.path, "within")),
        machine.inner((*context.path, "timeout")),
    )
    isolated = replace(enclosing, after="", end="", catch=held, ends=False)
    start = compile_body(within, isolated)
    context.node(held, {"op": "held"}, machine=within, given={"error": "{{error}}"}, catch="")
    clock.timer(timer, context.limit_ms, late, context.path)
    context.node(late, {"op": "late"}, machine=clock, catch="")
    racers = (
        within.as_node(context.new("within"), start, name=context.name),
        clock.as_node(context.new("clock"), timer),
    )
    group = GroupBody(racers, context.path, race=True)
    machine.body(both, group, Follow(check, catch_all(enclosing.catch)), context.path)
    config = {"op": "timely", "timeout_ms": context.limit_ms}
    context.node(check, config, enclosing.after, machine=machine, catch=enclosing.catch)
    return both


def compile_do(context: TaskContext) -> None:
    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        return context.compiler.tasks(
            machine, context.reader.raw("do"), (*context.path, "do"), enclosing
        )

    block(context, compile_body)


def compile_for(context: TaskContext) -> None:
    """Compile a loop: a node for the next item, then the tasks, and back."""
    loop = context.reader.object("for")
    each, position = loop.text("each") or "item", loop.text("at") or "index"
    for key, name in (("each", each), ("at", position)):
        if not is_variable(name):
            loop.wrong(key, "the name of a variable")
            return
    source = loop.required_text("in", "an expression that gives the list of items")
    loop.refuse_unknown()
    if not source:
        return
    items = context.expressions.expression(source, (*loop.path, "in"), context.names)
    inside_names = context.names | {each, position}
    config: JsonObject = {"op": "loop", "each": each, "position": position}
    if condition := context.reader.text("while", most=1 << 16):
        path = (*context.path, "while")
        config["while"] = context.expressions.expression(condition, path, inside_names)

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        head, route = context.new("next"), context.new("item")
        within = replace(enclosing, after=head, names=enclosing.names | {each, position})
        body = context.compiler.tasks(
            machine, context.reader.raw("do"), (*context.path, "do"), within
        )
        targets = {"body": body, "after": enclosing.after}
        context.node(head, {**config, **targets}, route, machine=machine, catch=enclosing.catch)
        machine.route(route, targets.values(), context.path)
        return head

    block(context, compile_body, opens=True, begins={"items": items})


def compile_fork(context: TaskContext) -> None:
    fork = context.reader.object("fork")
    branches, compete = fork.items("branches"), fork.flag("compete", False)
    if not branches:
        message = "a fork needs at least one branch"
        context.problems.add("GRAPH_EMPTY", message, (*fork.path, "branches"))
    fork.refuse_unknown()

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        isolated = replace(enclosing, after="", end="", catch="", ends=False)
        nodes = [_branch(context, machine, isolated, index) for index in range(len(branches))]
        both, join = context.new("branches"), context.new("join")
        if compete:
            group, following = GroupBody(tuple(nodes), fork.path, race=True), enclosing.after
        else:
            group = machine.group_with_input(nodes, fork.path, context.name)
            following = join
            context.node(
                join, {"op": "join"}, enclosing.after, machine=machine, catch=enclosing.catch
            )
        machine.body(both, group, Follow(following, catch_all(enclosing.catch)), context.path)
        return both

    block(context, compile_body)


def _branch(context: TaskContext, machine: Machine, enclosing: EnclosingScope, index: int) -> Node:
    path = (*context.path, "fork", "branches")
    inner = machine.inner((*path, index))
    given: list[Json] = context.reader.value["fork"]["branches"]
    item = given[index]
    start = ""
    if isinstance(item, dict) and len(item) == 1:
        [(name, definition)] = item.items()
        start = context.compiler.single(inner, name, definition, (*path, index, name), enclosing)
    else:
        message = "a branch is an object with one member: the name and the task"
        context.problems.add("DEFINITION_INVALID", message, (*path, index))
    return inner.as_node(context.new(f"branch-{index}"), start)


def compile_try(context: TaskContext) -> None:
    """Compile the tasks of a try, and a node behind them that handles their errors."""
    if not context.reader.has("catch"):
        context.reader.missing("catch", "the errors to catch and the tasks to run then")
    catch = context.reader.object("catch")
    error = catch.text("as") or "error"
    if not is_variable(error):
        catch.wrong("as", "the name of a variable")
        return
    known = context.names | {error}
    config: JsonObject = {"op": "caught", "name_of_error": error, "with": _filter(context, catch)}
    config |= _conditions(context, catch, known)
    if catch.has("retry"):
        config["retry"] = _retry(context, catch, known)
    has_handler = catch.has("do")
    handler = catch.raw("do")
    catch.refuse_unknown()

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        caught, route, again = (context.new(name) for name in ("catch", "caught", "again"))
        first_place = len(context.compiler.places)
        body = context.reader.raw("try")
        within = replace(enclosing, catch=caught)
        first = context.compiler.tasks(machine, body, (*context.path, "try"), within)
        places = dict(list(context.compiler.places.items())[first_place:])
        full = {**config, "depth": enclosing.depth, "places": places, "after": enclosing.after}
        targets = [enclosing.after]
        if "retry" in full:
            full["again"] = again
            machine.timer(again, "{{state.wait}}", first, context.path)
            targets.append(again)
        if has_handler:
            handling = replace(enclosing, names=enclosing.names | {error})
            start = context.compiler.tasks(machine, handler, (*catch.path, "do"), handling)
            full["handler"] = start
            targets.append(start)
        given = {"error": "{{error}}"}
        context.node(caught, full, route, machine=machine, given=given, catch=enclosing.catch)
        machine.route(route, targets, context.path)
        return first

    block(context, compile_body, opens=True)


def _filter(context: TaskContext, catch: Reader) -> JsonObject:
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
            context.refuse(
                "an expression in an error filter", "catch", "errors", "with", key, why=why
            )
    if "details" in found:
        found["detail"] = found.pop("details")
    return found


def _conditions(context: TaskContext, reader: Reader, names: frozenset[str]) -> JsonObject:
    found: JsonObject = {}
    for key, member in (("when", "when"), ("exceptWhen", "except_when")):
        if text := reader.text(key, most=1 << 16):
            found[member] = context.expressions.expression(text, (*reader.path, key), names)
    return found


def _retry(context: TaskContext, catch: Reader, names: frozenset[str]) -> JsonObject:
    named = catch.raw("retry")
    policy = (
        catch.object("retry") if not isinstance(named, str) else _named_retry(context, named, catch)
    )
    made: JsonObject = {"delay_ms": _constant(context, policy, "delay"), "jitter_ms": [0, 0]}
    made |= _conditions(context, policy, names)
    backoff = policy.object("backoff")
    kinds = [key for key in BACKOFFS if backoff.has(key)]
    for kind in kinds:
        if backoff.object(kind).value:
            why = "the factor of exponential backoff is 2: change the delay"
            context.refuse(
                f"parameters of {kind} backoff", "catch", "retry", "backoff", kind, why=why
            )
    made["backoff"] = kinds[0] if kinds else "constant"
    limit = policy.object("limit")
    attempt = limit.object("attempt")
    made["count"] = attempt.integer("count", RETRY_ATTEMPTS_MAX, 0, RETRY_ATTEMPTS_MAX)
    if attempt.has("duration"):
        path = (*attempt.path, "duration")
        why = "give the tasks of the try a timeout"
        unsupported(context.problems, "retry.limit.attempt.duration", path, why)
    made["limit_ms"] = _constant(context, limit, "duration")
    if policy.has("jitter"):
        jitter = policy.object("jitter")
        made["jitter_ms"] = [_constant(context, jitter, "from"), _constant(context, jitter, "to")]
        jitter.refuse_unknown()
    for part in (policy, backoff, limit, attempt):
        part.refuse_unknown()
    return made


def _named_retry(context: TaskContext, name: str, catch: Reader) -> Reader:
    retries = context.compiler.use.retries
    if not isinstance(retries.raw(name), dict):
        message = f"use.retries has no policy {name[:64]!r}"
        context.problems.add("DEFINITION_INVALID", message, (*catch.path, "retry"))
    return retries.object(name)


def _constant(context: TaskContext, reader: Reader, key: str) -> int:
    found = duration_of(reader, key)
    if found is None:
        why = "write the duration out"
        unsupported(context.problems, "an expression as duration", (*reader.path, key), why)
    return found or 0


def call_function(context: TaskContext, name: str) -> None:
    """Compile a call of a document's function: its task is expanded over the arguments."""
    functions = context.compiler.use.functions
    definition = functions.raw(name)
    path = (*functions.path, name)
    if name in context.enclosing.functions:
        context.refuse(
            "a function that calls itself", "call", why="loop with for, or run a workflow"
        )
        return
    if not isinstance(definition, dict):
        message = f"a function is a task, not {kind_of(definition)}"
        context.problems.add("DEFINITION_INVALID", message, path)
        return
    arguments = context.expressions.value(
        context.reader.raw("with") or {}, (*context.path, "with"), context.names
    )

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        own = replace(enclosing, names=frozenset(), functions=(*enclosing.functions, name))
        return context.compiler.single(machine, name, definition, path, own)

    block(context, compile_body, opens=True, begins={"arguments": arguments})


def call_task(
    context: TaskContext,
    task: Task | None,
    task_ref: str,
    given: Json,
    path: Path,
    answered: str,
    retry: Retry | None = None,
) -> None:
    """Compile a call of another task; its output is merged into the value it is called with."""
    before = {key: value for key, value in context.shape.items() if key in BEFORE}
    behind = {key: value for key, value in context.shape.items() if key not in BEFORE}
    call, answer = context.new("call"), context.new("answer")
    arguments = context.expressions.value(given, path, context.names)
    context.node(context.entry, {"op": "prepare", **before, "arguments": arguments}, call)
    node = Node(
        context.new("task"),
        context.path,
        name=context.name,
        task=task,
        task_ref=task_ref,
        input="{{state.call}}",
        has_input=True,
        retry=retry,
        timeout_ms=context.limit_ms,
        bound=context.machine.bound,
    )
    group = context.machine.group_with_input((node,), context.path, context.name)
    context.machine.body(
        call, group, Follow(answer, catch_all(context.enclosing.catch)), context.path
    )
    context.compiler.place(node.id, context.path)
    context.node(answer, {"op": answered, **behind}, context.after)
