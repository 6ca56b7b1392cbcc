"""`states.task`: a state of the Amazon States Language, with its input and output processing.

Its input is `{"state": …}` with the value of the machine: `data` that flows from state to state,
in a map `map` (the item and its index), and the retries of the current state. Its output is the
next such value, or for a choice `{"next": …}`.
"""

from collections.abc import Awaitable, Callable

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.egress import Response
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.answers import NowUs, failure_of, value_of
from flowmesh.executors.http.request import call
from flowmesh.executors.serverless.calls import body_of, headers_of, with_query
from flowmesh.executors.states import maps
from flowmesh.executors.states.events import ENTRIES_MAX, event_of, publish
from flowmesh.executors.states.retry import (
    cause_of_function,
    error_name,
    matches,
    wait_before_retry,
)
from flowmesh.executors.states.running import Running, Tools, kept_of
from flowmesh.expressions import instant
from flowmesh.standards.arns import machine_of
from flowmesh.standards.choices import as_moment, holds
from flowmesh.standards.paths import PathFailed, compile_path, compile_reference, put
from flowmesh.standards.payloads import fill_template, look_up
from flowmesh.tasktypes.builtin.standards import STATES_TASK

TYPE = STATES_TASK.name
# Marks the details of an error that was sent with a token; it is reported unchanged.
_SENT = "sentWithToken"
# The limit of flowmesh.engine.decisions.delays, whose error would not name the state.
WAIT_MS_MAX = 366 * 24 * 3_600_000


class StatesStep(Step):
    """One state; its paths are compiled at first use and cached."""

    def __init__(self, config: dict[str, Json], tools: Tools) -> None:
        self._config = config
        self._tools = tools
        self._run = _OPS[config["op"]]

    async def run(self, attempt: Attempt) -> Output:
        try:
            return Output.of(await self._run(Running(self._config, self._tools, attempt)))
        except PathFailed as failed:
            raise TaskFailure(failed.error, str(failed)) from failed
        except TaskFailure as failure:
            name = error_name(failure.class_, failure.details)
            raise TaskFailure(
                name,
                failure.message,
                retry_after_ms=failure.retry_after_ms,
                details=failure.details,
                node=failure.node,
            ) from failure


async def _pass(run: Running) -> Json:
    taken = await run.taken()
    return await run.left(run.config.get("result", taken), run.state)


async def _http(run: Running) -> Json:
    request = await run.taken()
    if not isinstance(request, dict):
        raise TaskFailure("States.Runtime", "the parameters of an HTTP task are an object")
    parts = {"body": request.get("RequestBody")}
    body, content_type = body_of(parts)
    response = await call(
        run.tools.egress,
        run.attempt,
        str(request.get("Method", "GET")),
        with_query(str(request.get("ApiEndpoint")), request.get("QueryParameters")),
        headers=headers_of(request.get("Headers")),
        body=body,
        content_type=content_type,
    )
    return await run.left(_answer(response, run.tools.now_us), run.state)


def _answer(response: Response, now_us: NowUs) -> Json:
    if response.status >= 400:
        raise failure_of(response, now_us)
    return {
        "StatusCode": response.status,
        "Headers": response.headers,
        "ResponseBody": value_of(response, now_us),
    }


async def _choice(run: Running) -> Json:
    if run.config.get("jsonata"):
        return {"next": await _condition_that_holds(run)}
    data, context = run.at("input_path", run.data), run.context
    for rule, target in zip(run.config["choices"], run.config["to"], strict=False):
        if holds(rule, data, context):
            return {"next": target}
    return {"next": _default_of(run)}


async def _condition_that_holds(run: Running) -> str:
    """Return the target of the first condition that is true."""
    for number, (condition, target) in enumerate(
        zip(run.config["choices"], run.config["to"], strict=False)
    ):
        found = await run.evaluated(condition)
        if not isinstance(found, bool):
            message = f"Choices[{number}].Condition is neither true nor false"
            raise TaskFailure("States.QueryEvaluationError", message)
        if found:
            return str(target)
    return _default_of(run)


def _default_of(run: Running) -> str:
    if "default" not in run.config:
        raise TaskFailure("States.NoChoiceMatched", f"no choice of {run.config['name']} holds")
    return str(run.config["default"])


