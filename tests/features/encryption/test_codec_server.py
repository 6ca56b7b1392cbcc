"""The codec server of the examples, as a page of the console calls it."""

import runpy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.sdk import SealingKeys

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "sdk_codec_server.py"
KEYS = SealingKeys({"k1": bytes(range(32))})
ORIGIN = "https://flow.example.com"
VALUE = {"card": "4242 4242"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = runpy.run_path(str(EXAMPLE))["CodecServer"](KEYS, ORIGIN, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/of/shop/decode"
    server.shutdown()
    thread.join()
    server.server_close()


async def sent(
    method: str, address: str, origin: str = ORIGIN, body: Any = None
) -> tuple[int, dict[str, str], Any]:
    headers = {"origin": origin}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, address, json=body, headers=headers) as response,
    ):
        answer = await response.json() if response.status == 200 else None
        return response.status, {k.lower(): v for k, v in response.headers.items()}, answer


@pytest.mark.feature("S5-05")
async def test_a_codec_server_opens_values_for_the_console(address: str) -> None:
    """Sealed values at any depth; the page may read the answer, and send its cookies."""
    sealed = KEYS.seal(VALUE)
    status, headers, opened = await sent("POST", address, body=[sealed, {"a": sealed, "n": 1}])
    assert (status, opened) == (200, [VALUE, {"a": VALUE, "n": 1}])
    for method in ("POST", "OPTIONS"):
        status, headers, _ = await sent(method, address, body=sealed)
        assert status in (200, 204)
        assert headers["access-control-allow-origin"] == ORIGIN
        assert headers["access-control-allow-credentials"] == "true"
        assert headers["access-control-allow-headers"] == "content-type"


async def test_a_codec_server_refuses_other_pages_and_changed_values(address: str) -> None:
    """A foreign origin, an unknown key, and another path."""
    sealed = KEYS.seal(VALUE)
    assert (await sent("POST", address, "https://evil.example", sealed))[0] == 403
    unknown = SealingKeys({"k2": bytes(32)}).seal(VALUE)
    assert (await sent("POST", address, body=unknown))[0] == 422
    assert (await sent("POST", f"{address}/x", body=sealed))[0] == 404
