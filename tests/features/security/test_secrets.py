"""Stored secrets: set by an admin, used by tasks, and absent from everything that can be read."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc.aio
import pytest
from standardwebhooks.webhooks import Webhook

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1 import secret_service_pb2_grpc
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.collector import Collector, collecting
from tests.features.commands import command
from tests.features.natives import apply, resource, workflow

CANARY = 'canary-5f0c"8e41/+'
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WITHIN_S = 15
OTHER = "canary-of-the-other-tenant"
VIEWS = ("", "/history", "/results?view=nodes", "/state", "/events", "/nodes")
HEADERS = {"flowmesh_namespace": "vault"}


@dataclass(frozen=True)
class Vault:
    """A closed suite with a project, its admin and a collector of traces."""

    closed: Closed
    project: str
    admin: Caller
    collector: Collector

    def secrets(self, caller: Caller | None = None) -> Any:
        channel = (caller or self.admin).channel
        return secret_service_pb2_grpc.SecretServiceStub(channel)

    async def put(self, name: str, value: str, namespace: str = "vault") -> int:
        request = pb.PutSecretRequest(namespace=namespace, name=name, value=value.encode())
        return int((await self.secrets(self.closed.owner).PutSecret(request)).secret.version)

    async def register(self, *resources: Json) -> tuple[int, Json]:
        """Register resources one by one; return the answer to the last one."""
        for each in resources:
            status, body = await self.admin.rest("POST", "/api/v1/workflows", each, **HEADERS)
        return status, body

    async def execute(self, name: str, given: Json = None) -> tuple[int, Json]:
        return await self.admin.rest(
            "POST", f"/api/v1/workflows/{name}/execute", {"input": given or {}}, **HEADERS
        )

    async def run(self, name: str, given: Json = None) -> Json:
        """Run a workflow to its end and return the execution, which completes."""
        status, body = await self.execute(name, given)
        assert status == 200, body
        return body

    async def text(self, path: str) -> str:
        """Return the answer to a GET as text; of a stream its events."""
        sent = {"authorization": f"Bearer {self.closed.owner.credential}"}
        sent["flowmesh-namespace"] = "vault"
        url = f"{self.closed.suite.http_url}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=sent) as answer:
            text = await answer.text()
        assert answer.status == 200, (path, text)
        return text


@pytest.fixture(scope="module")
async def vault(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vault]:
    folder: Path = tmp_path_factory.mktemp("vault")
    async with collecting() as collector:
        endpoint = ("--otlp-endpoint", collector.address)
        async with closed_suite(folder, *endpoint, OTEL_BSP_SCHEDULE_DELAY="100") as closed:
            project = await closed.project("vault")
            await closed.project("elsewhere")
            admin = await closed.key(project.id, "admin")
            yield Vault(closed, project.id, admin, collector)


def calling(name: str, url: str, **http: Json) -> Json:
    """A task that sends a request."""
    return resource("WorkflowTask", name, type="http", http={"method": "POST", "url": url, **http})


def step(id: str, task: str, **more: Json) -> Json:
    return {"id": id, "taskRef": task, **more}


def pays(world: World, secret: str = "bank") -> tuple[Json, Json]:
    """A task that sends the secret in every part of a request, and a workflow of it."""
    task = calling(
        "pay",
        world.url("bank") + f"?key={{{{secrets.{secret}}}}}",
        headers={"X-Key": f"key {{{{secrets.{secret}}}}}", "X-Whole": f"secret://{secret}"},
        body={"nested": [f"secret://{secret}#1"], "said": "{{input.said}}"},
        authentication={"type": "bearer", "config": {"token": f"secret://{secret}"}},
    )
    return task, workflow("pays", step("pay", "pay", input={"said": "{{input.said}}"}))


@pytest.mark.feature("S3-130")
async def test_a_secret_reaches_the_called_system_only(vault: Vault, world: World) -> None:
    """In headers, URL, body and authentication; an answer that repeats it is masked."""
    world.answers("bank", make=lambda call: {"sent": dict(call.headers), "body": call.text})
    await vault.put("bank", CANARY)
    assert (await vault.register(*pays(world)))[0] in (200, 201)
    ended = await vault.run("pays", {"said": "secret://bank {{secrets.bank}}"})
    [call] = world.calls("bank")
    assert call.headers["x-key"] == f"key {CANARY}"
    assert call.headers["x-whole"] == CANARY
    assert call.headers["authorization"] == f"Bearer {CANARY}"
    assert call.query == {"key": CANARY}
    # A text of the input stands for no secret.
    assert call.json == {"nested": [CANARY], "said": "secret://bank {{secrets.bank}}"}
    assert "key ***" in json.dumps(ended)


@pytest.mark.feature("S3-130")
async def test_a_secret_is_in_nothing_that_can_be_read(vault: Vault, world: World) -> None:
    """BI11: history, plan, views, events, logs, traces, metrics, dry run, rerun, failures."""
    await vault.put("bank", CANARY)
    world.answers("bank", status=400, make=lambda call: {"refused": dict(call.headers)}, times=1)
    world.answers("bank", make=lambda call: {"sent": dict(call.headers), "body": call.text})
    await vault.register(*pays(world))
    _, failed = await vault.execute("pays", {"said": "hi"})
    id = failed["executionId"]
    _, again = await vault.admin.rest(
        "POST",
        f"/api/v1/executions/{id}:rerun",
        {"fromNodes": ["pay"], "nodeInputs": {"pay": {"said": "secret://bank {{secrets.bank}}"}}},
        **HEADERS,
    )
    ids = (id, again["executionId"])
    _, dry = await vault.admin.rest(
        "POST", "/api/v1/workflows/pays:dryRun", {"input": {"said": "hi"}}, **HEADERS
    )
    read = [json.dumps(failed), json.dumps(again), json.dumps(dry)]
    for path in (
        *(f"/api/v1/executions/{each}{view}" for each in ids for view in VIEWS),
        "/api/v1/workflows/pays",
        "/api/v1/workflows/pays/versions",
        "/api/v1/tasks/pay",
        "/api/v1/executions",
        "/metrics",
    ):
        read.append(await vault.text(path))
    read.append(vault.closed.suite.log.read_text())
    spans = [str(span) for span in vault.collector.spans]
    assert world.calls("bank")[-1].headers["x-whole"] == CANARY
    assert "***" in read[0]
    assert "***" in read[2]
    assert any("http.request" in span for span in spans)
    encoded = base64.b64encode(CANARY.encode()).decode().rstrip("=")
    forms = (CANARY, quote(CANARY, safe=""), json.dumps(CANARY)[1:-1], encoded)
    assert not [text[:200] for text in (*read, *spans) if any(form in text for form in forms)]


@pytest.mark.feature("S3-130")
async def test_a_version_is_pinned_and_the_newest_is_the_default(
    vault: Vault, world: World
) -> None:
    """By `#1`, in a text of its own and in a template."""
    world.answers("rotated", make=lambda _call: {})
    assert await vault.put("rotated", "value-one") == 1
    headers = {"Pinned": "secret://rotated#1", "Newest": '{{secrets["rotated"]}}'}
    task = calling("rotates", world.url("rotated"), headers=headers)
    await vault.register(task, workflow("rotating", step("call", "rotates")))
    assert await vault.put("rotated", "value-two") == 2
    await vault.run("rotating")
    sent = world.calls("rotated")[-1].headers
    assert (sent["pinned"], sent["newest"]) == ("value-one", "value-two")


@pytest.mark.feature("S3-130")
async def test_a_missing_secret_fails_the_task(vault: Vault, world: World) -> None:
    """Also one of another project: both are the same."""
    await vault.put("theirs", OTHER, namespace="elsewhere")
    for name in ("theirs", "never-was"):
        task = calling("asks", world.url("asks"), headers={"X-Key": f"secret://{name}"})
        await vault.register(task, workflow("asking", step("call", "asks")))
        _, ended = await vault.execute("asking")
        error = ended["tasks"]["call"]["error"]
        assert error["class"] == "SecretUnavailable"
        assert error["message"].startswith(f"there is no secret '{name}'")
    assert not world.calls("asks")


@pytest.mark.feature("S3-130")
@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"headers": {"X-All": "{{secrets}}"}}, "name one secret"),
        ({"body": {"{{secrets.bank}}": 1}}, "a key cannot hold a template"),
        ({"headers": {"X-Key": '{{secrets["a b"]}}'}}, "no name of a secret"),
    ],
)
async def test_a_secret_is_named_one_by_one(vault: Vault, parts: Json, word: str) -> None:
    """Not all of them together, not in a key, and by a name that one can have."""
    status, body = await vault.register(calling("wrong", "https://example.com", **parts))
    assert status == 400, body
    assert word in json.dumps(body)


@pytest.mark.feature("S3-130")
async def test_values_that_are_stored_hold_no_secret(vault: Vault) -> None:
    """Outputs, logs and inputs of steps refuse `secrets`."""
    log = {"message": "{{secrets.bank}}"}
    refused = (
        resource("WorkflowTask", "prints", type="log", log=log),
        workflow("returns", step("wait", "noop"), output={"it": "{{secrets.bank}}"}),
        workflow("passes", step("wait", "noop", input={"it": "{{secrets.bank}}"})),
    )
    for each in refused:
        status, body = await vault.register(each)
        assert status == 400, body
        assert "secrets" in json.dumps(body)


@pytest.mark.feature("S3-130")
async def test_only_admins_write_secrets_and_no_caller_reads_them(vault: Vault) -> None:
    """An editor writes none; the owner resolves none."""
    editor = await vault.closed.key(vault.project, "editor")
    wanted = pb.PutSecretRequest(namespace="vault", name="mine", value=b"value")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await vault.secrets(editor).PutSecret(wanted)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    await vault.secrets().PutSecret(wanted)
    refs = [pb.SecretRef(name="mine")]
    for caller in (editor, vault.admin, vault.closed.owner):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await vault.secrets(caller).ResolveSecrets(
                pb.ResolveSecretsRequest(namespace="vault", refs=refs)
            )
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    listed = await vault.secrets().ListSecrets(pb.ListSecretsRequest(namespace="vault"))
    [mine] = [each for each in listed.secrets if each.name == "mine"]
    assert (mine.version, mine.created_by) == (1, "admin key")
    await vault.secrets().DeleteSecret(pb.DeleteSecretRequest(namespace="vault", name="mine"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await vault.secrets().DeleteSecret(pb.DeleteSecretRequest(namespace="vault", name="mine"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b", b"x"),
        ("", b"x"),
        ("x" * 129, b"x"),
        ("a", b""),
        ("a", b"x" * 65_537),
        ("a", b"\xff"),
    ],
)
async def test_a_malformed_secret_is_refused(vault: Vault, name: str, value: bytes) -> None:
    """By the characters of its name, and by the size and encoding of its value."""
    request = pb.PutSecretRequest(namespace="vault", name=name, value=value)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await vault.secrets().PutSecret(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.long
@pytest.mark.feature("S3-130")
async def test_the_command_stores_and_lists_secrets(suite: Suite, world: World) -> None:
    """In an open suite, whose workflows use them too."""
    assert (await command(suite, "secrets", "set", "shop", stdin=f"{CANARY}\n")).code == 0
    listed = await command(suite, "secrets", "list", "--json")
    assert [each["version"] for each in listed.json if each["name"] == "shop"] == [1]
    world.answers("shop", make=lambda _call: {})
    task = calling("shops", world.url("shop"), headers={"X-Key": "secret://shop"})
    await apply(suite, task, workflow("shopping", step("call", "shops")))
    answer = await suite.post("/api/v1/workflows/shopping/execute", {"input": {}})
    assert answer.json["status"] == "completed"
    assert world.calls("shop")[0].headers["x-key"] == CANARY
    assert (await command(suite, "secrets", "delete", "shop")).code == 0
    again = await command(suite, "secrets", "delete", "shop")
    assert again.code == 1
    assert "secret" in again.err


@pytest.mark.feature("S3-130")
async def test_secrets_are_set_over_rest(vault: Vault) -> None:
    """By the project; a list shows names and versions."""
    path = f"/api/v1/projects/{vault.project}/secrets"
    for status in (201, 200):
        answer = await vault.admin.rest("PUT", f"{path}/by-rest", {"value": CANARY})
        assert answer[0] == status
    _, listed = await vault.admin.rest("GET", path)
    [found] = [each for each in listed["secrets"] if each["name"] == "by-rest"]
    assert found["version"] == 2
    assert CANARY not in json.dumps(listed)
    assert (await vault.admin.rest("DELETE", f"{path}/by-rest"))[0] == 204
    assert (await vault.admin.rest("DELETE", f"{path}/by-rest"))[0] == 404


HANDED = resource("WorkflowTask", "handed", type="handed", secrets=["bank"])


def handing(name: str, **given: Json) -> Json:
    return workflow(name, step("hand", "handed", input=given))


def keyed_worker(vault: Vault, key: str, name: str, seen: list[Json]) -> Worker:
    """A remote worker that repeats its input in its output."""
    worker = Worker(vault.closed.suite.grpc_address, namespace="vault", api_key=key)

    @worker.task(name)
    async def handed(input: Json) -> Json:
        seen.append(input)
        return {"got": input, "encoded": base64.b64encode(input["whole"].encode()).decode()}

    return worker


@pytest.mark.feature("S3-130")
async def test_a_remote_worker_receives_a_declared_secret_in_its_input(vault: Vault) -> None:
    """By a key that permits it; the stored input has the reference, and the result is masked."""
    await vault.put("bank", CANARY)
    template = "Bearer {{secrets.bank}}"
    given = {"whole": "secret://bank", "part": template, "said": "{{input.said}}"}
    status, body = await vault.register(HANDED, handing("hands", **given))
    assert status in (200, 201), body
    key = await vault.closed.key(vault.project, "worker", permissions=["secrets.bank"])
    seen: list[Json] = []
    async with keyed_worker(vault, key.credential, "handed", seen):
        ended = await vault.run("hands", {"said": "secret://bank"})
    assert seen == [{"whole": CANARY, "part": f"Bearer {CANARY}", "said": "secret://bank"}]
    assert ended["status"] == "completed", ended
    id = ended["executionId"]
    read = [json.dumps(ended), await vault.text("/api/v1/workflows/hands")]
    read += [await vault.text(f"/api/v1/executions/{id}{view}") for view in VIEWS]
    read.append(vault.closed.suite.log.read_text())
    encoded = base64.b64encode(CANARY.encode()).decode().rstrip("=")
    forms = (CANARY, quote(CANARY, safe=""), json.dumps(CANARY)[1:-1], encoded)
    assert not [text[:200] for text in read if any(form in text for form in forms)]
    assert "secret://bank" in read[2]
    assert "Bearer ***" in read[0]


@pytest.mark.feature("S3-130")
async def test_a_worker_whose_key_permits_no_secret_receives_no_task_with_one(
    vault: Vault,
) -> None:
    """The task fails, and names the permission."""
    await vault.put("bank", CANARY)
    task = resource("WorkflowTask", "kept", type="kept", secrets=["bank"])
    flow = workflow("keeps", step("hand", "kept", input={"whole": "secret://bank"}))
    assert (await vault.register(task, flow))[0] in (200, 201)
    key = await vault.closed.key(vault.project, "worker", permissions=["secrets.other"])
    seen: list[Json] = []
    async with keyed_worker(vault, key.credential, "kept", seen):
        _, ended = await vault.execute("keeps")
    error = ended["tasks"]["hand"]["error"]
    assert error["class"] == "SecretUnavailable"
    assert "secrets.bank" in error["message"]
    assert not seen


@pytest.mark.feature("S3-130")
async def test_a_built_in_task_receives_a_secret_in_its_input(vault: Vault, world: World) -> None:
    """The input of a task that calls another system."""
    await vault.put("bank", CANARY)
    world.answers("given", make=lambda call: {"sent": dict(call.headers)})
    task = calling("sends", world.url("given"), headers={"X-Key": "{{input.key}}"})
    flow = workflow("sending", step("send", "sends", input={"key": "secret://bank#1"}))
    assert (await vault.register(task, flow))[0] in (200, 201)
    ended = await vault.run("sending")
    assert world.calls("given")[-1].headers["x-key"] == CANARY
    assert CANARY not in json.dumps(ended)


def hooked(**webhooks: str) -> Json:
    """A workflow of one step that reports its end."""
    wait = {"id": "wait", "name": "wait", "type": "task", "action": "noop", "dependencies": []}
    return {"id": "hooked", "name": "hooked", "steps": [wait], "webhooks": webhooks}


@pytest.mark.feature("S3-130")
async def test_a_callback_takes_its_url_and_its_key_from_secrets(
    vault: Vault, world: World
) -> None:
    """The receiver can verify the signature; deliveries and definitions show references."""
    await vault.put("callback-key", KEY)
    await vault.put("callback-url", world.url("reported"))
    sources = {"onComplete": "secret://callback-url", "secret": "secret://callback-key"}
    status, body = await vault.register(hooked(**sources))
    assert status == 201, body
    ended = await vault.run("hooked")

    async def reported() -> bool:
        return bool(world.calls("reported"))

    await until("reported", reported, within_s=WITHIN_S)
    (call,) = world.calls("reported")
    signed = {name.lower(): value for name, value in call.headers.items()}
    Webhook(KEY).verify(call.body, signed)
    assert call.json["executionId"] == ended["executionId"]
    request = event_service_pb2.ListDeliveriesRequest(
        namespace="vault", execution_id=ended["executionId"]
    )
    stub: Any = EventServiceStub(vault.admin.channel)
    (delivery,) = (await stub.ListDeliveries(request)).deliveries
    assert (delivery.url, delivery.last_error) == ("secret://callback-url", "")
    shown = await vault.text("/api/v1/workflows/hooked")
    assert KEY not in shown
    assert world.url("reported") not in shown


class Hook:
    """A workflow that calls of a webhook start."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def register(self, secret: str) -> tuple[int, Json]:
        webhook = {"path": "signed", "provider": "hmac", "secret": secret}
        triggers = [{"id": "called", "webhook": webhook}]
        made = workflow("called", step("wait", "noop"), triggers=triggers)
        return await self._vault.register(made)

    async def call(self, key: str) -> tuple[int, str]:
        """Return the status and the reason of a call that is signed with the key."""
        body = b'{"n": 1}'
        signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        answer = await self._vault.closed.suite.request(
            "POST",
            "/api/v1/hooks/vault/signed",
            headers={"content-type": "application/json", "x-signature-256": signature},
            data=body,
        )
        reason = answer.json.get("error", {}).get("reason", "")
        return answer.status, reason


