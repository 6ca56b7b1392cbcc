"""The eight types of nodes of graph JSON, by the `data` of each.

`data` is open: unknown members are kept and have no effect, except in a custom worker's node; one
that resembles a known one is a warning.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from flowmesh.contract.durations import duration_ms, is_instant
from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.canonical import json_bytes
from flowmesh.definitions.formats.authentication import authentication_of
from flowmesh.definitions.formats.common import headers_of, javascript, method_of, url_of
from flowmesh.definitions.formats.native import bodies as native_bodies
from flowmesh.definitions.formats.native import links as native_links
from flowmesh.definitions.formats.steps import ACTIONS, read_task
from flowmesh.definitions.formats.task_types import warn_if_mistyped
from flowmesh.definitions.formats.triggers import read_receiver
from flowmesh.definitions.model import Dialect, Node, Task
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader

# Suffixes of the nodes added before and after a node.
BEFORE_SUFFIX = ":before"
AFTER_SUFFIX = ":after"
CONTEXT = frozenset({"context"})
_UNSUPPORTED = "FEATURE_UNSUPPORTED"
OPERATIONS = {"map": "map", "filter": "filter", "reduce": "reduce", "enrichment": "enrich"}
# JavaScript for one item or for a whole list, by type of transformation.
_EXPRESSIONS = {
    "map": "return input.map((item, index) => ({code}))",
    "filter": "return input.filter((item, index) => ({code}))",
    "reduce": "return input.reduce((result, item, index) => ({code}), {initial})",
    "enrichment": "return input.map((item, index) => ({{...item, ...({code})}}))",
}
# Members that mark `data` as a native task.
NATIVE_KEYS = ("taskRef", *native_links.KINDS, *native_bodies.KINDS)
# Own members in the data of a custom node; the rest is passed to its worker.
_OWN_MEMBERS = frozenset(
    {"taskType", "handlerId", "timeout", "retryPolicy", "inputSchema", "outputSchema"}
)
_PAYLOAD = re.compile(r"\{\{\s*payload\b")


@dataclass(frozen=True, slots=True)
class NodeTask:
    """The task of a node; `before` runs first and takes the incoming edges."""

    task: Task | None = None
    input: Json = None
    has_input: bool = False
    before: Node | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A node that is being read: its id, its data, and its predecessor if it continues an
    output.
    """

    id: str
    data: Reader
    previous: str

    def task(
        self,
        type: str,
        executor: str,
        config: dict[str, Json],
        dialect: Dialect = Dialect.STEPS,
        places: dict[Path, Path] | None = None,
    ) -> Task:
        return Task(
            type=type,
            executor=executor,
            config=config,
            dialect=dialect,
            input_schema=self.data.raw("inputSchema"),
            output_schema=self.data.raw("outputSchema"),
            path=self.data.path,
            config_path=self.data.path,
            places=places or {},
        )

    def given(self, task: Task, default: str) -> NodeTask:
        """Return a task with `data.input` as its input, by default the template `default`."""
        value = self.data.raw("input") if self.data.has("input") else default
        return NodeTask(replace(task, dialect=Dialect.NATIVE), input=value, has_input=True)

    def problem(self, message: str, *keys: str, code: str = "DEFINITION_INVALID") -> None:
        self.data.problems.add(code, message, (*self.data.path, *keys))


def read_node_task(kind: str, place: Place) -> NodeTask:
    return _TYPES[kind](place)


def _function(place: Place) -> NodeTask:
    data = place.data
    name = data.text("functionName")
    if data.has("handlerId"):
        if data.has("functionCode"):
            place.problem("a function has either functionCode or handlerId, not both", "handlerId")
        handler = data.identifier("handlerId", "the task type of a worker")
        return place.given(place.task("function", handler, {}), "{{context}}")
    code = javascript(data, "functionCode")
    if name and re.search(rf"\b(?:function\*?|const|let|var|class)\s+{re.escape(name)}\b", code):
        code += f"\nreturn {name}(input, context)"
    places: dict[Path, Path] = {("code",): (*data.path, "functionCode")}
    task = place.task("function", "function", {"code": code}, places=places)
    if task.input_schema is None and not data.has("input"):
        return NodeTask(task)
    return place.given(task, "{{context}}")


