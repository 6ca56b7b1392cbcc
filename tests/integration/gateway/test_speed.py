"""The time that a call of a tool takes within a process."""

import statistics
import time

from flowmesh.testing.polling import slowness
from tests.integration.gateway.conftest import Rest

BATCHES, CALLS = 5, 50
CALL_MS_MAX = 2.5


async def test_a_call_of_a_tool_is_quick(rest: Rest) -> None:
    """Over HTTP, with the route that serves it and a service of the same process."""
    await rest.register("quick")
    params = {"name": "get_workflow", "arguments": {"name": "quick"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    medians = []
    for _ in range(BATCHES):
        took = []
        for _ in range(CALLS):
            began = time.perf_counter()
            async with rest.http.post(f"{rest.url}/mcp", json=message) as response:
                answer = await response.json()
            took.append((time.perf_counter() - began) * 1_000)
        medians.append(statistics.median(took))
    assert not answer["result"]["isError"], answer
    assert min(medians) / slowness() <= CALL_MS_MAX, f"{min(medians):.2f} ms"