async def _fail(run: Running) -> Json:
    config = run.config
    if config.get("jsonata"):
        said = await run.evaluated({key: config[key] for key in ("error", "cause")})
        raise TaskFailure(str(said["error"]) or "States.TaskFailed", str(said["cause"]))

    def text_of(key: str) -> str:
        if f"{key}_path" not in config:
            return str(config.get(key, ""))
        text = config[f"{key}_path"]
        return str(look_up(text, run.data, run.context, run.tools.randomness))

    raise TaskFailure(text_of("error") or "States.TaskFailed", text_of("cause"))


async def _wait(run: Running) -> Json:
    """Return the duration for the timer that follows, in ms, or an instant.

    An invalid time fails the state here, because the timer could not name the state.
    """
    config, data = run.config, run.at("input_path", run.data)
    if "seconds" in config or "seconds_path" in config:
        seconds = await _length(run, "seconds", data)
        return {**await run.left(data, run.state), "wait": _wait_ms(seconds, config["name"])}
    moment = await _length(run, "timestamp", data)
    found = as_moment(moment)
    if found is None:
        message = f"the timestamp is not an instant such as 2030-01-31T12:00:00Z: {moment!r:.64}"
        raise TaskFailure("States.Runtime", message)
    _wait_ms(max(0, found[0].timestamp() - run.tools.now_us() / 1_000_000), config["name"])
    return {**await run.left(data, run.state), "wait": moment}


async def _length(run: Running, key: str, data: Json) -> Json:
    """Evaluate the duration or instant, from an expression or a path."""
    if key in run.config:
        return await run.evaluated(run.config[key])
    return compile_path(run.config[f"{key}_path"]).find(data, run.context)


