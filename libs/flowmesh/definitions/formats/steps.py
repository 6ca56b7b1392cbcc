"""Step JSON: `steps[]` with `action`, `params`, `dependencies`, and a shared context.

Unknown members are kept and returned, with a warning. A step without an action succeeds at once.
"""

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.authentication import authentication_of
from flowmesh.definitions.formats.common import (
    callbacks_of,
    headers_of,
    javascript,
    method_of,
    node_list,
    retry_of,
    transform_config,
    url_of,
)
from flowmesh.definitions.formats.native import calls
from flowmesh.definitions.formats.native.blocks import reader_of
from flowmesh.definitions.formats.native.outcomes import read_outcome
from flowmesh.definitions.formats.search_attributes import read_retention, read_search
from flowmesh.definitions.formats.start_policy import read_start
from flowmesh.definitions.formats.task_limits import read_limits, read_permissions, read_requires
from flowmesh.definitions.formats.task_types import warn_if_mistyped
from flowmesh.definitions.formats.triggers import read_triggers
from flowmesh.definitions.model import STEPS_RETRY, Dialect, Node, Priority, Retry, Task, Workflow
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.tasktypes import TASK_TYPES
from flowmesh.tasktypes.builtin.control import NOOP

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
ACTIONS = {
    "": NOOP,
    **{each.name: each for each in TASK_TYPES.values() if each.action == "read"},
}
"""The built-in task types by their action; a step without an action is a noop."""
# Built-in task types that are no actions.
_REFUSED = frozenset(each.name for each in TASK_TYPES.values() if each.action == "refused")
_PRIORITIES = tuple(priority.name for priority in Priority)
# Descriptive members, returned with the document.
_DESCRIPTIVE = ("description", "version", "type", "metadata")


def load(reader: Reader) -> Workflow:
    workflow_id = reader.identifier("id", "the id of the workflow")
    _descriptive(reader)
    steps = node_list(reader, "steps")
    webhooks = reader.object("webhooks")
    workflow = Workflow(
        id=workflow_id,
        name=reader.text("name") or workflow_id,
        dialect=Dialect.STEPS,
        nodes=tuple(_nodes(steps, reader)),
        input_schema=reader.raw("inputSchema"),
        output_schema=reader.raw("outputSchema"),
        parallelism=reader.integer("maxConcurrency", 0, 0, limits.NODES_MAX),
        timeout_ms=read_timeout(reader),
        callbacks=callbacks_of(webhooks),
        labels=reader.labels(),
        nodes_path=("steps",),
        search=read_search(reader),
        retention_ms=read_retention(reader),
        start=read_start(reader),
        triggers=read_triggers(reader, workflow_id),
        limits=read_limits(reader),
    )
    webhooks.warn_of_unknown()
    reader.warn_of_unknown()
    return workflow


def _descriptive(reader: Reader) -> None:
    reader.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    for key in _DESCRIPTIVE:
        reader.has(key)


def read_timeout(reader: Reader) -> int:
    least, most = limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX
    if reader.raw("timeout") is None:
        return 0
    return _milliseconds(reader, "timeout", least, most)


def _milliseconds(reader: Reader, key: str, least: int, most: int) -> int:
    if isinstance(reader.raw(key), str):
        reader.wrong(key, "a whole number of ms such as 5000", "TIMEOUT_INVALID")
        return 0
    return reader.integer(key, 0, least, most, "TIMEOUT_INVALID")


def _nodes(steps: list[Json], outer: Reader) -> list[Node]:
    found = []
    for index, step in enumerate(steps):
        path: Path = ("steps", index)
        if isinstance(step, dict):
            found.append(_node(Reader(step, path, outer.problems)))
        else:
            message = f"a step is an object, not {kind_of(step)}"
            outer.problems.add("DEFINITION_INVALID", message, path)
    return found


def _node(reader: Reader) -> Node:
    step_id = reader.identifier("id", "the name of the step")
    _descriptive(reader)
    node = Node(
        id=step_id,
        path=reader.path,
        name=reader.text("name") or step_id,
        task=read_task(reader),
        dependencies=reader.identifiers("dependencies"),
        dependencies_key="dependencies",
        retry=read_retry(reader),
        timeout_ms=read_timeout(reader),
        critical=reader.flag("critical", True),
        priority=Priority[reader.choice("priority", _PRIORITIES, Priority.NORMAL.name)],
        queue=reader.identifier("queue", "", required=False),
        cache=calls.read_cache(reader, Reader.integer),
        limits=read_limits(reader),
        requires=read_requires(reader),
        permissions=read_permissions(reader),
        repeatable=reader.flag("repeatable", False),
        outcome=read_outcome(reader, step_id, frozenset()),
    )
    reader.warn_of_unknown()
    return node


def read_retry(reader: Reader) -> Retry | None:
    if reader.raw("retryPolicy") is None:
        return None
    policy = reader.object("retryPolicy")
    most = limits.RETRY_DELAY_MS_MAX
    retry = retry_of(
        policy,
        STEPS_RETRY,
        multiplier="backoffMultiplier",
        initial_delay_ms=policy.integer(
            "initialDelay", STEPS_RETRY.initial_delay_ms, 0, most, "RETRY_INVALID"
        ),
        max_delay_ms=policy.integer("maxDelay", STEPS_RETRY.max_delay_ms, 0, most, "RETRY_INVALID"),
    )
    policy.warn_of_unknown()
    return retry


def read_task(reader: Reader) -> Task:
    """Return the task of `action` and `params`."""
    action = reader.identifier("action", "", required=False)
    if action in _REFUSED:
        known = ", ".join(filter(None, ACTIONS))
        message = f"{action} is no action of step JSON; use one of {known}, or a task type of yours"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "action"))
        action = NOOP.name
    params = reader.object("params")
    task_type = ACTIONS.get(action)
    config = dict(params.value) if task_type is None else reader_of(task_type, action=True)(params)
    if task_type is not None:
        params.warn_of_unknown()
    else:
        warn_if_mistyped(reader, "action", ACTIONS)
    return Task(
        type=action or NOOP.name,
        executor=action if task_type is None else task_type.name,
        config=config,
        dialect=Dialect.STEPS,
        path=reader.path,
        config_path=params.path,
    )


def read_http(params: Reader) -> dict[str, Json]:
    method = method_of(params)
    config: dict[str, Json] = {"method": method, "url": url_of(params, "url", required=True)}
    if headers := headers_of(params):
        config["headers"] = headers
    if params.has("body"):
        config["body"] = params.raw("body")
    elif method in _BODY_METHODS:
        config["send_context"] = True
    if params.raw("authentication") is not None:
        config["authentication"] = authentication_of(params.object("authentication"))
    return config


def read_delay(params: Reader) -> dict[str, Json]:
    duration = params.raw("duration")
    if isinstance(duration, str) and "{{" in duration:
        return {"duration": duration}
    if duration is None:
        params.missing("duration", "the delay in ms")
    return {"duration": _milliseconds(params, "duration", 0, limits.DELAY_MS_MAX)}


def read_transform(params: Reader) -> dict[str, Json]:
    config = transform_config(params)
    if not config:
        config["code"] = _code(params)
    if key := params.text("inputKey"):
        config["input_key"] = key
    return config


def _code(params: Reader) -> str:
    return params.required_text("code", "JavaScript that returns the output")


def read_function(params: Reader) -> dict[str, Json]:
    return {"code": javascript(params, "code")}


def read_condition(params: Reader) -> dict[str, Json]:
    expression = params.required_text("expression", "a JavaScript expression over context")
    return {"expression": expression, "language": "javascript"}
