"""Templates as lookups of the Amazon States Language: paths, and calls of its functions.

The value between states is `{"input": …, "tasks": {"<id>": {"output": …}}}`, in a map with `item`
and `index`, so that a reference has the same path as in templates.
"""

import json
import re
from collections.abc import Callable, Collection

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import ITEM_NAMES
from flowmesh.definitions.references import has_template
from flowmesh.expressions.calls import Call, Expression, Literal
from flowmesh.expressions.errors import Problem
from flowmesh.expressions.references import Reference
from flowmesh.expressions.scanner import OPEN, Part, scan
from flowmesh.standards.paths import PathInvalid
from flowmesh.standards.payloads import compile_lookup

_SUFFIX = ".$"
_PLAIN = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_OF_EXECUTION = {"id": "$$.Execution.Id", "startedAt": "$$.Execution.StartTime"}
_ROOTS = frozenset({"input", "tasks", "execution", "context", "variables", "undo", "cursor"})
_KNOWN = _ROOTS | ITEM_NAMES | {"state", "error"}
# Functions with exactly equal results.
_FUNCTIONS = {"toJson": "JsonToString"}

# True if the node of this id has ended by then; None if it does not exist.
HasEnded = Callable[[str], bool | None]


def path_to(*keys: str | int) -> str:
    """Return the path to a place in the value between states."""
    return "$" + "".join(map(_step, keys))


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN.match(key):
        return f".{key}"
    return "['" + json.dumps(key)[1:-1].replace('\\"', '"').replace("'", "\\'") + "']"


def output_path(node_id: str) -> str:
    return path_to("tasks", node_id, "output")