def _wait_ms(seconds: Json, name: str) -> int:
    """Convert seconds to ms within the limit of a timer."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise TaskFailure("States.Runtime", "the time to wait is not a number of seconds")
    if seconds * 1_000 > WAIT_MS_MAX:
        days = WAIT_MS_MAX // (24 * 3_600_000)
        raise TaskFailure("States.Runtime", f"{name} would wait for more than {days} days")
    return round(seconds * 1_000)


async def _before(run: Running) -> Json:
    """Return the input of a task that runs elsewhere, or of the branches.

    `call` names the parameter that is the input; `token` adds a task token.
    """
    if run.config.get("token"):
        run.token = run.tools.randomness.new_id()
    call = await run.taken()
    if "call" in run.config:
        call = call.get(run.config["call"], {}) if isinstance(call, dict) else {}
    token = {"token": run.token} if run.token else {}
    return {**run.state, **token, "call": call}


async def _start(run: Running) -> Json:
    """Return the start request of another state machine."""
    given = await run.taken()
    if not isinstance(given, dict):
        raise TaskFailure("States.Runtime", "the parameters of startExecution are an object")
    arn = given.get("StateMachineArn")
    workflow, version = machine_of(arn) if isinstance(arn, str) else ("", "")
    if not workflow:
        raise TaskFailure("States.Runtime", "StateMachineArn is neither an ARN nor a name")
    if version and run.config["computed"]:
        message = "a StateMachineArn with a version must be a constant"
        raise TaskFailure("States.Runtime", message)
    call = {"arn": arn, "workflow": workflow, "input": given.get("Input", {})}
    if "Name" in given:
        call["id"] = f"{workflow}:{given['Name']}"
    return {**run.state, "call": call}


async def _started(run: Running) -> Json:
    """Process an execution that is not awaited."""
    before, output = run.state
    run.state = before
    started = instant(run.tools.now_us())
    return await run.left({"ExecutionArn": output["executionId"], "StartDate": started}, before)


async def _ended(run: Running) -> Json:
    """Process a completed execution; with `text`, values are reported as JSON texts."""
    before, output = run.state
    run.state = before
    call, given = before["call"], before["call"]["input"]
    if run.config["text"]:
        given, output = orjson.dumps(given).decode(), orjson.dumps(output).decode()
    execution = {
        "Status": "SUCCEEDED",
        "StateMachineArn": call["arn"],
        "Input": given,
        "Output": output,
    }
    return await run.left(execution, before)


async def _result(run: Running) -> Json:
    """Process the output of a task that ran elsewhere; the state is `[value before, output]`."""
    before, output = run.state
    run.state = before
    if "version" in run.config:
        version = run.config["version"]
        output = {"ExecutedVersion": version, "Payload": output, "StatusCode": 200}
    return await run.left(output, before)


async def _sent(run: Running) -> Json:
    """Process the output or error that was sent with the task token."""
    before, _, sent = run.state
    run.state = before
    if not isinstance(sent, dict) or not ({"output", "error"} & sent.keys()):
        raise TaskFailure("States.Runtime", "a message with a task token needs output, or error")
    if "output" not in sent:
        cause = str(sent.get("cause", ""))
        raise TaskFailure(str(sent["error"]), cause, details={_SENT: True})
    return await run.left(sent["output"], before)


async def _publish(run: Running) -> Json:
    """Publish the events of a request and return the response of the service."""
    request = await run.taken()
    entries = request.get("Entries") if isinstance(request, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= ENTRIES_MAX:
        raise TaskFailure("States.Runtime", f"Entries is a list of 1 to {ENTRIES_MAX} events")
    events = [event_of(entry, run.attempt, n, run.tools.now_us) for n, entry in enumerate(entries)]
    for event in events:
        await publish(run.tools.publisher, run.attempt, event)
    answered = [{"EventId": event["id"]} for event in events]
    return await run.left({"Entries": answered, "FailedEntryCount": 0}, run.state)


async def _joined(run: Running) -> Json:
    """Join the branches of a Parallel; the state is the value before, then one per branch."""
    before, *branches = run.state
    run.state = before
    return await run.left([branch.get("data") for branch in branches], before)


async def _failed(run: Running) -> Json:
    """Handle an error: retry, go to a catcher, or raise the error."""
    if isinstance(run.state, list):
        # The failed node follows a group, whose first output is the value before it.
        run.state = run.state[0]
    config, failure = run.config, run.given["error"]
    details = failure.get("details")
    was_sent = isinstance(details, dict) and details.get(_SENT) is True
    of_function = bool(config.get("function")) and not was_sent
    name = _name_by_node(config.get("names", {}), failure) or error_name(
        failure["class"], details, of_function=of_function
    )
    message = failure.get("message", "")
    retriers = config.get("retry", [])
    earlier = run.state.get("retries") or {}
    counts = list(earlier.get("counts") or [0] * len(retriers))
    for number, retrier in enumerate(retriers):
        if matches(name, retrier["errors"]):
            wait = wait_before_retry(retrier, counts[number], run.tools.randomness.draw())
            if wait is None:
                break
            counts[number] += 1
            state = {**run.state, "retries": {"counts": counts}}
            return {**state, "wait": wait, "next": config["again"]}
    for catcher in config.get("catch", ()):
        if matches(name, catcher["errors"]):
            cause = cause_of_function(name, message) if of_function else message
            left = await _caught(run, catcher, {"Error": name, "Cause": cause})
            return {**left, "next": catcher["next"]}
    raise TaskFailure(name, message, details=details, node=failure.get("node", ""))


def _name_by_node(names: dict[str, Json], failure: dict[str, Json]) -> str:
    """Return the name of errors of the node that failed, or of one that contains it."""
    for part in failure.get("node", "").split("/") if names else ():
        if name := names.get(part.partition("[")[0]):
            return str(name)
    return ""


async def _caught(run: Running, catcher: dict[str, Json], error: Json) -> dict[str, Json]:
    """Return the initial value of the state that a catcher leads to."""
    if catcher.get("jsonata"):
        return await run.made(catcher, run.state, error, errorOutput=error)
    kept, data = kept_of(run.state), error
    if "assign" in catcher:
        assigned = fill_template(catcher["assign"], error, run.context, run.tools.randomness)
        kept["variables"] = {**kept["variables"], **assigned}
    if "result_path" in catcher:
        path = catcher["result_path"]
        keys = compile_reference(path).keys if path is not None else None
        data = run.data if keys is None else put(run.data, keys, error)
    return {**kept, "data": data}


_OPS: dict[str, Callable[[Running], Awaitable[Json]]] = {
    "pass": _pass,
    "http": _http,
    "choice": _choice,
    "fail": _fail,
    "wait": _wait,
    "before": _before,
    "start": _start,
    "started": _started,
    "ended": _ended,
    "result": _result,
    "sent": _sent,
    "publish": _publish,
    "joined": _joined,
    "items": maps.items,
    "mapped": maps.mapped,
    "files": maps.files,
    "written": maps.written,
    "failed": _failed,
}


def state_executor(tools: Tools) -> Executor:
    """Return the executor of `states.task`."""

    def prepare(_spec: TaskSpec, config: dict[str, Json]) -> StatesStep:
        return StatesStep(config, tools)

    return prepare
