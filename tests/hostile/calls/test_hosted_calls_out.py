"""Applications that a tenant deploys call nothing on loopback: the reproduction by REST.

`test_calls_out.py` drives every address of the catalog; these go through a closed installation.
"""

import aiohttp
import pytest
import yaml

from flowmesh.contract.json_value import Json
from tests.hostile.conftest import Company, Sink

SCHEMA = {"schemas": {"s": {"$ref": "http://AT/schema.json"}}}
# The type and configuration of a module that calls the sink.
CALLERS: dict[str, tuple[str, Json]] = {
    "simple proxy": ("http.simple_proxy", {"targets": {"/": "http://AT"}, "allow_private": False}),
    "proxy": (
        "http.proxy",
        {"backend_services": {"b": "http://AT"}, "default_backend": "b", "allow_private": False},
    ),
    "schema": ("jsonschema.modular", SCHEMA),
}


@pytest.mark.parametrize("kind", CALLERS)
async def test_a_deployed_application_calls_nothing_on_loopback(
    attacker: Company, sink: Sink, kind: str
) -> None:
    """At a check, a start and a request."""
    type_, config = CALLERS[kind]
    text = yaml.safe_dump({"name": type_, "type": type_, "config": config})
    caller = yaml.safe_load(text.replace("AT", sink.address))
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "routes", "type": "http.router"},
        caller,
    ]
    document = yaml.safe_dump({"name": "calls", "modules": modules})
    path = "/api/v1/apps/calls:validate"
    await attacker.rest("POST", path, {"document": document})
    status, body = await attacker.deploy("calls", document)
    if status == 201:
        address = await attacker.address("calls")
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/x") as answer:
            assert b"sink" not in await answer.read()
    await attacker.delete("calls")
    assert sink.reached == [], body
