"""The task `message.post`."""

from typing import Any

import msgspec

from flowmesh.egress import OPEN, Egress
from flowmesh.sdk import NonRetryable

TIMEOUT_MS = 10_000
ANSWER_CHARACTERS = 200


async def post(input: dict[str, Any]) -> dict[str, Any]:
    """Post `text`, and further members of `message`, to `url`; return the answer of the chat.

    The walls around the plugin admit the configured server only.
    """
    body = {**input.get("message", {}), "text": input["text"]}
    async with Egress(OPEN) as egress:
        answer = await egress.send(
            "POST",
            input["url"],
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            timeout_ms=TIMEOUT_MS,
            redirects_max=0,
        )
    text = answer.body.decode("utf-8", "replace")[:ANSWER_CHARACTERS]
    if 400 <= answer.status < 500 and answer.status != 429:
        raise NonRetryable(f"the chat refused the message with {answer.status}: {text}")
    if answer.status >= 300:
        raise RuntimeError(f"the chat answered {answer.status}: {text}")
    return {"status": answer.status, "answer": text}