def _http(place: Place) -> NodeTask:
    data = place.data
    config: dict[str, Json] = {
        "method": method_of(data),
        "url": url_of(data, "url", required=True),
    }
    if headers := headers_of(data):
        config["headers"] = headers
    if data.has("body"):
        config["body"] = data.raw("body")
    elif data.flag("sendContext", False):
        config["send_context"] = True
    if data.raw("authentication") is not None:
        config["authentication"] = authentication_of(data.object("authentication"))
    return NodeTask(place.task("http", "http.request", config))


def _delay(place: Place) -> NodeTask:
    data = place.data
    kind = _word(place, "delayType", ("fixed", "until", "expression"))
    value = data.raw("delayValue")
    if not data.has("delayValue"):
        data.missing("delayValue", "ms, an instant such as 2030-01-31T08:00:00Z, or an expression")
        value = 0
    places: dict[Path, Path] = {("duration",): (*data.path, "delayValue")}
    if isinstance(value, str) and "{{" not in value and kind == "expression":
        return _computed_delay(place, value, places)
    if kind == "fixed" and isinstance(value, str) and "{{" not in value:
        value = int(value) if value.isdecimal() and len(value) < 20 else duration_ms(value)
    until = isinstance(value, str) and ("{{" in value or is_instant(value))
    if kind == "until" and not until:
        data.wrong("delayValue", "an instant such as 2030-01-31T08:00:00Z, or a template")
    elif not isinstance(value, str):
        most = limits.DELAY_MS_MAX
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            message = f"delayValue must be a whole number of ms, from 0 to {most}"
            place.problem(message, "delayValue", code="TIMEOUT_INVALID")
            value = 0
    return NodeTask(place.task("delay", "delay", {"duration": value}, places=places))


def _computed_delay(place: Place, code: str, places: dict[Path, Path]) -> NodeTask:
    """Return a delay computed by JavaScript: a function before the timer."""
    hidden = place.id + BEFORE_SUFFIX
    config = {"code": f"return ({code}\n)"}
    found: dict[Path, Path] = {("code",): places["duration",]}
    task = Task("function", "function", config, Dialect.STEPS, path=place.data.path, places=found)
    name = f"how long {place.id} waits"
    before = Node(hidden, place.data.path, name=name, task=task, hidden=True)
    duration = {"duration": f'{{{{context["{hidden}"]}}}}'}
    return NodeTask(place.task("delay", "delay", duration, places=places), before=before)


def _transformation(place: Place) -> NodeTask:
    data = place.data
    kind = _word(place, "transformationType", tuple(OPERATIONS))
    if not data.has("transformationConfig"):
        data.missing("transformationConfig", "parameters of the operation, or an expression")
    config = data.object("transformationConfig")
    places: dict[Path, Path] = {}
    if data.raw("template") is not None:
        message = "a template of a transformation has no meaning here; transformationConfig has"
        place.problem(message, "template", code=_UNSUPPORTED)
    if config.has("expression"):
        code = config.required_text("expression", "JavaScript over item and index")
        initial = config.raw("initial")
        made = _EXPRESSIONS[kind].format(code=code, initial=json_bytes(initial).decode())
        does: dict[str, Json] = {"code": made}
        places["code",] = (*config.path, "expression")
    else:
        does = {"pipeline": [{"operation": OPERATIONS[kind], **config.value}]}
        places["pipeline", 0] = config.path
        places["pipeline",] = config.path
    previous = f'{{{{tasks["{place.previous}"].output}}}}' if place.previous else "{{context}}"
    return place.given(place.task("transformation", "transform", does, places=places), previous)


