"""`serverless.task`: a task of Serverless Workflow, with its input and output processing.

Its input is `{"state": …}` with the value of the machine: `data` that flows from task to task, the
`context`, variables by name (`vars`), and a frame for each open block of tasks. Its output is the
next such value, or for a switch `{"next": …}`. `flowmesh.definitions.formats` makes the `config`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Output, Step
from flowmesh.executors.code.jq import Jq
from flowmesh.executors.failures import INTERNAL, TaskFailure, invalid
from flowmesh.executors.schemas import SchemaCheck
from flowmesh.executors.serverless.calls import Calls, authorization_of
from flowmesh.executors.serverless.events import Emitter
from flowmesh.executors.serverless.listen import PROBLEM_CHARACTERS_MAX, ConsumedEvents
from flowmesh.executors.serverless.retry import wait_before_retry
from flowmesh.jsontext.masks import texts_of, without
from flowmesh.standards.jq_values import variables_in
from flowmesh.standards.problem_details import canonical, error_of
from flowmesh.tasktypes.builtin.standards import SERVERLESS_TASK

TYPE = SERVERLESS_TASK.name
_RUNTIME = {"name": "Flowmesh", "version": "1", "metadata": {}}


@dataclass(frozen=True, slots=True)
class Tools:
    """Collaborators of tasks. `draw` returns numbers from 0 to 1 for the jitter of retries.

    Without an `emitter`, tasks that emit events fail.
    """

    jq: Jq
    calls: Calls
    emitter: Emitter | None
    now_us: Callable[[], int]
    draw: Callable[[], float]


class ServerlessStep(Step):
    """One task with its compiled schema checks."""

    def __init__(self, config: dict[str, Json], tools: Tools) -> None:
        self.config = config
        self.tools = tools
        self.run_op = _OPS[config["op"]]
        self._checks = {
            key: SchemaCheck(orjson.dumps(config[key]), what)
            for key, what in _SCHEMAS.items()
            if key in config
        }

    async def run(self, attempt: Attempt) -> Output:
        running = _Running(self, attempt)
        try:
            return Output.of(without(await self.run_op(running), running.secret_texts))
        except TaskFailure as failure:
            raise running.standard_error(failure) from (None if running.secret_texts else failure)
        except Exception:
            if not running.secret_texts:
                raise
            # The text of the error is logged and could contain a secret.
            raise TaskFailure(INTERNAL, "the task failed while it used a secret") from None

    def check(self, key: str, value: Json) -> None:
        if key in self._checks:
            self._checks[key].check(value)


_KEPT = frozenset({"data", "context", "vars", "frames"})
_SCHEMAS = {"input_schema": "input", "output_schema": "output", "export_schema": "context"}


class _Running:
    """One attempt of a task."""

    def __init__(self, step: ServerlessStep, attempt: Attempt) -> None:
        self.step = step
        self.config = step.config
        self.attempt = attempt
        self.given: dict[str, Json] = attempt.value
        state: Json = self.given["state"]
        # After a group, or after a failed task that follows one: the value before the group.
        self.state: dict[str, Json] = state[0] if isinstance(state, list) else state
        self._names: dict[str, Json] = {}
        # Texts of the used secrets, which are masked in the output.
        self.secret_texts: set[str] = set()
        self._started_us = step.tools.now_us()

    @property
    def data(self) -> Json:
        return self.state.get("data")

    @property
    def frames(self) -> list[dict[str, Json]]:
        return list(self.state.get("frames") or ())

    @property
    def kept(self) -> dict[str, Json]:
        """Return the value without the members for the next node only."""
        return {key: value for key, value in self.state.items() if key in _KEPT}

    def named(self, **names: Json) -> None:
        """Bind variables of the following expressions."""
        self._names.update(names)

    async def value(self, made: dict[str, Json], data: Json) -> Json:
        """Return a configured `{"value"}`, or evaluate `{"jq"}` over the data."""
        if "jq" not in made:
            return made["value"]
        program = made["jq"]
        used = variables_in(program)
        known = {name: value() for name, value in self._known().items() if name in used}
        names = {**(self.state.get("vars") or {}), **self._names}
        known |= {name: value for name, value in names.items() if name in used}
        return await self.step.tools.jq(program, data, known, self.attempt.timeout_ms)

    async def request(self, data: Json) -> dict[str, Json]:
        """Return the request to a service; texts derived from secrets are secrets too."""
        request: dict[str, Json] = await self.value(self.config["request"], data)
        if self.secret_texts:
            made = authorization_of(request.get("auth") or {}).values()
            self.secret_texts.update(text.rpartition(" ")[2] for text in made)
        return request

    def _known(self) -> dict[str, Callable[[], Json]]:
        return {
            "context": lambda: self.state.get("context"),
            "input": lambda: self.data,
            "runtime": lambda: _RUNTIME,
            "secrets": self._secrets,
            "workflow": self._workflow,
            "task": self._task,
        }

    def _secrets(self) -> Json:
        found = {name: self.attempt.secrets[name] for name in self.config["secrets"]}
        self.secret_texts.update(texts_of(found))
        return found

    def _workflow(self) -> Json:
        return {
            "id": self.given.get("execution"),
            "input": self.given.get("input"),
            "definition": self.config.get("definition"),
        }

    def _task(self) -> Json:
        return {
            "name": self.config["name"],
            "reference": self.config["at"],
            "definition": self.config.get("task"),
            "input": self.data,
            "output": self._names.get("raw_output"),
            "startedAt": _moment(self._started_us),
        }

    def standard_error(self, failure: TaskFailure) -> TaskFailure:
        """Return the failure as an error of the standard."""
        message = without(failure.message, self.secret_texts)
        details = without(failure.details, self.secret_texts)
        problem = error_of(failure.class_, message, details, self.config["at"])
        return fault({"instance": self.config["at"], **problem}, message, details)


def fault(problem: dict[str, Json], message: str, details: Mapping[str, Json]) -> TaskFailure:
    """Return an error of the standard as a failure; its type is the failure class."""
    return TaskFailure(str(problem["type"]), message, details={**details, "problem": problem})


def _moment(at_us: int) -> Json:
    moment = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    epoch = {"seconds": at_us // 1_000_000, "milliseconds": at_us // 1_000}
    return {"iso8601": moment.isoformat(timespec="milliseconds"), "epoch": epoch}


async def _shaped(run: _Running, do: Callable[[Json], Awaitable[Json]]) -> Json:
    """Run a task with its `if`, `input`, `output` and `export`."""
    config = run.config
    if "if" in config and not _holds(await run.value(config["if"], run.data)):
        return run.state
    taken = await _taken(run)
    run.named(input=taken)
    return await _left(run, await do(taken), run.kept)


async def _taken(run: _Running) -> Json:
    """Return the transformed input."""
    run.step.check("input_schema", run.data)
    if "from" not in run.config:
        return run.data
    return await run.value(run.config["from"], run.data)


async def _left(run: _Running, raw: Json, state: dict[str, Json]) -> Json:
    """Return the state after a task with the raw output `raw`."""
    config = run.config
    run.named(raw_output=raw)
    output = await run.value(config["as"], raw) if "as" in config else raw
    run.step.check("output_schema", output)
    context = state.get("context")
    if "export" in config:
        run.named(output=output)
        context = await run.value(config["export"], output)
        run.step.check("export_schema", context)
    return {**state, "data": output, "context": context}


def _holds(value: Json) -> bool:
    return value is not None and value is not False


async def _set(run: _Running) -> Json:
    return await _shaped(run, lambda taken: run.value(run.config["set"], taken))


async def _raise(run: _Running) -> Json:
    async def do(taken: Json) -> Json:
        problem = await run.value(run.config["error"], taken)
        if not isinstance(problem["type"], str):
            raise invalid("the type of the error must be a text")
        problem = {"instance": run.config["at"], **problem, "type": canonical(problem["type"])}
        raise fault(problem, str(problem.get("detail") or problem.get("title") or "raised"), {})

    return await _shaped(run, do)


async def _request(run: _Running) -> Json:
    calls = run.step.tools.calls
    send = calls.openapi if run.config["op"] == "openapi" else calls.http

    async def do(taken: Json) -> Json:
        return await send(await run.request(taken), run.config, run.attempt)

    return await _shaped(run, do)


async def _script(run: _Running) -> Json:
    async def do(taken: Json) -> Json:
        config, calls = run.config, run.step.tools.calls
        arguments = await run.value(config["arguments"], taken)
        environment = await run.value(config.get("environment") or {"value": {}}, taken)
        return await calls.script(config, arguments, environment, run.attempt)

    return await _shaped(run, do)


async def _emit(run: _Running) -> Json:
    """Emit an event; it is the output."""

    async def do(taken: Json) -> Json:
        if run.step.tools.emitter is None:
            raise invalid("this worker has no publisher for events")
        event = await run.value(run.config["event"], taken)
        return await run.step.tools.emitter.emit(event, run.attempt)

    return await _shaped(run, do)


async def _switch(run: _Running) -> Json:
    """Choose the case that holds; the program returns its index."""
    taken = await _taken(run)
    run.named(input=taken)
    index = await run.value(run.config["case"], taken)
    return {"next": run.config["to"][index]}


async def _enter(run: _Running) -> Json:
    """Open a block of tasks: store the state to restore when the block ends or fails.

    The block of a function starts with the arguments instead of its data.
    """
    taken = await _taken(run)
    run.named(input=taken)
    data = await run.value(run.config["arguments"], taken) if "arguments" in run.config else taken
    frame = {"input": taken, "vars": run.state.get("vars") or {}}
    if "items" in run.config:
        frame["items"] = await _items(run, taken)
    return {**run.kept, "data": data, "frames": [*run.frames, frame]}


async def _items(run: _Running, taken: Json) -> list[Json]:
    items = await run.value(run.config["items"], taken)
    if not isinstance(items, list):
        raise invalid("for.in must be a list")
    return items


async def _leave(run: _Running) -> Json:
    """Close a block; its data is the raw output of the block task."""
    *frames, frame = run.frames
    run.named(input=frame["input"])
    state = {**run.kept, "frames": frames, "vars": frame["vars"]}
    return await _left(run, run.data, state)


async def _loop(run: _Running) -> Json:
    """Start the next round of a `for`, or end it."""
    *frames, frame = run.frames
    index = frame.get("index", -1) + 1
    config = run.config
    if index < len(frame["items"]):
        bound = {config["each"]: frame["items"][index], config["position"]: index}
        run.named(**bound, input=frame["input"])
        if "while" not in config or _holds(await run.value(config["while"], run.data)):
            names = {**frame["vars"], **bound}
            frames = [*frames, {**frame, "index": index}]
            return {**run.kept, "frames": frames, "vars": names, "next": config["body"]}
    return {**run.kept, "next": config["after"]}


async def _caught(run: _Running) -> Json:
    """Handle an error in a `try`: retry, run its handler, or raise the error.

    Frames opened by the failed tasks are closed.
    """
    config, failure = run.config, run.given["error"]
    frames = run.frames[: config["depth"]]
    *frames, frame = frames
    details = failure.get("details")
    place = config["places"].get(str(failure.get("node", "")).rpartition("/")[2], config["at"])
    problem = error_of(failure["class"], failure.get("message", ""), details, place)
    thrown = fault(problem, failure.get("message", ""), details or {})
    run.named(**{config["name_of_error"]: problem}, input=frame["input"])
    if not _matches(config["with"], problem) or not await _when(run, config, frame):
        raise thrown
    state = {**run.kept, "data": frame["input"], "vars": frame["vars"]}
    if "retry" in config and await _when(run, config["retry"], frame):
        now_ms = run.step.tools.now_us() // 1_000
        tries = frame.get("tries", 0) + 1
        since = frame.get("since", now_ms)
        draw = run.step.tools.draw()
        wait = wait_before_retry(config["retry"], tries, now_ms - since, draw)
        if wait is not None:
            frames = [*frames, {**frame, "tries": tries, "since": since}]
            return {**state, "frames": frames, "wait": wait, "next": config["again"]}
    if "handler" not in config:
        # Raise the error if retries are exhausted and no handler exists.
        if "retry" in config:
            raise thrown
        return {**state, "frames": [*frames, frame], "next": config["after"]}
    names = {**frame["vars"], config["name_of_error"]: problem}
    return {**state, "frames": [*frames, frame], "vars": names, "next": config["handler"]}


def _matches(wanted: dict[str, Json], problem: dict[str, Json]) -> bool:
    if "type" in wanted:
        wanted = {**wanted, "type": canonical(str(wanted["type"]))}
    return all(problem.get(key) == value for key, value in wanted.items())


async def _when(run: _Running, config: dict[str, Json], frame: dict[str, Json]) -> bool:
    if "when" in config and not _holds(await run.value(config["when"], frame["input"])):
        return False
    return "except_when" not in config or not _holds(
        await run.value(config["except_when"], frame["input"])
    )


async def _wait(run: _Running) -> Json:
    """Return the duration for the timer that follows."""
    return {**run.kept, "wait": await run.value(run.config["duration"], run.data)}


async def _join(run: _Running) -> Json:
    """Join the branches of a fork; the input is the value before them, then one per branch."""
    before, *branches = run.given["state"]
    context = before.get("context")
    for branch in branches:
        after = branch.get("context")
        if isinstance(context, dict) and isinstance(after, dict):
            context = {**context, **after}
        else:
            context = after
    return {**before, "data": [branch.get("data") for branch in branches], "context": context}


async def _heard(run: _Running) -> Json:
    """Return the events of signals as the output of a `listen`."""
    before, *events = run.given["state"]
    if run.config.get("several"):
        [events] = events
    return {**before, "data": events}


async def _listen(run: _Running) -> Json:
    """Evaluate the filters of a `listen` over an event: end, or wait for the next one."""
    _, event = run.given["state"]
    config, consumed = run.config, ConsumedEvents.of(run.state.get("heard"))
    run.named(input=run.data)
    if "until" in config:
        matches = await run.value(config["until"]["matches"], event)
        if consumed.ends_with(config["until"], matches):
            return {**run.kept, "heard": consumed.to_json(), "next": config["done"]}
    matches = await run.value(config["wanted"]["matches"], event)
    read = event if config["read"] == "envelope" else event.get("data")
    took = consumed.take(config["wanted"], matches, read)
    over = consumed.complete and not config.keys() & {"until", "condition"}
    if took and "condition" in config:
        try:
            over = _holds(await run.value(config["condition"], consumed.events))
        except TaskFailure as failure:
            consumed.problem = f"until: {failure}"[:PROBLEM_CHARACTERS_MAX]
    following = config["done"] if over else config["again"]
    return {**run.kept, "heard": consumed.to_json(), "next": following}


async def _listened(run: _Running) -> Json:
    """End a `listen` with the consumed events, or raise the error that ended it."""
    _rethrow(run)
    return {**run.kept, "data": ConsumedEvents.of(run.state.get("heard")).events}


async def _late(run: _Running) -> Json:
    return {**run.kept, "late": True}


async def _held(run: _Running) -> Json:
    """Store an error of a block with a time limit until its timer is stopped."""
    failure = run.given["error"]
    return {**run.kept, "thrown": failure}


def _rethrow(run: _Running) -> None:
    """Raise the stored error, if any."""
    thrown = run.state.get("thrown")
    if thrown is not None:
        message, details = thrown.get("message", ""), thrown.get("details")
        problem = error_of(thrown["class"], message, details, run.config["at"])
        raise fault(problem, message, details or {})


async def _timely(run: _Running) -> Json:
    """End a block with a time limit: raise its error, or a timeout."""
    _rethrow(run)
    if run.state.get("late"):
        text = f"{run.config['name']} did not end within {run.config['timeout_ms']} ms"
        raise fault(error_of("Timeout", text, None, run.config["at"]), text, {})
    return run.kept


async def _prepare(run: _Running) -> Json:
    """Return the arguments of a task that runs elsewhere, and its input."""
    taken = await _taken(run)
    run.named(input=taken)
    call = await run.value(run.config["arguments"], taken)
    return {**run.kept, "call": call, "taken": taken}


async def _result(run: _Running) -> Json:
    """Process the output of a task that ran elsewhere: `[value before, output]`."""
    _, output = run.given["state"]
    run.named(input=run.state["taken"])
    return await _left(run, output, run.kept)


async def _started(run: _Running) -> Json:
    """Process a task that is not awaited; its output is its input."""
    run.named(input=run.state["taken"])
    return await _left(run, run.state["taken"], run.kept)


_OPS: dict[str, Callable[[_Running], Awaitable[Json]]] = {
    "set": _set,
    "raise": _raise,
    "http": _request,
    "openapi": _request,
    "script": _script,
    "emit": _emit,
    "switch": _switch,
    "enter": _enter,
    "leave": _leave,
    "loop": _loop,
    "caught": _caught,
    "wait": _wait,
    "join": _join,
    "heard": _heard,
    "listen": _listen,
    "listened": _listened,
    "late": _late,
    "held": _held,
    "timely": _timely,
    "prepare": _prepare,
    "result": _result,
    "started": _started,
}
