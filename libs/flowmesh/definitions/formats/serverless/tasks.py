"""Tasks of Serverless Workflow that do one thing: set, raise, switch, call, run, wait."""

from flowmesh.definitions.formats.machines import Machine, subworkflow
from flowmesh.definitions.formats.serverless.blocks import (
    beside,
    block,
    call_function,
    lay_do,
    lay_for,
    lay_fork,
    lay_try,
)
from flowmesh.definitions.formats.serverless.events import lay_emit
from flowmesh.definitions.formats.serverless.grpc import lay_grpc
from flowmesh.definitions.formats.serverless.http import lay_http, lay_openapi
from flowmesh.definitions.formats.serverless.layout import (
    BEFORE,
    Around,
    At,
    Layout,
    case_program,
)
from flowmesh.definitions.formats.serverless.listen import lay_listen
from flowmesh.definitions.formats.serverless.names import read_name, workflow_id
from flowmesh.definitions.formats.serverless.values import Made, duration_of
from flowmesh.definitions.limits import CODE_CHARACTERS_MAX, DELAY_MS_MAX
from flowmesh.definitions.model import (
    NO_RETRY,
    Json,
    Retry,
)
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.jq_values import bare, is_variable

_REQUESTS: dict[str, Layout] = {"http": lay_http, "openapi": lay_openapi}
# What is refused, and what to do instead.
_PROTOCOLS = {
    "asyncapi": "publish with emit, wait with listen",
    "a2a": "call the agent over HTTP: call: http",
    "mcp": "call a task of a worker that is the client",
}
# What is refused, and what to do instead.
_INSTEAD = {
    "container": "run it in a worker of your own, and `call` its task",
    "shell": "run it in a worker of your own, and `call` its task",
}
_JAVASCRIPT = frozenset({"js", "javascript"})
# In the metadata of a call: 1 where the task of the library is tried once, whatever it says.
ATTEMPTS = "flowmesh.io/attempts"


def lay_set(at: At) -> None:
    value = at.reader.raw("set")
    if not isinstance(value, dict | str):
        at.reader.wrong("set", "an object or an expression")
        return
    at.work({"op": "set", "set": at.expressions.mapped(value, (*at.path, "set"), at.names)})


def lay_raise(at: At) -> None:
    holder = at.reader.object("raise")
    named = holder.raw("error")
    if isinstance(named, str):
        errors = at.compiler.use.errors
        if not isinstance(errors.raw(named), dict):
            message = f"use.errors has no {named[:64]!r}"
            at.problems.add("DEFINITION_INVALID", message, (*holder.path, "error"))
            return
        error = errors.object(named)
    else:
        if not holder.has("error"):
            holder.missing("error", "type and status of an error, or its name in use.errors")
        error = holder.object("error")
    error.required_text("type", "the URI of the kind of error")
    if not error.has("status"):
        error.missing("status", "the status code of the error")
    error.integer("status", 500, 100, 599)
    for key in ("instance", "title", "detail"):
        error.text(key, most=CODE_CHARACTERS_MAX)
    error.refuse_unknown()
    holder.refuse_unknown()
    at.work({"op": "raise", "error": at.expressions.value(error.value, error.path, at.names)})


def lay_switch(at: At) -> None:
    """A node that decides; where it has data to shape too, that is done before and behind it."""
    conditions: list[str] = []
    targets: list[str] = []
    default = at.after
    for case in _cases(at):
        target = at.goes_to(case, at.after)
        if not case.has("then"):
            case.missing("then", "the task to go on with, or continue, exit or end")
        if when := case.text("when", most=CODE_CHARACTERS_MAX):
            at.expressions.expression(when, (*case.path, "when"), at.names)
            conditions.append(bare(when))
            targets.append(target)
        else:
            default = target
        case.refuse_unknown()
    config: Made = {"op": "switch", "case": {"jq": case_program(conditions)}}
    targets.append(default)
    if not at.shape:
        at.node(at.entry, {**config, "to": targets}, among=tuple(targets), timeout_ms=at.limit_ms)
        return
    decide = at.new("switch")
    before = {key: value for key, value in at.shape.items() if key in BEFORE}
    behind = {key: value for key, value in at.shape.items() if key not in BEFORE}
    ends = {target: at.new("then") for target in targets}
    at.node(at.entry, {"op": "enter", **before}, decide)
    to = [ends[target] for target in targets]
    at.node(decide, {**config, "to": to}, among=tuple(to), timeout_ms=at.limit_ms)
    for target, leave in ends.items():
        at.node(leave, {"op": "leave", **behind}, target)


