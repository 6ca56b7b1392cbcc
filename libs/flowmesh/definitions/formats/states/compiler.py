"""Compiler from Amazon States Language documents to nodes.

Every state becomes one or several nodes; the first has its name. Behind a state that may fail
stands a node that handles the error, with a timer for retries.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.machines import Machine, catch_all
from flowmesh.definitions.formats.states.rules import (
    assigned_in,
    check_lookups,
    check_names,
    check_transitions,
)
from flowmesh.definitions.model import Follow, Node
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards import choices, jsonata
from flowmesh.standards.paths import PathInvalid, compile_path, compile_reference
from flowmesh.standards.payloads import compile_lookup, problems_of

JsonObject = dict[str, Json]
_INVALID = "EXPRESSION_INVALID"
# Marks a configuration whose templates are JSONata.
JSONATA = "jsonata"
_EXPRESSIONS = {"Arguments": "arguments", "Output": "output", "Assign": "assign"}
_BEFORE = ("input_path", "parameters", "arguments")
_PATHS = {"InputPath": "input_path", "OutputPath": "output_path"}
_TEMPLATES = {
    "Parameters": "parameters",
    "ResultSelector": "result_selector",
    "Assign": "assign",
}
_SECONDS_MAX = limits.RETRY_DELAY_MS_MAX // 1_000
# Suffix of resources whose result is sent with a task token.
TOKEN_SUFFIX = ".waitForTaskToken"  # noqa: S105 - no password


def has_token(state: Reader) -> bool:
    resource = state.value.get("Resource")
    return isinstance(resource, str) and resource.endswith(TOKEN_SUFFIX)


def is_distributed(state: Mapping[str, Json]) -> bool:
    """Return whether a Map is distributed."""
    for key in ("ItemProcessor", "Iterator"):
        processor = state.get(key)
        configuration = processor.get("ProcessorConfig") if isinstance(processor, dict) else None
        if isinstance(configuration, dict) and configuration.get("Mode") == "DISTRIBUTED":
            return True
    return False


def unsupported(problems: Problems, feature: str, path: Path, why: str = "") -> None:
    """Refuse a feature of the language by its name."""
    message = f"{feature} is not supported" + (f": {why}" if why else "")
    problems.add("FEATURE_UNSUPPORTED", message, path)


@dataclass(frozen=True, slots=True)
class StateContext:
    """One state to compile; `entry` is the id of its first node, `after` that of its successor.

    `catch` is the id of the node that handles its errors, empty if there is none.
    """

    compiler: "Compiler"
    machine: Machine
    reader: Reader
    name: str
    entry: str
    after: str
    catch: str
    states: Mapping[str, str]
    jsonata: bool = False

    @property
    def path(self) -> Path:
        return self.reader.path

    @property
    def problems(self) -> Problems:
        return self.reader.problems

    def new(self, what: str) -> str:
        return self.machine.names.new(f"{self.name}:{what}")

    @property
    def has_token(self) -> bool:
        """Return whether the result of this task is sent with its token."""
        return has_token(self.reader)

    def refuse(self, feature: str, *below: str | int, why: str = "") -> None:
        unsupported(self.problems, feature, (*self.path, *below), why)

    @property
    def parameters(self) -> str:
        """Return the name of the member with a task's parameters."""
        return "Arguments" if self.jsonata else "Parameters"

    def shape(self, *keys: str, assigns: bool = True) -> JsonObject:
        """Return the input and output processing of a state with these members."""
        if self.jsonata:
            called = ("Arguments",) if "ResultSelector" in keys and "Parameters" in keys else ()
            return expressions_of(self.reader, (*called, "Output", *("Assign",) * assigns))
        return shape_of(self.reader, (*keys, *("Assign",) * assigns))

    def split(self, shape: JsonObject) -> tuple[JsonObject, JsonObject]:
        """Split the processing into that of the input and that of the result."""
        before: JsonObject = {key: shape[key] for key in _BEFORE if key in shape}
        behind = {key: value for key, value in shape.items() if key not in before}
        if "arguments" in before:
            before[JSONATA] = True
        return before, behind

    def node(
        self,
        node_id: str,
        config: JsonObject,
        following: str = "",
        *,
        among: tuple[str, ...] = (),
        given: Mapping[str, Json] | None = None,
        timeout_ms: int = 0,
        catch: str | None = None,
    ) -> None:
        catches = catch_all(self.catch if catch is None else catch)
        follow = Follow(following, catches)
        if among:
            among = tuple(dict.fromkeys(name for name in among if name))
            follow = Follow("", catches, chooses=True, among=among)
        config = {"name": self.name, **config}
        extra = dict(given or {})
        if _mentions_context(config) or config["op"] == "files" or "transform" in config:
            config["machine"] = self.compiler.workflow
            extra |= {
                "execution": "{{execution.id}}",
                "started": "{{execution.startedAt}}",
                "input": "{{input}}",
            }
        path, limit = self.path, timeout_ms
        self.machine.task(
            node_id, config, follow, name=self.name, path=path, given=extra, timeout_ms=limit
        )

    def timer(self, node_id: str, duration: int | str, following: str) -> None:
        """Add a timer of this state."""
        self.machine.timer(node_id, duration, following, self.path, self.name)

    def run_with_input(
        self,
        node_id: str,
        nodes: tuple[Node, ...],
        config: JsonObject,
        answer: str,
        *,
        after: str = "",
    ) -> None:
        """Add nodes together with the value before them; a node behind them merges their outputs.

        `after` follows that node instead of the next state.
        """
        path = (*self.path, node_id) if after else self.path
        group = self.machine.group_with_input(nodes, path, self.name)
        follow = Follow(answer, catch_all(self.catch))
        self.machine.body(node_id, group, follow, path, self.name)
        self.node(answer, config, after or self.after)

    def target(self, holder: Reader, key: str) -> str:
        """Return the node of the state that a member names."""
        name = holder.required_text(key, "the name of a state")
        if not name:
            return ""
        if name in self.states:
            return self.states[name]
        unknown_state(name, self.states, (*holder.path, key), self.problems)
        return ""

    def error_handling(
        self, again: str, *, function: bool = False, names: Mapping[str, str] | None = None
    ) -> None:
        """Add the nodes behind a state that may fail: the error handler, and the timer of retries.

        `again` is the first node of a retry; `function` means that the errors are those of a
        function; `names` are those of errors by the node that failed, or that contains it.
        """
        retriers = [_retrier(each) for each in self._objects("Retry")]
        catchers = [self._catcher(each) for each in self._objects("Catch")]
        for key, found in (("Retry", retriers), ("Catch", catchers)):
            self._check_order(key, found)
        if not self.catch:
            return
        config: JsonObject = {"op": "failed", "retry": retriers, "catch": catchers}
        if function:
            config["function"] = True
        if names:
            config["names"] = dict(names)
        route, targets = self.new("caught"), [catcher["next"] for catcher in catchers]
        if retriers:
            config["again"] = self.new("again")
            targets.append(config["again"])
            self.timer(config["again"], "{{state.wait}}", again)
        given = {"error": "{{error}}"}
        self.node(self.catch, config, route, given=given, catch="")
        self.machine.route(route, targets, self.path)

    def _check_order(self, key: str, found: list[JsonObject]) -> None:
        """Refuse entries behind States.ALL, which are never reached."""
        for index, each in enumerate(found[:-1]):
            if "States.ALL" in each["errors"]:
                message = f"States.ALL stands in the last of {key}; it hides what is behind it"
                path = (*self.path, key, index, "ErrorEquals")
                self.problems.add("DEFINITION_INVALID", message, path)

    def _objects(self, key: str) -> list[Reader]:
        found = []
        for index, item in enumerate(self.reader.items(key)):
            path = (*self.path, key, index)
            if isinstance(item, dict):
                found.append(Reader(item, path, self.problems))
            else:
                message = f"{key} holds objects, not {kind_of(item)}"
                self.problems.add("DEFINITION_INVALID", message, path)
        return found

    def _catcher(self, reader: Reader) -> JsonObject:
        catcher: JsonObject = {"errors": _errors(reader), "next": self.target(reader, "Next")}
        if self.jsonata:
            catcher |= expressions_of(reader, ("Output", "Assign"))
        else:
            catcher |= shape_of(reader, ("ResultPath", "Assign"))
        reader.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
        reader.refuse_unknown()
        return catcher


