"""Simple tasks of Serverless Workflow: set, raise, switch, call, run, wait."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.machines import Machine, subworkflow
from flowmesh.definitions.formats.serverless.blocks import (
    block,
    call_function,
    call_task,
    compile_do,
    compile_for,
    compile_fork,
    compile_try,
)
from flowmesh.definitions.formats.serverless.compiler import (
    BEFORE,
    CompileTask,
    EnclosingScope,
    TaskContext,
    case_program,
)
from flowmesh.definitions.formats.serverless.events import compile_emit
from flowmesh.definitions.formats.serverless.grpc import compile_grpc
from flowmesh.definitions.formats.serverless.http import compile_http, compile_openapi
from flowmesh.definitions.formats.serverless.listen import compile_listen
from flowmesh.definitions.formats.serverless.names import read_name, workflow_id
from flowmesh.definitions.formats.serverless.values import JsonObject, duration_of
from flowmesh.definitions.limits import CODE_CHARACTERS_MAX, DELAY_MS_MAX
from flowmesh.definitions.model import NO_RETRY, Retry
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.jq_values import is_variable, unwrap

_REQUESTS: dict[str, CompileTask] = {"http": compile_http, "openapi": compile_openapi}
# Refused protocols with the alternative.
_PROTOCOLS = {
    "asyncapi": "publish with emit, wait with listen",
    "a2a": "call the agent over HTTP: call: http",
    "mcp": "call a task of a worker that is the client",
}
# Refused kinds of runs with the alternative.
_INSTEAD = {
    "container": "run it in a worker of your own, and `call` its task",
    "shell": "run it in a worker of your own, and `call` its task",
}
_JAVASCRIPT = frozenset({"js", "javascript"})
# Key in the metadata of a call: 1 runs the task of the library once, regardless of its policy.
ATTEMPTS = "flowmesh.io/attempts"


def compile_set(context: TaskContext) -> None:
    value = context.reader.raw("set")
    if not isinstance(value, dict | str):
        context.reader.wrong("set", "an object or an expression")
        return
    context.work(
        {
            "op": "set",
            "set": context.expressions.mapped(value, (*context.path, "set"), context.names),
        }
    )


def compile_raise(context: TaskContext) -> None:
    holder = context.reader.object("raise")
    named = holder.raw("error")
    if isinstance(named, str):
        errors = context.compiler.use.errors
        if not isinstance(errors.raw(named), dict):
            message = f"use.errors has no {named[:64]!r}"
            context.problems.add("DEFINITION_INVALID", message, (*holder.path, "error"))
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
    context.work(
        {"op": "raise", "error": context.expressions.value(error.value, error.path, context.names)}
    )


def compile_switch(context: TaskContext) -> None:
    """Compile a switch; if it also transforms data, nodes before and behind it do that."""
    conditions: list[str] = []
    targets: list[str] = []
    default = context.after
    for case in _cases(context):
        target = context.target_of(case, context.after)
        if not case.has("then"):
            case.missing("then", "the next task, or continue, exit or end")
        if when := case.text("when", most=CODE_CHARACTERS_MAX):
            context.expressions.expression(when, (*case.path, "when"), context.names)
            conditions.append(unwrap(when))
            targets.append(target)
        else:
            default = target
        case.refuse_unknown()
    config: JsonObject = {"op": "switch", "case": {"jq": case_program(conditions)}}
    targets.append(default)
    if not context.shape:
        context.node(
            context.entry,
            {**config, "to": targets},
            among=tuple(targets),
            timeout_ms=context.limit_ms,
        )
        return
    decide = context.new("switch")
    before = {key: value for key, value in context.shape.items() if key in BEFORE}
    behind = {key: value for key, value in context.shape.items() if key not in BEFORE}
    ends = {target: context.new("then") for target in targets}
    context.node(context.entry, {"op": "enter", **before}, decide)
    to = [ends[target] for target in targets]
    context.node(decide, {**config, "to": to}, among=tuple(to), timeout_ms=context.limit_ms)
    for target, leave in ends.items():
        context.node(leave, {"op": "leave", **behind}, target)


def _cases(context: TaskContext) -> list[Reader]:
    found = []
    defaults = 0
    items = context.reader.items("switch")
    if not items:
        context.problems.add(
            "DEFINITION_INVALID", "a switch needs a case", (*context.path, "switch")
        )
    for index, item in enumerate(items):
        path = (*context.path, "switch", index)
        if not isinstance(item, dict) or len(item) != 1:
            message = "a case is an object with one member: its name, and when and then"
            context.problems.add("DEFINITION_INVALID", message, path)
            continue
        [(name, case)] = item.items()
        if not isinstance(case, dict):
            message = f"a case is an object, not {kind_of(case)}"
            context.problems.add("DEFINITION_INVALID", message, (*path, name))
            continue
        defaults += "when" not in case
        if "when" not in case and defaults > 1:
            message = "only one case may be without `when`"
            context.problems.add("DEFINITION_INVALID", message, (*path, name))
        found.append(Reader(case, (*path, name), context.problems))
    return found


def compile_wait(context: TaskContext) -> None:
    duration = duration_of(context.reader, "wait")

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        timer = context.new("timer")
        if duration is not None:
            machine.timer(
                timer, min(duration, DELAY_MS_MAX), enclosing.after, context.path, context.name
            )
            return timer
        first = context.new("duration")
        path = (*context.path, "wait")
        made = context.expressions.value(context.reader.raw("wait"), path, context.names)
        config = {"op": "wait", "duration": made}
        context.node(first, config, timer, machine=machine, catch=enclosing.catch)
        machine.timer(timer, "{{state.wait}}", enclosing.after, context.path, context.name)
        return first

    block(context, compile_body)


def compile_call(context: TaskContext) -> None:
    """Compile a call: HTTP, OpenAPI, gRPC, a function of the document, or a task of the library."""
    name = context.reader.required_text(
        "call", "http, openapi, grpc, a function, or the name of a WorkflowTask"
    )
    if name in _REQUESTS:
        _REQUESTS[name](context)
        return
    if name == "grpc":
        compile_grpc(context)
        return
    given = context.reader.raw("with")
    if given is not None and not isinstance(given, dict):
        context.reader.wrong("with", "an object")
    elif name in _PROTOCOLS:
        context.refuse(f"call {name}", "call", why=_PROTOCOLS[name])
    elif name in context.compiler.use.functions.value:
        call_function(context, name)
    elif "@" in name or "/" in name:
        context.refuse(
            "a function of a catalog or at a URL", "call", why="define it in use.functions"
        )
    elif name and context.reader.identifier("call", "the name of a WorkflowTask"):
        call_task(
            context,
            None,
            name,
            given or {},
            (*context.path, "with"),
            "result",
            _retry_of_call(context),
        )


def _retry_of_call(context: TaskContext) -> Retry | None:
    """Return a single attempt if a `try` around the call retries; else None, the library's
    policy.
    """
    about = context.reader.raw("metadata")
    if not isinstance(about, dict) or ATTEMPTS not in about:
        return None
    if about[ATTEMPTS] != 1:
        message = f"{ATTEMPTS} must be 1 if present; write a try with retry for more"
        context.problems.add("RETRY_INVALID", message, (*context.path, "metadata", ATTEMPTS))
    return NO_RETRY


def compile_run(context: TaskContext) -> None:
    run = context.reader.object("run")
    kinds = [key for key in ("container", "script", "shell", "workflow") if run.has(key)]
    if len(kinds) != 1:
        message = "run has one of container, script, shell, workflow"
        context.problems.add("DEFINITION_INVALID", message, run.path)
        return
    if kinds[0] == "workflow":
        _run_workflow(context, run)
        return
    if kinds[0] == "script":
        _run_script(context, run)
        return
    context.refuse(f"run.{kinds[0]}", "run", kinds[0], why=_INSTEAD[kinds[0]])


def _run_script(context: TaskContext, run: Reader) -> None:
    if run.flag("await", True) is False:
        why = "a script is a part of its task; put it into a workflow that is not awaited"
        context.refuse("run.await false", "run", "await", why=why)
    if run.has("return") and run.raw("return") != "stdout":
        context.refuse("run.return", "run", "return", why="a script's result is what it returns")
    script = run.object("script")
    language = script.required_text("language", "javascript")
    if language and language.lower() not in _JAVASCRIPT:
        feature, why = f"scripts in {language[:32]}", "use javascript, or `call` a task of a worker"
        context.refuse(feature, "run", "script", "language", why=why)
    for key, why in (
        ("source", "write it as code"),
        ("stdin", "pass it as an argument"),
    ):
        if script.has(key):
            context.refuse(f"run.script.{key}", "run", "script", key, why=why)
    code = script.required_text("code", "JavaScript that returns the output")
    config: JsonObject = {"op": "script", "code": code, "arguments": _arguments(context, script)}
    if script.has("environment"):
        environment = script.object("environment")
        config["environment"] = context.expressions.value(
            environment.value, environment.path, context.call_names
        )
    script.refuse_unknown()
    run.refuse_unknown()
    if code and (why := _not_javascript(code)):
        message = f"not JavaScript: {why}"
        context.problems.add("EXPRESSION_INVALID", message, (*script.path, "code"))
    context.work(config)


def _run_workflow(context: TaskContext, run: Reader) -> None:
    """Compile a started workflow; the output is that of the workflow, or the task's input if it is
    not awaited.
    """
    waits = run.flag("await", True)
    if run.has("return"):
        context.refuse("run.return", "run", "return", why="a workflow's result is its output")
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
    call_task(
        context, task, "", {} if arguments is None else arguments, (*called.path, "input"), answer
    )


def _not_javascript(code: str) -> str:
    # The interpreter is an optional dependency of documents with scripts.
    from flowmesh.sandbox.syntax import check_syntax

    return check_syntax("javascript", code)


def _arguments(context: TaskContext, script: Reader) -> JsonObject:
    """Return the arguments: a list for `process.argv`, or an object of variables."""
    given, path = script.raw("arguments"), (*script.path, "arguments")
    if not isinstance(given, list):
        given = script.object("arguments").value
        for name in given:
            if not is_variable(name):
                message = f"{name[:64]!r} is no name that JavaScript has"
                context.problems.add("ID_INVALID", message, (*path, name))
    return context.expressions.value(given, path, context.call_names)


KINDS: dict[str, CompileTask] = {
    "call": compile_call,
    "do": compile_do,
    "fork": compile_fork,
    "emit": compile_emit,
    "for": compile_for,
    "listen": compile_listen,
    "raise": compile_raise,
    "run": compile_run,
    "set": compile_set,
    "switch": compile_switch,
    "try": compile_try,
    "wait": compile_wait,
}


def decides_itself(kind: str, task: dict[str, Json]) -> bool:
    """Return whether the task is one node that evaluates its own condition."""
    if kind == "run":
        return isinstance(task["run"], dict) and "workflow" not in task["run"]
    called = task.get("call")
    return kind in ("emit", "raise", "set") or (isinstance(called, str) and called in _REQUESTS)