def _cases(at: At) -> list[Reader]:
    found = []
    defaults = 0
    items = at.reader.items("switch")
    if not items:
        at.problems.add("DEFINITION_INVALID", "a switch needs a case", (*at.path, "switch"))
    for index, item in enumerate(items):
        path = (*at.path, "switch", index)
        if not isinstance(item, dict) or len(item) != 1:
            message = "a case is an object with one member: its name, and when and then"
            at.problems.add("DEFINITION_INVALID", message, path)
            continue
        [(name, case)] = item.items()
        if not isinstance(case, dict):
            message = f"a case is an object, not {kind_of(case)}"
            at.problems.add("DEFINITION_INVALID", message, (*path, name))
            continue
        defaults += "when" not in case
        if "when" not in case and defaults > 1:
            message = "only one case may be without `when`"
            at.problems.add("DEFINITION_INVALID", message, (*path, name))
        found.append(Reader(case, (*path, name), at.problems))
    return found


def lay_wait(at: At) -> None:
    duration = duration_of(at.reader, "wait")

    def inside(machine: Machine, around: Around) -> str:
        timer = at.new("timer")
        if duration is not None:
            machine.timer(timer, min(duration, DELAY_MS_MAX), around.after, at.path, at.name)
            return timer
        first = at.new("duration")
        path = (*at.path, "wait")
        made = at.expressions.value(at.reader.raw("wait"), path, at.names)
        config = {"op": "wait", "duration": made}
        at.node(first, config, timer, machine=machine, catch=around.catch)
        machine.timer(timer, "{{state.wait}}", around.after, at.path, at.name)
        return first

    block(at, inside)


def lay_call(at: At) -> None:
    """HTTP, OpenAPI, gRPC, a function of the document, or a task of the library."""
    name = at.reader.required_text(
        "call", "http, openapi, grpc, a function, or the name of a WorkflowTask"
    )
    if name in _REQUESTS:
        _REQUESTS[name](at)
        return
    if name == "grpc":
        lay_grpc(at)
        return
    given = at.reader.raw("with")
    if given is not None and not isinstance(given, dict):
        at.reader.wrong("with", "an object")
    elif name in _PROTOCOLS:
        at.refuse(f"call {name}", "call", why=_PROTOCOLS[name])
    elif name in at.compiler.use.functions.value:
        call_function(at, name)
    elif "@" in name or "/" in name:
        at.refuse("a function of a catalog or at a URL", "call", why="define it in use.functions")
    elif name and at.reader.identifier("call", "the name of a WorkflowTask"):
        beside(at, None, name, given or {}, (*at.path, "with"), "result", _retry_of_call(at))


def _retry_of_call(at: At) -> Retry | None:
    """Once where the `try` around the call has the retries; else as the library says."""
    about = at.reader.raw("metadata")
    if not isinstance(about, dict) or ATTEMPTS not in about:
        return None
    if about[ATTEMPTS] != 1:
        message = f"{ATTEMPTS} is 1, or not there: write a try with retry for more"
        at.problems.add("RETRY_INVALID", message, (*at.path, "metadata", ATTEMPTS))
    return NO_RETRY


