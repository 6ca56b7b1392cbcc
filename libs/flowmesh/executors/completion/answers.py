"""The reading of a message of a model: an answer that fits, or its problem."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.schemas import SchemaCheck
from flowmesh.models.port import Message, Text, Tool, ToolUse
from flowmesh.models.rules import ANSWER

_FENCE = "```"


@dataclass(slots=True)
class Answer:
    """The answer of a step: a text, a value of the schema, or calls of tools."""

    text: str = ""
    value: Json = None
    calls: list[Json] = field(default_factory=list)
    blocked: str = ""
    # The message as it continues the conversation, if not as the model wrote it.
    message: Message | None = None


class Expected:
    """The form of an answer: a value of a schema, and calls of listed tools."""

    def __init__(self, schema: Json, tools: Iterable[dict[str, Json]]) -> None:
        self._schema = None if schema is None else SchemaCheck(orjson.dumps(schema), "value")
        # Arguments of a tool are an object; another value is a member of one.
        self._wraps = schema is not None and schema.get("type") != "object"
        self._inputs: dict[str, SchemaCheck] = {}
        self._changing: set[str] = set()
        offered = []
        for each in tools:
            given = each.get("inputSchema") or {"type": "object"}
            name = str(each["name"])
            self._inputs[name] = SchemaCheck(orjson.dumps(given), "arguments")
            if each.get("changes"):
                self._changing.add(name)
            offered.append(Tool(name, str(each.get("description") or ""), given))
        if schema is not None:
            members = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
            shown = members if self._wraps else schema
            offered.append(Tool(ANSWER, "Give the final answer.", shown))
        self.tools = tuple(offered)

    @property
    def structured(self) -> bool:
        return self._schema is not None

    def value(self, arguments: Json) -> Json:
        """Return the value in the arguments of the answer, checked. Raises TaskFailure."""
        value = arguments.get("value") if self._wraps else arguments
        self.check(value)
        return value

    def check(self, value: Json) -> None:
        """Check a value. Raises TaskFailure."""
        if self._schema is not None:
            self._schema.check(value)

    def call(self, use: ToolUse) -> Json:
        """Return a call of a tool, checked. Raises TaskFailure, KeyError."""
        self._inputs[use.name].check(use.arguments)
        changes = use.name in self._changing
        return {"id": use.id, "name": use.name, "arguments": use.arguments, "changes": changes}


def read(message: Message, expected: Expected) -> tuple[Answer, str]:
    """Return the answer, and its problem; empty if it fits."""
    answer = Answer("\n".join(each.text for each in message.blocks if isinstance(each, Text)))
    uses = [each for each in message.blocks if isinstance(each, ToolUse)]
    final = [each for each in uses if expected.structured and each.name == ANSWER]
    others = [each for each in uses if each not in final]
    try:
        if others:
            answer.calls = [expected.call(each) for each in others]
            if final:
                return answer, "call other tools first, and give the answer alone"
        elif final:
            answer.value = expected.value(final[0].arguments)
            text = orjson.dumps(answer.value).decode()
            answer.message = Message("assistant", [Text(text)])
        elif expected.structured:
            answer.value = orjson.loads(_without_fence(answer.text))
            expected.check(answer.value)
        elif not answer.text.strip():
            return answer, "the answer is empty"
    except KeyError as error:
        return answer, f"there is no tool {error.args[0]!r}"
    except orjson.JSONDecodeError:
        return answer, f"give the answer with the tool {ANSWER!r}"
    except TaskFailure as failure:
        return answer, failure.message
    return answer, ""


def _without_fence(text: str) -> str:
    """Return the text within a fence of Markdown, or the text itself."""
    text = text.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        return text.strip("`").removeprefix("json").strip()
    return text