def _decision(place: Place) -> NodeTask:
    # Its conditions are known once its edges are read.
    return NodeTask(place.task("decision", "decision", {}))


def _webhook(place: Place) -> NodeTask:
    """Return a receiver: it waits for a signal; a task behind it checks and transforms the
    payload.
    """
    data = place.data
    signal_name = data.identifier("webhookId", "", required=False) or place.id
    does = {"name": signal_name, "receiver": asdict(read_receiver(data))}
    signal = Task("webhook", "signal", does, Dialect.STEPS, path=data.path)
    template, schema = data.raw("transformationTemplate"), _payload_schema(data)
    if template is None and schema is None:
        return NodeTask(signal)
    hidden = place.id + BEFORE_SUFFIX
    name = f"the call of {place.id}"
    before = Node(hidden, data.path, name=name, task=signal, hidden=True)
    received = f'tasks["{hidden}"].output'
    value: Json = f"{{{{{received}}}}}"
    config: dict[str, Json] = {"pipeline": []}
    if template is not None:
        value = {"payload": value, "value": _with_payload(template, f"{{{{{received}")}
        config["input_key"] = "value"
        # Its own schema, so that references into it still resolve.
        within = (
            {"$id": "urn:payload", **schema} if isinstance(schema, dict) else schema is not False
        )
        schema = {"properties": {"payload": within}}
    task = place.task("webhook", "transform", config, Dialect.NATIVE)
    task = replace(task, input_schema=schema)
    return NodeTask(task, input=value, has_input=True, before=before)


def _payload_schema(data: Reader) -> Json:
    """Return the schema, or None if it is missing or wrong, which the receiver reports."""
    # Imported here: the checks read definitions, and the formats belong to those.
    from flowmesh.definitions.schema_checks import check_schema

    schema = data.raw("payloadSchema")
    return schema if check_schema(schema, (), Problems()) else None


def _with_payload(template: Json, received: str) -> Json:
    if isinstance(template, str):
        return _PAYLOAD.sub(lambda _: received, template)
    if isinstance(template, dict):
        return {key: _with_payload(value, received) for key, value in template.items()}
    if isinstance(template, list):
        return [_with_payload(value, received) for value in template]
    return template


def _trigger(place: Place) -> NodeTask:
    kind = _word(place, "triggerType", ("manual", "api", "scheduled", "event"))
    place.data.object("config")
    if kind in ("scheduled", "event") and not place.data.has("config"):
        place.data.missing("config", "when it fires, such as {cron: ...} or {type: ...}")
    return NodeTask(place.task("trigger", "noop", {}))


def _custom(place: Place) -> NodeTask:
    data = place.data
    if data.has("action"):
        return NodeTask(read_task(data))
    key = "handlerId" if "handlerId" in data.value and "taskType" not in data.value else "taskType"
    handler = data.identifier(key, "the task type of a worker")
    if key == "taskType" and handler not in ACTIONS:
        warn_if_mistyped(data, key, ACTIONS)
    if data.has("input"):
        return place.given(place.task("custom", handler, {}), "")
    config = {name: value for name, value in data.value.items() if name not in _OWN_MEMBERS}
    return NodeTask(place.task("custom", handler, config))


def _word(place: Place, key: str, words: tuple[str, ...]) -> str:
    """Return one of the words; the first if missing or wrong, which is noted."""
    value = place.data.raw(key)
    if value in words and isinstance(value, str):
        return value
    if not place.data.has(key):
        place.data.missing(key, "one of " + ", ".join(words))
    else:
        place.problem(f"{key} must be one of {', '.join(words)}, not {str(value)[:64]!r}", key)
    return words[0]


_TYPES: dict[str, Callable[[Place], NodeTask]] = {
    "function": _function,
    "http": _http,
    "decision": _decision,
    "webhook": _webhook,
    "trigger": _trigger,
    "delay": _delay,
    "transformation": _transformation,
    "custom": _custom,
}
NODE_TYPES = tuple(_TYPES)
