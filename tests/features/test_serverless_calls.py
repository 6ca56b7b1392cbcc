"""What tasks of Serverless Workflow call, with the secrets that they use."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.test_serverless import ERRORS, answer_of, document, ended_with, run

Json = Any
PASSWORD, KEY, TOKEN = "open sesame", "key-of-the-shop", "token-of-the-bank"
SECRETS = {"use": {"secrets": ["shop-login", "apiKey", "bank", "missing"]}}


@pytest.fixture(scope="module")
async def secretive(tmp_path_factory: Any) -> AsyncIterator[Suite]:
    """A suite whose worker has secrets."""
    environment = {
        "FLOWMESH_SECRET_SHOP_LOGIN": json.dumps({"username": "ada", "password": PASSWORD}),
        "FLOWMESH_SECRET_APIKEY": KEY,
        "FLOWMESH_SECRET_BANK": TOKEN,
    }
    folder = tmp_path_factory.mktemp("secretive")
    async with Suite(folder / "data", environment=environment) as running:
        yield running


def asked(url: str, authentication: Json = None, **more: Json) -> Json:
    endpoint = {"uri": url, **({"authentication": authentication} if authentication else {})}
    return {"call": "http", "with": {"method": "get", "endpoint": endpoint, **more}}


async def told(suite: Suite, execution_id: str) -> str:
    """All that can be read of an execution."""
    paths = ("", "/history", "/results?view=nodes", "/state")
    return "".join(
        [(await suite.get(f"/api/v1/executions/{execution_id}{path}")).text for path in paths]
    )


async def test_secrets_reach_services_and_are_stored_nowhere(
    secretive: Suite, world: World
) -> None:
    """As credentials, in headers, by `input.from`; what a service repeats of them is masked."""
    world.answers("shop", make=lambda call: {"you sent": dict(call.headers)})
    tasks = [
        {"basic": asked(world.url("shop"), {"basic": {"use": "shop-login"}})},
        {"bearer": asked(world.url("shop"), {"bearer": {"use": "bank"}}, output="response")},
        {"header": {**asked(world.url("shop"), headers={"X-Key": "${ .key }"}, output="response"),
                    "input": {"from": "${ {key: $secrets.apiKey} }"}}},
        {"script": {"run": {"script": {"language": "js", "code": "return {is: key}",
                                       "arguments": {"key": "${ $secrets.apiKey }"}}}}},
    ]  # fmt: skip
    found = await run(secretive, document(*tasks, name="secretive", **SECRETS))
    assert ended_with(found) == {"is": "***"}
    basic, bearer, header = world.calls("shop")
    pair = b64encode(f"ada:{PASSWORD}".encode()).decode()
    assert basic.headers["authorization"] == f"Basic {pair}"
    assert bearer.headers["authorization"] == f"Bearer {TOKEN}"
    assert header.headers["x-key"] == KEY
    text = await told(secretive, found["executionId"])
    assert not [secret for secret in (PASSWORD, pair, KEY, TOKEN) if secret in text]


async def test_an_error_shows_no_secret(secretive: Suite, world: World) -> None:
    """Neither that of a service that repeats it nor that of an expression."""
    world.answers("no", status=400, json={"why": f"{KEY} is wrong"})
    refused = asked(world.url("no"), headers={"X-Key": "${ $secrets.apiKey }"})
    wrong = asked(world.url("no"), query={"n": "${ $secrets.apiKey + 1 }"})
    for number, task in enumerate((refused, wrong)):
        found = await run(secretive, document({"ask": task}, name=f"tells-{number}", **SECRETS))
        assert found["status"] == "failed"
        assert KEY not in await told(secretive, found["executionId"])


async def test_a_missing_secret_is_an_error_of_authorization(
    secretive: Suite, world: World
) -> None:
    """It names the variable that the worker lacks."""
    task = asked(world.url("shop"), {"bearer": {"use": "missing"}})
    found = await run(secretive, document({"ask": task}, name="lacks", **SECRETS))
    problem = ended_with(found)["details"]["problem"]
    assert (problem["type"], problem["status"]) == (f"{ERRORS}/authorization", 403)
    assert "FLOWMESH_SECRET_MISSING" in problem["detail"]
    assert problem["instance"] == "/do/0/ask"


async def test_an_authority_tells_where_tokens_are(secretive: Suite, world: World) -> None:
    """With `oidc`, whose authority may be written with or without its well-known path."""
    well_known = "realms/a/.well-known/openid-configuration"
    world.answers(well_known, json={"token_endpoint": world.url("tokens/of/a")})
    world.answers("tokens/of/a", json={"access_token": "t-oidc"})
    world.answers("shop/signed", make=lambda call: call.headers.get("authorization"))
    client = {"id": "me", "secret": "${ $secrets.apiKey }"}
    for number, authority in enumerate(("realms/a", well_known)):
        oidc = {"authority": world.url(authority), "grant": "client_credentials", "client": client}
        task = asked(world.url("shop/signed"), {"oidc": oidc})
        found = await run(secretive, document({"ask": task}, name=f"oidc-{number}", **SECRETS))
        assert ended_with(found) == "Bearer t-oidc"
    [fetched] = world.calls("tokens/of/a")
    assert f"client_secret={KEY}".encode() in fetched.body


async def test_a_failure_behind_a_call_can_be_handled(suite: Suite) -> None:
    """Also where the output of another workflow does not fit its schema."""
    await suite.define(document({"a": {"set": {"n": "x"}}}, name="gives-text"))
    called = {"namespace": "tests", "name": "gives-text", "version": "0.1.0"}
    schema = {"document": {"properties": {"n": {"type": "integer"}}}}
    ask = {"run": {"workflow": called}, "output": {"schema": schema}}
    catch = {"do": [{"told": {"set": {"type": "${ $error.type }"}}}]}
    task = {"try": [{"ask": ask}], "catch": catch}
    found = await run(suite, document({"caught": task}, name="catches-behind"))
    assert ended_with(found) == {"type": f"{ERRORS}/validation"}
    assert (await answer_of(suite, found["executionId"]))["status"] == "completed"
