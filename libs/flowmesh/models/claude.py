"""Claude by the Messages API, with tools; the system text is cached by the service."""

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
from flowmesh.models.services import MALFORMED, Sender, Service, post

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
            return _turn(answer)
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
