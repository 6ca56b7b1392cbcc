"""Web pages of other sites cannot use `flowmesh dev` through the browser of its user."""

from typing import Any

import aiohttp
import pytest

from flowmesh.testing.suite import Suite
from tests.features.steps import step

FOREIGN = ("http://evil.example", "https://evil.example:3000", "null", "http://localhost:1")
HOST_REFUSED = (403, "HOST_NOT_ALLOWED")
ORIGIN_REFUSED = (403, "ORIGIN_NOT_ALLOWED")
STREAM = {"Accept": "text/event-stream"}


async def asked(
    suite: Suite, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, str]:
    """Status and reason of an answer; no reason if it is none of a refusal."""
    answer = await suite.request(method, path, body, headers=headers)
    return answer.status, answer.json.get("error", {}).get("reason", "")


async def shaken(suite: Suite, headers: dict[str, str]) -> int:
    """The status of a WebSocket's opening handshake."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{suite.http_url}/api/v1/events/ws", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


def own(suite: Suite) -> str:
    return suite.http_url.removeprefix("http://")


@pytest.mark.parametrize("origin", FOREIGN)
async def test_pages_of_other_origins_are_refused(suite: Suite, origin: str) -> None:
    """WebSockets, event streams, writes and reads alike; nothing is written."""
    foreign = {"Origin": origin}
    definition = {"id": "rest-origins-foreign", "steps": [step("a", "nobody.serves", {})]}
    assert await shaken(suite, foreign) == 403
    assert await asked(suite, "GET", "/api/v1/events", foreign | STREAM) == ORIGIN_REFUSED
    assert await asked(suite, "POST", "/workflows", foreign, definition) == ORIGIN_REFUSED
    assert await asked(suite, "GET", "/workflows", foreign) == ORIGIN_REFUSED
    assert (await suite.get("/workflows/rest-origins-foreign")).status == 404


async def test_own_pages_and_programs_are_served(suite: Suite) -> None:
    """The same origin as the Host, under each name of this machine, and no Origin at all."""
    port = own(suite).rpartition(":")[2]
    definition = {"id": "rest-origins-own", "steps": [step("a", "nobody.serves", {})]}
    for host in (own(suite), f"localhost:{port}", f"flow.localhost:{port}", f"[::1]:{port}"):
        for origin in ({}, {"Origin": f"http://{host}"}, {"Origin": f"https://{host}"}):
            headers = {"Host": host} | origin
            assert await shaken(suite, headers) == 101
            answer = await suite.post("/workflows", definition, headers=headers)
            assert answer.status in (200, 201), (headers, answer.text)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "localhost.evil.example"])
async def test_names_that_are_not_of_this_machine_are_refused(suite: Suite, host: str) -> None:
    """A page that has its own name resolve to this machine reads nothing, metrics neither."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert await shaken(suite, headers) == 403
    for method, path, more in (
        ("GET", "/api/v1/events", STREAM),
        ("POST", "/workflows", {}),
        ("GET", "/workflows", {}),
        ("GET", "/metrics", {}),
        ("GET", "/health", {}),
    ):
        assert await asked(suite, method, path, headers | more) == HOST_REFUSED
        assert await asked(suite, method, path, {"Host": host} | more) == HOST_REFUSED


async def test_the_refusal_says_what_to_set(suite: Suite) -> None:
    """It names what was sent and the setting that lets it in."""
    refused = await suite.get("/workflows", headers={"Host": "evil.example"})
    assert refused.json["error"]["message"] == (
        "The host name 'evil.example' is not one of this server's; add it to FLOWMESH_HTTP_HOSTS."
    )
    refused = await suite.get("/workflows", headers={"Origin": "http://evil.example"})
    assert refused.json["error"]["message"] == (
        "Pages of 'http://evil.example' may not use this server; add it to FLOWMESH_HTTP_ORIGINS."
    )