class Values:
    """The writer of the templates of one node, or of the workflow if `node_id` is empty.

    `has_ended` is given if `context` means the input with the outputs of nodes; with `input_too`,
    `input` means the same.
    """

    def __init__(
        self, unsupported: UnsupportedFeatures, node_id: str = "", has_ended: HasEnded | None = None
    ) -> None:
        self._unsupported = unsupported
        self._node_id = node_id
        self._has_ended = has_ended
        self.input_too = False

    def add_unsupported(self, feature: str) -> None:
        self._unsupported.add(feature, self._node_id)

    def path(self, reference: Reference) -> str:
        """Return the path of a reference; empty if unsupported, which is noted."""
        root, keys = reference.root, reference.path
        if root == "context" or (root == "input" and self.input_too):
            return self._in_context(reference)
        if root in ("input", "item", "index") or (root == "tasks" and len(keys) > 1):
            return path_to(root, *keys)
        if root == "execution" and len(keys) == 1 and (path := _OF_EXECUTION.get(str(keys[0]))):
            return path
        self.add_unsupported(f"a template that reads {reference}")
        return ""

    def _in_context(self, reference: Reference) -> str:
        keys = reference.path
        if self._has_ended is None or not keys or not isinstance(keys[0], str):
            self.add_unsupported("a node that reads the whole context")
            return ""
        ended = self._has_ended(keys[0])
        if ended is None:
            return path_to("input", *keys)
        if not ended:
            self.add_unsupported(
                f"a template that reads {reference}, of a node it does not wait for"
            )
            return ""
        if keys[1:2] == ("result",):
            self.add_unsupported(
                f"a template that reads {reference} (an output is read without .result)"
            )
            return ""
        return path_to("tasks", keys[0], "output", *keys[1:])

    def whole(self, value: Json) -> str:
        """Return the path of a value that is one reference; else empty."""
        parts = self._parts(value) if isinstance(value, str) and OPEN in value else []
        if len(parts) == 1 and not isinstance(parts[0], str):
            expression = parts[0].expression
            if isinstance(expression, Reference):
                return self.path(expression)
        return ""

    def payload(self, value: dict[str, Json]) -> dict[str, Json]:
        """Return an object as a payload template."""
        made: dict[str, Json] = {}
        for key, item in value.items():
            if key.endswith(_SUFFIX):
                self.add_unsupported(f"a member whose name ends in .$ ({key[:64]})")
            elif not has_template(item):
                made[key] = self._constant(item)
            elif isinstance(item, dict):
                made[key] = self.payload(item)
            elif isinstance(item, list) and not _is_called(item):
                made[key] = [self.payload(each) if has_template(each) else each for each in item]
            else:
                lookup, constant = self._lookup(item)
                made |= {key + _SUFFIX: lookup} if lookup else {key: constant}
        return made

    def _constant(self, value: Json) -> Json:
        for key in _keys_of(value):
            if key.endswith(_SUFFIX):
                self.add_unsupported(f"a member whose name ends in .$ ({key[:64]})")
        return value

    def _lookup(self, value: Json) -> tuple[str, Json]:
        """Return the lookup of a text or list with templates, or the constant."""
        if isinstance(value, str):
            parts = self._parts(value)
            if all(isinstance(p, str) or isinstance(p.expression, Literal) for p in parts):
                return "", _constant_of(parts)
            lookup = self._text(parts)
        else:
            lookup = self._argument(value)
        try:
            if lookup:
                compile_lookup(lookup)
        except PathInvalid as error:
            self.add_unsupported(f"a template that no function call expresses ({error})")
        return lookup, None

    def _argument(self, value: Json) -> str:
        """Return a value as the argument of a call."""
        if isinstance(value, str) and OPEN in value:
            lookup, constant = self._lookup(value)
            return lookup or self._argument(constant)
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, list) and has_template(value):
            return "States.Array(" + ", ".join(map(self._argument, value)) + ")"
        if isinstance(value, dict) and has_template(value):
            self.add_unsupported("a list that holds both templates and objects with templates")
        if isinstance(value, dict | list):
            return f"States.StringToJson({quoted(orjson.dumps(value).decode())})"
        return orjson.dumps(value).decode()

    def _parts(self, text: str) -> list[Part]:
        problems: list[Problem] = []
        return scan(text, _KNOWN, "", problems)

    def _text(self, parts: list[Part]) -> str:
        if len(parts) == 1 and not isinstance(parts[0], str):
            return self._expression(parts[0].expression)
        written, given = "", []
        for part in parts:
            if isinstance(part, str):
                written += _braced(part)
            elif isinstance(part.expression, Literal):
                written += _braced(_constant_of(["", part]))
            else:
                written += "{}"
                given.append(self._expression(part.expression))
        return f"States.Format({', '.join([quoted(written, escaped=True), *given])})"

    def _expression(self, expression: Expression) -> str:
        if isinstance(expression, Reference):
            return self.path(expression)
        if isinstance(expression, Call):
            name = expression.function.name
            if name in _FUNCTIONS:
                given = map(self._expression, expression.arguments)
                return f"States.{_FUNCTIONS[name]}({', '.join(given)})"
            self.add_unsupported(f"the function {name} of templates")
            return ""
        value = expression.value
        return quoted(value) if isinstance(value, str) else self._argument(value)


def quoted(text: str, *, escaped: bool = False) -> str:
    """Return a text quoted for a function call; `escaped` if its backslashes are already
    escapes.
    """
    if not escaped:
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "\\'") + "'"


def _braced(text: str) -> str:
    """Return a text for the template of States.Format without its quotes."""
    return re.sub(r"[\\{}]", lambda found: "\\" + found[0], text)


def _constant_of(parts: list[Part]) -> Json:
    """Return the value of constant parts: a single value, else a text."""
    values = [part if isinstance(part, str) else part.expression for part in parts]
    if len(values) == 1 and isinstance(values[0], Literal):
        return values[0].value
    texts = [value.value if isinstance(value, Literal) else value for value in values]
    return "".join(t if isinstance(t, str) else orjson.dumps(t).decode() for t in texts)


def _is_called(items: list[Json]) -> bool:
    """Return whether a list needs a function call because a text in it has a template."""
    return any(
        (isinstance(each, str) and OPEN in each) or (isinstance(each, list) and has_template(each))
        for each in items
    )


def _keys_of(value: Json) -> Collection[str]:
    found: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found += item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found
