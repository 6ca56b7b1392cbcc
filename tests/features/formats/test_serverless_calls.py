"""What tasks of Serverless Workflow call, with the secrets that they use."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.formats.test_serverless import ERRORS, answer_of, document, ended_with, run
from tests.integration.worker.payments import SERVICE, serving

PASSWORD, KEY, TOKEN = "open sesame", "key-of-the-shop", "token-of-the-bank"
SECRETS: dict[str, Json] = {"use": {"secrets": ["shop-login", "apiKey", "bank", "missing"]}}


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


async def test_a_script_has_a_list_of_arguments(suite: Suite) -> None:
    """As `process.argv`, behind two others, and an environment as `process.env`."""
    code = "const [_, __, ...rest] = process.argv; return {rest, home: process.env.HOME_PAGE}"
    script = {
        "language": "javascript", "code": code, "arguments": ["hello", "${ .name }", 3],
        "environment": {"HOME_PAGE": "${ .name }"},
    }  # fmt: skip
    found = await run(suite, document({"s": {"run": {"script": script}}}, name="argues"),
                      {"name": "world"})  # fmt: skip
    assert ended_with(found) == {"rest": ["hello", "world", 3], "home": "world"}


OPENAPI = {
    "openapi": "3.1.0",
    "servers": [{"url": "{base}/v2", "variables": {"base": {"default": "/shop"}}}],
    "paths": {
        "/orders/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "put": {
                "operationId": "change",
                "parameters": [{"name": "tag", "in": "query"}, {"name": "x-by", "in": "header"}],
                "requestBody": {"required": True, "content": {"application/json": {}}},
            },
        },
    },
    "components": {"parameters": {"id": {"name": "id", "in": "path", "required": True}}},
}


def operated(world: World, operation: str, **parameters: Json) -> Json:
    given = {"document": {"endpoint": world.url("api.json")}, "operationId": operation,
             "parameters": parameters}  # fmt: skip
    return {"call": "openapi", "with": given}


async def test_an_operation_of_an_openapi_document_is_called(suite: Suite, world: World) -> None:
    """Its parameters go where the document says; the document is fetched once."""
    world.answers("api.json", json=OPENAPI)
    task = operated(world, "change", id="${ .id }", tag=["y z"],
                    **{"x-by": "ada", "body": {"n": "${ .n }"}})  # fmt: skip
    definition = document({"a": {"set": {"id": "7", "n": 1}}}, {"b": task}, name="operates")
    world.answers("shop/v2/orders/7", json={"changed": True})
    for _ in range(2):
        assert ended_with(await run(suite, definition)) == {"changed": True}
    [first, _] = world.calls("shop/v2/orders/7")
    assert (first.method, first.json, first.headers["x-by"]) == ("PUT", {"n": 1}, "ada")
    assert first.query == {"tag": "y z"}
    assert len(world.calls("api.json")) == 1


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ({"operation": "nothing"}, "has no operation 'nothing'"),
        ({"operation": "change", "id": 1}, "needs the parameter 'body'"),
        ({"operation": "change", "id": 1, "body": 1, "size": 2}, "has no parameter 'size'"),
    ],
)
async def test_a_call_that_the_document_does_not_know_is_refused(
    suite: Suite, world: World, task: Json, why: str
) -> None:
    """As an error of validation that says what would be right."""
    world.answers("api.json", json=OPENAPI)
    operation = task["operation"]
    given = {key: value for key, value in task.items() if key != "operation"}
    found = await run(suite, document({"a": operated(world, operation, **given)}, name="errs"))
    error = ended_with(found)
    assert error["class"] == f"{ERRORS}/validation"
    assert why in error["message"]


async def test_a_grpc_method_is_called(suite: Suite) -> None:
    """Of a service that tells what its messages look like; its status is an error to catch."""
    async with serving() as payments:
        host, _, port = payments.address.rpartition(":")
        service = {"name": SERVICE, "host": host, "port": int(port)}
        proto = {"endpoint": f"grpc://{payments.address}"}

        def called(method: str) -> Json:
            arguments = {"orderId": "${ .id }", "cents": 700}
            given = {"proto": proto, "service": service, "method": method, "arguments": arguments}
            return {"call": "grpc", "with": given, "metadata": {"flowmesh.io/tls": False}}

        task = {**called("Charge"), "output": {"as": "${ {id: $input.id, paid: .paymentId} }"}}
        catch = {"do": [{"told": {"set": {"type": "${ $error.type }"}}}]}
        failing = {"try": [{"no": called("Fail")}], "catch": catch}
        definition = document({"pay": task}, {"fail": failing}, name="pays",
                              output={"as": "${ . }"})  # fmt: skip
        payments.failures = [grpc.StatusCode.UNAVAILABLE]
        found = await run(suite, definition, {"id": "o1"})
        assert ended_with(found) == {"type": f"{ERRORS}/communication"}
        events = await suite.events(found["executionId"])
        assert "pay-o1" in json.dumps(events)


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
