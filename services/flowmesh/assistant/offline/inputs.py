"""The inputs of tasks: literals of the prompt, outputs before them, inputs of the workflow."""

import re
from collections.abc import Sequence
from typing import Any

from flowmesh.assistant.offline.matching import KnownTask
from flowmesh.contract.json_value import Json

_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]*\w")
_QUOTED = re.compile(r"[\"“'`]([^\"”'`]{2,})[\"”'`]")
_MONEY = re.compile(r"[$€£]\s*(\d+(?:\.\d+)?)|\b(\d+(?:\.\d+)?)\s*(?:dollars|euros|USD|EUR)\b")
_TEXTS = ("subject", "text", "message", "body", "content", "title")
_SUMS = ("amount", "price", "total")
_EXAMPLES: dict[str, Json] = {"string": "", "number": 0, "integer": 0, "boolean": False}


class Inputs:
    """Collects the input schema of a workflow while its nodes are written."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        self._item: dict[str, Json] = {}
        self._outputs: dict[str, Json] = {}

    def add(self, name: str, schema: Json) -> str:
        """Add an input and return its name: another one if a different input has it."""
        properties = self.schema["properties"]
        wanted, number = name, 1
        while properties.get(name, schema) != schema:
            number += 1
            name = f"{wanted}{number}"
        properties[name] = schema
        if name not in self.schema["required"]:
            self.schema["required"].append(name)
        return name

    def item(self, name: str, schema: Json) -> None:
        """Add a member of the items of a loop."""
        self._item.setdefault(name, schema)

    @property
    def item_schema(self) -> Json:
        if not self._item:
            return {}
        return {"type": "object", "properties": self._item, "required": sorted(self._item)}

    def merge(self, other: "Inputs") -> None:
        """Take the inputs of the body of a loop."""
        for name, schema in other.schema["properties"].items():
            self.add(name, schema)

    def example(self, name: str) -> Json:
        """Return a value of an input for a start that brings none."""
        return _example(self.schema["properties"][name])

    def of_task(
        self, task: KnownTask, text: str, before: Sequence[dict[str, Json]], *, item: bool
    ) -> dict[str, Json]:
        """Return the input of a node that runs a known task."""
        schema: Any = task.input_schema or {}
        properties = schema.get("properties") or {}
        given: dict[str, Json] = {}
        for name in schema.get("required") or ():
            of = properties.get(name) or {}
            literal = _literal(name, of, text)
            if literal is not None:
                given[name] = literal
            elif (source := self._source(name, before)) and not item:
                given[name] = f"{{{{tasks.{source}.output.{name}}}}}"
            elif item and of.get("type") != "object":
                self.item(name, of)
                given[name] = f"{{{{item.{name}}}}}"
            else:
                given[name] = f"{{{{input.{self.add(name, of)}}}}}"
        self._outputs[task.name] = task.output_schema
        return given

    def _source(self, name: str, before: Sequence[dict[str, Json]]) -> str:
        """Return the last node with an output of this name that certainly ran; else empty."""
        if name in ("id", "status"):
            return ""
        for node in reversed(before):
            output: Any = self._outputs.get(str(node.get("taskRef"))) or {}
            certain = "condition" not in node and name in (output.get("required") or ())
            if certain:
                return str(node["id"])
        return ""


def _literal(name: str, schema: Json, text: str) -> Json:
    """Return the value of a parameter that a clause states; None without one."""
    words = {word.lower() for word in re.findall(r"\w+", text)}
    for value in schema.get("enum") or ():
        if str(value).lower() in words:
            return value
    kind = schema.get("type")
    if kind == "string" and name in ("to", "email", "recipient") and (mail := _MAIL.search(text)):
        return mail[0]
    if kind == "string" and name in _TEXTS:
        named = re.search(rf"\b{name}\W+{_QUOTED.pattern}", text, re.IGNORECASE)
        alone = None if re.search(rf"\b({'|'.join(_TEXTS)})\b", text) else _QUOTED.search(text)
        quoted = named or (alone if name in ("text", "message") else None)
        return quoted[1] if quoted else None
    money = _MONEY.search(text) if kind == "number" and name in _SUMS else None
    if money:
        value = float(money[1] or money[2])
        return int(value) if value.is_integer() else value
    return None


def _example(schema: Json) -> Json:
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "array":
        return []
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: _example(properties.get(name) or {}) for name in schema.get("required") or ()}
    return _EXAMPLES.get(kind)
