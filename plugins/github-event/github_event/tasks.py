"""The task `github.event`."""

import hashlib
import hmac
from typing import Any

import msgspec

from flowmesh.sdk import NonRetryable

SIGNATURE = "x-hub-signature-256"


def event(input: dict[str, Any]) -> dict[str, Any]:
    """Return the event in the text `body` with its `headers`, if `secret` signed it."""
    headers = {name.lower(): value for name, value in input["headers"].items()}
    body = input["body"].encode()
    expected = f"sha256={hmac.new(input['secret'].encode(), body, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(expected, headers.get(SIGNATURE, "")):
        raise NonRetryable(f"{SIGNATURE} is not that of the body")
    content = msgspec.json.decode(body, type=dict[str, Any])
    return {
        "event": headers.get("x-github-event", ""),
        "delivery": headers.get("x-github-delivery", ""),
        "action": content.get("action", ""),
        "repository": content.get("repository", {}).get("full_name", ""),
        "sender": content.get("sender", {}).get("login", ""),
    }
