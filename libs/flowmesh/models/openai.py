"""Services that speak Chat Completions with tools and streams: OpenAI, Ollama, vLLM, llama.cpp."""

from collections.abc import Sequence

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.models.port import (
    Block,
    Conversation,
    Message,
    ProviderFailed,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from flowmesh.models.services import MALFORMED, Sender, Service, bounded, cut, parsed, post, told

ENDED = "[DONE]"


class OpenAiProvider:
    name = "openai"
    remote = True

    def __init__(self, egress: Sender, service: Service) -> None:
        self._egress = egress
        self._service = service
        self.model = service.model

    async def turn(self, conversation: Conversation) -> Turn:
        """Return the next turn. Raises ProviderFailed."""
        messages: list[Json] = [{"role": "system", "content": conversation.system}]
        for each in conversation.messages:
            messages += _sent(each)
        tools = [
            {"name": each.name, "description": each.description, "parameters": each.schema}
            for each in conversation.tools
        ]
        body: Json = {
            "model": self.model,
            "max_completion_tokens": conversation.tokens_max,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            body["tools"] = [{"type": "function", "function": each} for each in tools]
        key = self._service.key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        url = f"{self._service.url}/chat/completions"
        answer = await post(self._egress, url, headers, body, conversation)
        try:
            completion = _assembled(answer) if isinstance(answer, list) else answer
            return bounded(_turn(completion))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise ProviderFailed(MALFORMED, "the answer is no completion") from None


def _sent(message: Message) -> list[Json]:
    results: list[Json] = [
        {"role": "tool", "tool_call_id": each.id, "content": each.text}
        for each in message.blocks
        if isinstance(each, ToolResult)
    ]
    if results:
        return results
    text = "\n".join(each.text for each in message.blocks if isinstance(each, Text))
    calls: list[Json] = [
        {
            "id": each.id,
            "type": "function",
            "function": {"name": each.name, "arguments": orjson.dumps(each.arguments).decode()},
        }
        for each in message.blocks
        if isinstance(each, ToolUse)
    ]
    sent: dict[str, Json] = {"role": message.role, "content": text or None}
    return [sent | ({"tool_calls": calls} if calls else {})]


def _assembled(stream: Sequence[str]) -> dict[str, Json]:
    """Return the completion of a stream. Raises ProviderFailed."""
    message: dict[str, Json] = {"content": "", "refusal": ""}
    calls: dict[int, dict[str, Json]] = {}
    stop = usage = None
    for chunk in (parsed(each) for each in stream if each != ENDED):
        if error := chunk.get("error"):
            raise told(f"{error.get('type')} {error.get('code')}", str(error.get("message")))
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            delta, stop = choice.get("delta") or {}, choice.get("finish_reason") or stop
            for name in message:
                message[name] += delta.get(name) or ""
            for part in delta.get("tool_calls") or ():
                _grow(calls.setdefault(part["index"], {"name": "", "arguments": ""}), part)
    if ENDED not in stream[-1:]:
        raise cut()
    found = [{"id": each["id"], "function": each} for _, each in sorted(calls.items())]
    choices = [{"message": message | {"tool_calls": found}, "finish_reason": stop}]
    return {"choices": choices, "usage": usage}


def _grow(call: dict[str, Json], part: Json) -> None:
    """Add a part to a call; the first one has its id and its name."""
    function = part.get("function") or {}
    call["id"] = part.get("id") or call["id"]
    call["name"] = function.get("name") or call["name"]
    call["arguments"] += function.get("arguments") or ""


def _turn(answer: Json) -> Turn:
    choice = answer["choices"][0]
    message, stop = choice["message"], choice.get("finish_reason")
    blocks: list[Block] = [Text(message["content"])] if message.get("content") else []
    limited = stop == "length"
    for each in message.get("tool_calls") or ():
        function = each["function"]
        try:
            arguments = parsed(function["arguments"])
        except ProviderFailed:
            # Those of an answer that reached its limit of tokens may end anywhere.
            if limited:
                continue
            raise
        blocks.append(ToolUse(each["id"], function["name"], arguments))
    usage = answer.get("usage") or {}
    read = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    counts = Usage(int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)), read)
    refused = bool(message.get("refusal")) or stop == "content_filter"
    return Turn(blocks, counts, refused=refused, cut=limited)