CompileState = Callable[[StateContext], None]


class Compiler:
    """The compiler of one document's machines; `kinds` holds the function per type of state."""

    def __init__(
        self, problems: Problems, kinds: Mapping[str, CompileState], workflow: str
    ) -> None:
        self.problems = problems
        self.workflow = workflow
        self._kinds = kinds
        # Of all machines of the document.
        self._names: set[str] = set()
        self._variables: frozenset[str] = frozenset()
        self._jsonata = False

    @property
    def has_variables(self) -> bool:
        return bool(self._variables)

    def document(self, machine: Machine, reader: Reader) -> str:
        """Compile the machine of a document, which sets the query language."""
        self._jsonata = _query_language(reader, False)
        self._variables = assigned_in(reader.value)
        return self.machine(machine, reader)

    def machine(self, machine: Machine, reader: Reader) -> str:
        """Compile `States`; return the id of the first node, empty if there is none."""
        if not reader.has("StartAt"):
            reader.missing("StartAt", "the name of the first state")
        if not reader.has("States"):
            reader.missing("States", "the states by their names")
        elif reader.value["States"] is None:
            reader.wrong("States", "an object")
        states = reader.object("States")
        if not states.value and isinstance(reader.value.get("States"), dict):
            self.problems.add("GRAPH_EMPTY", "a state machine needs a state", states.path)
        check_names(states, self._names)
        ids = {name: machine.names.new(name) for name in states.value}
        for name in states.value:
            if machine.budget.exhausted:
                return ""
            self._state(machine, states, name, ids)
        start = reader.text("StartAt")
        if not ids or not start:
            return ""
        if start not in ids:
            unknown_state(start, ids, (*reader.path, "StartAt"), self.problems)
        check_transitions(states, start)
        return ids.get(start, "")

    def _state(self, machine: Machine, states: Reader, name: str, ids: Mapping[str, str]) -> None:
        if not isinstance(states.value[name], dict):
            states.wrong(name, "an object")
            return
        state = states.object(name)
        state.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
        kind = state.required_text("Type", "one of " + ", ".join(self._kinds))
        in_jsonata = _query_language(state, self._jsonata)
        lay = self._kinds.get(kind)
        if lay is None:
            if kind:
                known = ", ".join(self._kinds)
                message = f"there is no type {kind[:32]!r}; there are {known}"
                self.problems.add("DEFINITION_INVALID", message, (*state.path, "Type"))
            return
        after = "" if kind in ("Choice", "Fail", "Succeed") else _following(state, ids)
        if not in_jsonata:
            tokens = has_token(state)
            check_lookups(state, self._variables, in_map=machine.in_map, has_token=tokens)
        # The names of errors depend on the task, so its node adds the handler.
        has_handler = bool(
            state.value.get("Retry")
            or state.value.get("Catch")
            or kind == "Task"
            or (kind == "Map" and is_distributed(state.value))
        )
        catch = machine.names.new(f"{name}:catch") if has_handler else ""
        lay(StateContext(self, machine, state, name, ids[name], after, catch, ids, in_jsonata))
        state.refuse_unknown()