def lay_run(at: At) -> None:
    run = at.reader.object("run")
    kinds = [key for key in ("container", "script", "shell", "workflow") if run.has(key)]
    if len(kinds) != 1:
        message = "run has one of container, script, shell, workflow"
        at.problems.add("DEFINITION_INVALID", message, run.path)
        return
    if kinds[0] == "workflow":
        _run_workflow(at, run)
        return
    if kinds[0] == "script":
        _run_script(at, run)
        return
    at.refuse(f"run.{kinds[0]}", "run", kinds[0], why=_INSTEAD[kinds[0]])


def _run_script(at: At, run: Reader) -> None:
    if run.flag("await", True) is False:
        why = "a script is a part of its task; put it into a workflow that is not awaited"
        at.refuse("run.await false", "run", "await", why=why)
    if run.has("return") and run.raw("return") != "stdout":
        at.refuse("run.return", "run", "return", why="a script's result is what it returns")
    script = run.object("script")
    language = script.required_text("language", "javascript")
    if language and language.lower() not in _JAVASCRIPT:
        feature, why = f"scripts in {language[:32]}", "use javascript, or `call` a task of a worker"
        at.refuse(feature, "run", "script", "language", why=why)
    for key, why in (
        ("source", "write it as code"),
        ("stdin", "pass it as an argument"),
    ):
        if script.has(key):
            at.refuse(f"run.script.{key}", "run", "script", key, why=why)
    code = script.required_text("code", "JavaScript that returns the output")
    config: Made = {"op": "script", "code": code, "arguments": _arguments(at, script)}
    if script.has("environment"):
        environment = script.object("environment")
        config["environment"] = at.expressions.value(
            environment.value, environment.path, at.call_names
        )
    script.refuse_unknown()
    run.refuse_unknown()
    if code and (why := _not_javascript(code)):
        message = f"not JavaScript: {why}"
        at.problems.add("EXPRESSION_INVALID", message, (*script.path, "code"))
    at.work(config)


def _run_workflow(at: At, run: Reader) -> None:
    """Another workflow; the task has its output, or that of the task where nobody waits for it."""
    waits = run.flag("await", True)
    if run.has("return"):
        at.refuse("run.return", "run", "return", why="a workflow's result is its output")
    called = run.object("workflow")
    namespace = read_name(called, "namespace", "the namespace of the document to run")
    name = read_name(called, "name", "the name of the workflow to run")
    version = called.identifier(
        "version", "the version of that document, a label, a number or latest"
    )
    arguments = called.raw("input")
    called.refuse_unknown()
    run.refuse_unknown()
    task = subworkflow(workflow_id(namespace, name), version, waits=waits, path=called.path)
    answer = "result" if waits else "started"
    beside(at, task, "", {} if arguments is None else arguments, (*called.path, "input"), answer)


def _not_javascript(code: str) -> str:
    # The interpreter is an extra; only who has scripts needs it.
    from flowmesh.sandbox.syntax import check_syntax

    return check_syntax("javascript", code)


def _arguments(at: At, script: Reader) -> Made:
    """A list, which is `process.argv`, or an object, each member a variable."""
    given, path = script.raw("arguments"), (*script.path, "arguments")
    if not isinstance(given, list):
        given = script.object("arguments").value
        for name in given:
            if not is_variable(name):
                message = f"{name[:64]!r} is no name that JavaScript has"
                at.problems.add("ID_INVALID", message, (*path, name))
    return at.expressions.value(given, path, at.call_names)


KINDS: dict[str, Layout] = {
    "call": lay_call,
    "do": lay_do,
    "fork": lay_fork,
    "emit": lay_emit,
    "for": lay_for,
    "listen": lay_listen,
    "raise": lay_raise,
    "run": lay_run,
    "set": lay_set,
    "switch": lay_switch,
    "try": lay_try,
    "wait": lay_wait,
}


def decides_itself(kind: str, task: dict[str, Json]) -> bool:
    """Whether the one node that a task is decides by itself whether it runs."""
    if kind == "run":
        return isinstance(task["run"], dict) and "workflow" not in task["run"]
    return kind in ("emit", "raise", "set") or task.get("call") in _REQUESTS
