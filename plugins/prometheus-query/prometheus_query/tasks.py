"""The task `prometheus.query`."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from flowmesh.egress import OPEN, Egress
from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable

TIMEOUT_MS = 30_000


async def query(input: dict[str, Any]) -> dict[str, Any]:
    """Return type and result of the instant query `query`, by default at the present `time`."""
    parameters: dict[str, Any] = {"query": input["query"]}
    if "time" in input:
        parameters["time"] = input["time"]
    url = f"{configuration()['url'].rstrip('/')}/api/v1/query?{urlencode(parameters)}"
    async with Egress(OPEN) as egress:
        answer = await egress.send("GET", url, headers={}, timeout_ms=TIMEOUT_MS, redirects_max=0)
    try:
        found = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise RuntimeError(f"the server answered {answer.status}, and no JSON") from None
    if found.get("status") == "success":
        return {"type": found["data"]["resultType"], "result": found["data"]["result"]}
    text = f"{found.get('errorType')}: {found.get('error')}"
    # 503 is a query that was stopped or took too long.
    raise RuntimeError(text) if answer.status == 503 else NonRetryable(text)
