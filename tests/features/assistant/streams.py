"""Answers of model services as server-sent events, of the Messages API and Chat Completions."""

import json

from flowmesh.contract.json_value import Json


def _halves(text: str) -> tuple[str, str]:
    half = len(text) // 2
    return text[:half], text[half:]


def _named(event: dict[str, Json]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def claude_events(message: dict[str, Json], *, half: bool) -> list[str]:
    """Return the events of a message; `half` leaves out the end of arguments."""
    (block,) = message["content"]
    if block["type"] == "text":
        begun, parts = block | {"text": ""}, _halves(block["text"])
        deltas = [{"type": "text_delta", "text": each} for each in parts]
    else:
        begun, parts = block | {"input": {}}, _halves(json.dumps(block["input"]))
        deltas = [{"type": "input_json_delta", "partial_json": each} for each in parts]
    usage = message["usage"] | {"output_tokens": 1}
    opened = message | {"content": [], "stop_reason": None, "usage": usage}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = {"output_tokens": message["usage"]["output_tokens"]}
    events: list[dict[str, Json]] = [
        {"type": "message_start", "message": opened},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": each}
            for each in deltas[: 1 if half else 2]
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": counted},
        {"type": "message_stop"},
    ]
    return list(map(_named, events))


def completion_chunks(completion: dict[str, Json], *, half: bool) -> list[str]:
    """Return the events of a completion; `half` leaves out the end of arguments."""
    (choice,) = completion["choices"]
    message = choice["message"]
    deltas: list[dict[str, Json]] = [{"role": "assistant", "content": ""}]
    for name in ("content", "refusal"):
        if message[name] is not None:
            deltas += [{name: each} for each in _halves(message[name])]
    for call in message.get("tool_calls", ()):
        first, last = _halves(call["function"]["arguments"])
        begun = call | {"index": 0, "function": call["function"] | {"arguments": ""}}
        parts = ({"index": 0, "function": {"arguments": each}} for each in (first, last))
        deltas += [{"tool_calls": [each]} for each in (begun, *list(parts)[: 1 if half else 2])]
    base = {name: completion[name] for name in ("id", "created", "model")}
    base["object"] = "chat.completion.chunk"
    chunks: list[dict[str, Json]] = [
        *({"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {"choices": [], "usage": completion["usage"]},
    ]
    return [*(f"data: {json.dumps(base | each)}\n\n" for each in chunks), "data: [DONE]\n\n"]


def error_event(kind: str) -> str:
    """Return the event of an error, which both protocols have."""
    return _named({"type": "error", "error": {"type": kind, "message": "not now"}})