@pytest.mark.feature("S3-130")
async def test_a_webhook_verifies_with_the_newest_version_of_its_secret(vault: Vault) -> None:
    """A rotated key counts at once; without the secret no call is accepted."""
    hook, name = Hook(vault), pb.DeleteSecretRequest(namespace="vault", name="hook-key")
    await vault.put("hook-key", "first key")
    status, body = await hook.register("secret://hook-key")
    assert status == 201, body

    async def known() -> bool:
        return (await hook.call("first key"))[0] in (200, 201, 202)

    await until("known", known, within_s=WITHIN_S)
    assert await hook.call("secret://hook-key") == (401, "WEBHOOK_UNAUTHENTICATED")
    await vault.put("hook-key", "second key")
    assert await hook.call("first key") == (401, "WEBHOOK_UNAUTHENTICATED")
    assert (await hook.call("second key"))[0] in (200, 201, 202)
    shown = await vault.text("/api/v1/workflows/called/triggers")
    assert "second key" not in shown
    await vault.secrets().DeleteSecret(name)
    assert await hook.call("second key") == (409, "WEBHOOK_SECRET_MISSING")
    await vault.put("hook-key", "third key")
    assert (await hook.call("third key"))[0] in (200, 201, 202)


async def test_a_malformed_reference_is_refused_at_registration(vault: Vault) -> None:
    """It would be taken for the key itself."""
    status, body = await Hook(vault).register("secret://a b")
    assert (status, "secret://name" in json.dumps(body)) == (400, True), body
    status, body = await vault.register(hooked(secret="secret://a b"))
    assert (status, "secret://name" in json.dumps(body)) == (400, True), body


async def test_a_closed_installation_refuses_secrets_of_signatures_in_plain_text(
    vault: Vault,
) -> None:
    """In triggers, callbacks and tasks that wait for a call, each with its place."""
    waits = step("hook", "webhook.receive", input={"provider": "hmac", "secret": "plain key"})
    for registered, place in (
        (Hook(vault).register("plain key"), "triggers[0].webhook.secret"),
        (vault.register(hooked(secret=KEY)), "webhooks.secret"),
        (vault.register(workflow("awaits", waits)), "tasks[0].input.secret"),
    ):
        status, body = await registered
        assert (status, body["error"]["reason"]) == (400, "LINT_SECRET"), body
        (detail,) = body["error"]["details"]
        assert detail["field"].endswith(place), detail
        assert "secret://name" in detail["description"]
        assert "plain key" not in json.dumps(body)
