"""HTTP nodes of graph JSON: how they call, how they prove who they are, how they try again."""

from itertools import pairwise

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.graphs import edge, graph, node, ran


@pytest.mark.feature("S3-66", "S3-67")
async def test_http_nodes_call_with_five_methods_and_four_proofs(
    suite: Suite, world: World
) -> None:
    """Every kind of authentication arrives; a token is fetched for two calls once."""
    world.answers("token", json={"access_token": "t-1", "expires_in": 600})
    oauth = {"tokenUrl": world.url("token"), "clientId": "me", "clientSecret": "secret"}
    proofs: dict[str, Json] = {
        "GET": {"type": "basic", "config": {"username": "ada", "password": "pw"}},
        "POST": {"type": "bearer", "config": {"token": "{{context.token}}"}},
        "PUT": {"type": "apiKey", "config": {"value": "k", "name": "X-Key"}},
        "DELETE": {"type": "oauth2", "config": oauth},
        "PATCH": {"type": "oauth2", "config": oauth},
    }
    nodes = [
        node(
            method,
            "http",
            url=world.url("api"),
            method=method,
            headers={"X-Of": "{{context.token}}"},
            body={"n": 1},
            authentication=how,
        )
        for method, how in proofs.items()
    ]
    names = list(proofs)
    edges = [edge(f"{a}>{b}") for a, b in pairwise(names)]
    execution, _ = await ran(suite, graph(*nodes, edges=edges), {"token": "t-0"})
    assert execution["status"] == "completed", execution
    calls = {call.method: call.headers for call in world.calls("api")}
    assert list(calls) == names
    proven = [calls[name].get("authorization") for name in names]
    assert proven == ["Basic YWRhOnB3", "Bearer t-0", None, "Bearer t-1", "Bearer t-1"]
    assert calls["PUT"]["x-key"] == "k"
    assert {headers["x-of"] for headers in calls.values()} == {"t-0"}
    assert [call.json for call in world.calls("api")] == [{"n": 1}] * 5
    assert len(world.calls("token")) == 1


@pytest.mark.feature("S3-67")
async def test_a_token_that_has_ended_is_fetched_again(suite: Suite, world: World) -> None:
    """When its time is over, and when the service no longer takes it."""
    for token, lives_s in (("old", 1), ("held", 600), ("new", 600)):
        world.answers("token", json={"access_token": token, "expires_in": lives_s}, times=1)
    config = {"tokenUrl": world.url("token"), "clientId": "me", "clientSecret": "secret"}
    proof: Json = {"type": "oauth2", "config": config}
    world.answers("api", times=2)
    world.answers("api", status=401, times=1)
    nodes = [
        node(name, "http", url=world.url("api"), method="GET", authentication=proof)
        for name in ("first", "second", "third")
    ]
    edges = [edge("first>second"), edge("second>third")]
    execution, _ = await ran(suite, graph(*nodes, edges=edges))
    assert execution["status"] == "completed", execution
    shown = [call.headers["authorization"] for call in world.calls("api")]
    assert shown == [f"Bearer {token}" for token in ("old", "held", "held", "new")]


@pytest.mark.feature("S3-66")
async def test_an_http_node_has_a_timeout_and_tries_again(suite: Suite, world: World) -> None:
    """Each attempt is over when its time is."""
    world.hold("slow")
    data: Json = {"timeout": 100, "retryPolicy": {"maxAttempts": 2, "initialDelay": 1}}
    document = graph(node("call", "http", url=world.url("slow"), method="GET", **data))
    execution, _ = await ran(suite, document)
    call = execution["stepResults"]["call"]
    assert (call["attempts"], call["error"]["class"]) == (2, "Timeout")
    assert len(world.calls("slow")) == 2
