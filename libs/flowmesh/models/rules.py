"""The provider without a model for model steps: extracts from the prompt, invents nothing."""

import re

from flowmesh.contract.json_value import Json
from flowmesh.models.port import Conversation, Text, ToolUse, Turn

ANSWER = "answer"
"""The tool with which a model gives a structured answer."""

SENTENCES = 2
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class RulesProvider:
    """Answers with the first sentences, or fills a schema with labelled values of the prompt."""

    name = "offline"
    model = "rules"
    remote = False

    async def turn(self, conversation: Conversation) -> Turn:
        """Return an answer of parts of the last text."""
        texts = [
            block.text
            for message in conversation.messages
            if message.role == "user"
            for block in message.blocks
            if isinstance(block, Text)
        ]
        text = texts[0].strip() if texts else ""
        for tool in conversation.tools:
            if tool.name == ANSWER:
                return Turn([ToolUse(ANSWER, tool.name, _filled(tool.schema, text))])
        return Turn([Text(" ".join(_SENTENCE.split(text)[:SENTENCES]))])


def _filled(schema: dict[str, Json], text: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, member in (schema.get("properties") or {}).items():
        value = _value(name, member if isinstance(member, dict) else {}, text)
        if value is not None:
            found[name] = value
    return found


def _value(name: str, schema: dict[str, Json], text: str) -> Json:
    """Return the value of a member: what follows its name, or a word of its choice."""
    words = re.escape(name).replace("_", "[ _-]?")
    labelled = re.search(rf"(?i)\b{words}\b\s*(?:[:=]|is)\s*([^\n,;]+)", text)
    value = labelled[1].strip().rstrip(".") if labelled else ""
    if choices := schema.get("enum"):
        lower = (value or text).lower()
        return next((each for each in choices if str(each).lower() in lower), None)
    match schema.get("type"):
        case "integer" | "number" as kind:
            number = _NUMBER.search(value)
            if number is None:
                return None
            return float(number[0]) if kind == "number" else int(float(number[0]))
        case "boolean":
            return value.lower() in ("true", "yes") if value else None
        case "string":
            return value or None
    return None
