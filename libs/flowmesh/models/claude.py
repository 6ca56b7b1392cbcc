"""Claude by the Messages API, with tools and streams; the system text is cached by the service."""

from collections.abc import Sequence

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.models.port import (
    Block,
    Conversation,
    ProviderFailed,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from flowmesh.models.services import MALFORMED, Sender, Service, bounded, cut, parsed, post, told

REVISION = "2023-06-01"


class ClaudeProvider:
    name = "claude"
    remote = True

    def __init__(self, egress: Sender, service: Service) -> None:
        self._egress = egress
        self._service = service
        self.model = service.model

    async def turn(self, conversation: Conversation) -> Turn:
        """Return the next turn. Raises ProviderFailed."""
        system = {"type": "text", "text": conversation.system}
        body: Json = {
            "model": self.model,
            "max_tokens": conversation.tokens_max,
            "stream": True,
            "system": [system | {"cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": each.role, "content": [_sent(block) for block in each.blocks]}
                for each in conversation.messages
            ],
            "tools": [
                {"name": each.name, "description": each.description, "input_schema": each.schema}
                for each in conversation.tools
            ],
        }
        headers = {"x-api-key": self._service.key, "anthropic-version": REVISION}
        url = f"{self._service.url}/v1/messages"
        answer = await post(self._egress, url, headers, body, conversation)
        try:
            message = _assembled(answer) if isinstance(answer, list) else answer
            return bounded(_turn(message))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProviderFailed(MALFORMED, "the answer is no message") from None


def _sent(block: Block) -> Json:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case ToolUse():
            return {
                "type": "tool_use",
                "id": block.id,
                "name": block.name,
                "input": block.arguments,
            }
        case ToolResult():
            return {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": block.text,
                "is_error": block.is_error,
            }


def _assembled(stream: Sequence[str]) -> dict[str, Json]:
    """Return the message of a stream. Raises ProviderFailed."""
    message: dict[str, Json] = {}
    blocks: dict[int, dict[str, Json]] = {}
    ended = False
    for event in map(parsed, stream):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = event["content_block"] | {"json": ""}
            case "content_block_delta":
                _grow(blocks[event["index"]], event["delta"])
            case "message_delta":
                counted = {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
                message |= event["delta"] | {"usage": message["usage"] | counted}
            case "error":
                raise told(str(event["error"]["type"]), str(event["error"].get("message")))
            case "message_stop":
                ended = True
    if not ended:
        raise cut()
    limited = message.get("stop_reason") == "max_tokens"
    return message | {"content": [each for each in blocks.values() if _whole(each, limited)]}


def _grow(block: dict[str, Json], delta: Json) -> None:
    """Add a part to a block; kinds of blocks that are not read are left as they are."""
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "input_json_delta":
            block["json"] += delta["partial_json"]


def _whole(block: dict[str, Json], limited: bool) -> bool:
    """Read the arguments of a call; return whether it is one. Raises ValueError.

    Those of an answer that reached its limit of tokens may end anywhere.
    """
    if block["json"]:
        try:
            block["input"] = orjson.loads(block["json"])
        except orjson.JSONDecodeError:
            if not limited:
                raise
            return False
    return True


def _turn(answer: Json) -> Turn:
    blocks: list[Block] = []
    for each in answer["content"]:
        if each["type"] == "text":
            blocks.append(Text(each["text"]))
        elif each["type"] == "tool_use":
            blocks.append(ToolUse(each["id"], each["name"], dict(each["input"])))
    usage, stop = answer["usage"], answer.get("stop_reason")
    read = int(usage.get("cache_read_input_tokens") or 0)
    written = int(usage.get("cache_creation_input_tokens") or 0)
    total = int(usage["input_tokens"]) + read + written
    counts = Usage(total, int(usage["output_tokens"]), read, written)
    return Turn(blocks, counts, refused=stop == "refusal", cut=stop == "max_tokens")
