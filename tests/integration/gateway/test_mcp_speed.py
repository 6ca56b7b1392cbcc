"""The time that a call of a tool takes within a process."""

import statistics
import time

from flowmesh.testing.polling import slowness
from tests.integration.gateway.conftest import Rest

CALLS = 200
CALL_MS_MAX = 2.5


async def test_a_call_of_a_tool_is_quick(rest: Rest) -> None:
    """Over HTTP, with the route that serves it and a service of the same process."""
    await rest.register("quick")
    params = {"name": "get_workflow", "arguments": {"name": "quick"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        async with rest.http.post(f"{rest.url}/mcp", json=message) as response:
            answer = await response.json()
        took.append((time.perf_counter() - began) * 1_000)
    assert not answer["result"]["isError"], answer
    median = statistics.median(took)
    assert median / slowness() <= CALL_MS_MAX, f"{median:.2f} ms"
