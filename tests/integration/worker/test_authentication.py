"""Who calls is proven as the service asks for it; tokens are fetched, kept and replaced."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_STEPS
from flowmesh.egress import OPEN, Egress
from flowmesh.executors.http.request import http_executor
from flowmesh.testing.world import World
from tests.integration.worker.test_http import Http

OAUTH = {"type": "oauth2", "clientId": "fm:1", "clientSecret": "s/cret", "scope": "read write"}


class Time:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def http(time: Time) -> AsyncIterator[Http]:
    async with Egress(OPEN) as egress:
        yield Http(http_executor(egress, time), "http.request")


async def proofs(world: World, route: str = "data") -> list[str]:
    return [call.headers.get("authorization", "") for call in world.calls(route)]


def config(world: World, **authentication: Any) -> dict[str, Any]:
    return {"method": "GET", "url": world.url("data"), "authentication": authentication}


def oauth(world: World) -> dict[str, Any]:
    return config(world, tokenUrl=world.url("token"), **OAUTH)


async def test_basic_bearer_and_keys_are_sent(http: Http, world: World) -> None:
    """With values out of the context where they are templates; ours never leave."""
    value = {"who": {"token": "t-1", "password": "p:ü"}}
    kinds: list[dict[str, Any]] = [
        {"type": "basic", "username": "ada", "password": "{{context.who.password}}"},
        {"type": "bearer", "token": "{{context.who.token}}"},
        {"type": "apiKey", "value": "k 1"},
        {"type": "apiKey", "value": "k&{{context.who.token}}", "name": "key", "in": "query"},
    ]
    for kind in kinds:
        await http(config(world, **kind), value, dialect=DIALECT_STEPS)
    basic, bearer, key, query = world.calls("data")
    encoded = b64encode("ada:p:ü".encode()).decode()
    assert basic.headers["authorization"] == f"Basic {encoded}"
    assert bearer.headers["authorization"] == "Bearer t-1"
    assert key.headers["x-api-key"] == "k 1"
    assert query.query == {"key": "k&t-1"}
    assert not [name for call in world.calls("data") for name in call.headers if "flowmesh" in name]


async def test_a_token_is_fetched_once_for_all_and_replaced_before_it_ends(
    http: Http, world: World, time: Time
) -> None:
    """With the credentials of the client as RFC 6749 wants them."""
    world.answers("token", json={"access_token": "one", "expires_in": 60}, times=1)
    world.answers("token", json={"access_token": "two", "expires_in": 60})
    await asyncio.gather(*(http(oauth(world)) for _ in range(5)))
    assert await proofs(world) == ["Bearer one"] * 5
    (fetched,) = world.calls("token")
    assert fetched.text == "grant_type=client_credentials&scope=read+write"
    assert fetched.headers["authorization"] == "Basic " + b64encode(b"fm%3A1:s%2Fcret").decode()
    time.us += 51_000_000
    await http(oauth(world))
    assert (await proofs(world))[-1] == "Bearer two"


async def test_a_token_that_is_refused_is_replaced_once(http: Http, world: World) -> None:
    """It may have been taken back; a fresh one that is refused too fails the attempt."""
    world.answers("token", json={"access_token": "old"}, times=1)
    world.answers("token", json={"access_token": "new"})
    await http(oauth(world))
    world.answers("data", status=401, times=1)
    await http(oauth(world))
    assert await proofs(world) == ["Bearer old", "Bearer old", "Bearer new"]
    world.answers("data", status=401)
    failure = await http.fails(oauth(world))
    assert failure.class_ == "AuthenticationError"
    assert len(world.calls("token")) == 3


@pytest.mark.parametrize(
    ("answer", "class_"),
    [
        ({"status": 400, "json": {"error": "invalid_client"}}, "AuthenticationError"),
        ({"status": 503}, "ServerError"),
        ({"json": {"nothing": 1}}, "AuthenticationError"),
        ({"json": [1]}, "AuthenticationError"),
    ],
)
async def test_without_a_token_the_attempt_fails(
    http: Http, world: World, answer: dict[str, Any], class_: str
) -> None:
    """As what the authorization server said; the service is not called."""
    world.answers("token", **answer)
    failure = await http.fails(oauth(world))
    assert failure.class_ == class_
    assert world.calls("data") == []