def _following(state: Reader, ids: Mapping[str, str]) -> str:
    end = state.flag("End", False)
    if not state.has("Next"):
        if not end:
            state.missing("Next", "the name of the state that follows, or End: true")
        return ""
    if end:
        message = "a state has Next or End, not both"
        state.problems.add("DEFINITION_INVALID", message, (*state.path, "End"), at_key=True)
    name = state.text("Next")
    if name not in ids:
        unknown_state(name, ids, (*state.path, "Next"), state.problems)
    return ids.get(name, "")


def unknown_state(name: str, states: Mapping[str, Any], path: Path, problems: Problems) -> None:
    close = difflib.get_close_matches(name, states, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    problems.add("GRAPH_UNKNOWN_NODE", f"there is no state {name[:64]!r}{hint}", path)


def _query_language(reader: Reader, jsonata: bool) -> bool:
    """Return whether the query language is JSONata; `jsonata` is the default."""
    language = reader.text("QueryLanguage")
    if language not in ("", "JSONPath", "JSONata"):
        reader.wrong("QueryLanguage", "JSONPath or JSONata")
    if jsonata and language == "JSONPath":
        message = "a state of a document in JSONata is in JSONata too"
        path = (*reader.path, "QueryLanguage")
        reader.problems.add("DEFINITION_INVALID", message, path)
    return jsonata or language == "JSONata"


def expressions_of(reader: Reader, keys: tuple[str, ...]) -> JsonObject:
    """Return the checked members with JSONata; empty if there are none."""
    found: JsonObject = {name: expression_of(reader, key) for key, name in _EXPRESSIONS.items()
                   if key in keys and reader.has(key)}  # fmt: skip
    return found | {JSONATA: True} if found else found


def expression_of(reader: Reader, key: str) -> Json:
    """Return a template with JSONata."""
    template = reader.raw(key)
    for path, why in jsonata.problems_of(template):
        reader.problems.add(_INVALID, why, (*reader.path, key, *path))
    if key == "Assign" and not isinstance(template, dict):
        reader.wrong(key, "an object with the variables")
    return template


def shape_of(reader: Reader, keys: tuple[str, ...]) -> JsonObject:
    """Return the checked fields of input and output processing."""
    found: JsonObject = {}
    for key in keys:
        if not reader.has(key):
            continue
        if key in _PATHS:
            found[_PATHS[key]] = path_of(reader, key)
        elif key == "ResultPath":
            found["result_path"] = reference_of(reader, key)
        else:
            found[_TEMPLATES[key]] = template_of(reader, key)
    return found


def path_of(reader: Reader, key: str, *, null: bool = True) -> str | None:
    """Return a path, or None for null if allowed."""
    value = reader.raw(key)
    if value is None and null:
        return None
    if not isinstance(value, str):
        reader.wrong(key, "a path such as $.order")
        return None
    try:
        compile_path(value)
    except PathInvalid as error:
        reader.problems.add(_INVALID, str(error), (*reader.path, key))
    return value


def reference_of(reader: Reader, key: str) -> str | None:
    value = reader.raw(key)
    if value is None:
        return None
    if not isinstance(value, str):
        reader.wrong(key, "a reference path such as $.result, or null")
        return None
    try:
        compile_reference(value)
    except PathInvalid as error:
        reader.problems.add(_INVALID, str(error), (*reader.path, key))
    return value


def template_of(reader: Reader, key: str) -> Json:
    """Return a payload template."""
    template = reader.raw(key)
    for path, why in problems_of(template):
        reader.problems.add(_INVALID, why, (*reader.path, key, *path))
    return template


def lookup_of(reader: Reader, key: str) -> str:
    """Return a path or a call of a function."""
    text = reader.required_text(key, "a path or a function call")
    try:
        if text:
            compile_lookup(text)
    except PathInvalid as error:
        reader.problems.add(_INVALID, str(error), (*reader.path, key))
    return text


def rule_problems(reader: Reader) -> bool:
    """Note the problems of a choice rule; return True if there are none."""
    found = list(choices.problems_of(reader.value))
    for path, why in found:
        reader.problems.add(_INVALID, why, (*reader.path, *path))
    return not found


def _errors(reader: Reader) -> list[str]:
    if not reader.has("ErrorEquals"):
        reader.missing("ErrorEquals", "a list of names of errors")
    names = reader.items("ErrorEquals")
    path = (*reader.path, "ErrorEquals")
    if "ErrorEquals" in reader.value and not names:
        reader.problems.add("DEFINITION_INVALID", "the list of errors is empty", path)
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            message = f"an error is a name, not {kind_of(name)}"
            reader.problems.add("DEFINITION_INVALID", message, (*path, index))
    if "States.ALL" in names and len(names) > 1:
        message = "States.ALL must be the only error of its list"
        reader.problems.add("DEFINITION_INVALID", message, path)
    return [name for name in names if isinstance(name, str)]


def _retrier(reader: Reader) -> JsonObject:
    code = "RETRY_INVALID"
    retrier: JsonObject = {
        "errors": _errors(reader),
        "interval_ms": 1_000 * reader.integer("IntervalSeconds", 1, 1, _SECONDS_MAX, code),
        "max_attempts": reader.integer("MaxAttempts", 3, 0, limits.RETRY_ATTEMPTS_MAX, code),
        "rate": reader.number("BackoffRate", 2.0, 1, limits.RETRY_MULTIPLIER_MAX, code),
        "max_delay_ms": 1_000 * reader.integer("MaxDelaySeconds", 0, 1, _SECONDS_MAX, code),
        "jitter": reader.choice("JitterStrategy", ("FULL", "NONE"), "NONE") == "FULL",
    }
    reader.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
    reader.refuse_unknown()
    return retrier


def _mentions_context(value: Json) -> bool:
    """Return whether a configuration may read the context object."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "$$" in item or "$states" in item:
                return True
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False
