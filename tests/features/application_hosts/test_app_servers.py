"""Module types against the servers that they speak to."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import nats
import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.offline.checking import silent_log
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.wiring.ports import BROKER, DEAD_LETTERS
from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import Invalid, Unavailable
from flowmesh.sdk.messaging.broker import MessageBroker
from flowmesh.testing.suite import Suite
from tests.features import natives
from tests.features.application_hosts import app_servers
from tests.features.applications.test_app_messages import HANDLER, app, seen
from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.apps import eventually, running, written

pytestmark = pytest.mark.long


def broken(after: int) -> str:
    """A component that fails for its first messages."""
    return f"""
count = 0

def execute(params):
    global count
    count += 1
    if count <= {after}:
        raise ValueError("not yet")
    return params
"""


@pytest.mark.feature("S1-39")
@pytest.mark.parametrize("stream", ["", "ORDERS"])
async def test_nats_delivers_in_core_and_in_a_stream(
    tmp_path: Path, servers: EmbeddedServers, stream: str
) -> None:
    """Messages of others and of the application arrive; in a stream they outlive a stop."""
    topic = f"orders{stream.lower()}{id(tmp_path)}"
    config: Json = {
        "url": servers.nats,
        **({"stream": f"{stream}{id(tmp_path)}"} if stream else {}),
    }
    broker = {"name": "broker", "type": "messaging.nats", "config": config}
    handler = {**HANDLER, "config": {**HANDLER["config"], "topic": f"{topic}.*"}}
    path = written(tmp_path, app(broker, modules=[handler]))
    other = await nats.connect(servers.nats)
    async with running(path) as found:
        assert (await found.call("POST", f"/publish/{topic}.a", {"value": "1"})).status == 200
        await other.publish(f"{topic}.b", b'{"value": "2"}')
        rows = await seen(found, 2)
        assert {row["value"] for row in rows} == {"1", "2"}
        module = found.application.built.modules["broker"]
        assert module.health is not None
        assert await module.health() == ""
    if stream:
        await other.jetstream().publish(f"{topic}.c", b'{"value": "late"}')
        async with running(path) as found:
            assert "late" in {row["value"] for row in await seen(found, 3)}
    await other.close()


@pytest.mark.feature("S1-39", "S1-37")
async def test_a_stream_delivers_a_failed_message_again(
    tmp_path: Path, servers: EmbeddedServers
) -> None:
    """A receiver that fails twice gets the message a third time; a poison one is buried."""
    mark = f"again{id(tmp_path)}"
    broker = {
        "name": "broker",
        "type": "messaging.nats",
        "config": {"url": servers.nats, "stream": mark},
    }
    modules: list[Json] = [
        {"name": name, "type": "dynamic.component", "config": {"source": broken(count)}}
        for name, count in (("twice", 2), ("always", 1_000))
    ]
    modules += [
        {
            "name": f"h-{name}",
            "type": "messaging.handler",
            "config": {"topic": f"{mark}.{name}", "component": name, "broker": "broker"},
        }
        for name in ("twice", "always")
    ]
    messaging = {"producers": [{"name": "h-twice", "forwardTo": [f"{mark}.done"]}]}
    modules.append(
        {
            "name": "done",
            "type": "messaging.handler",
            "config": {"topic": f"{mark}.done", "pipeline": "save", "broker": "broker"},
        }
    )
    text = app(broker, modules=modules, workflows={"messaging": messaging})
    async with running(written(tmp_path, text)) as found:
        await found.call("POST", f"/publish/{mark}.always", {"value": "poison"})
        await found.call("POST", f"/publish/{mark}.twice", {"value": "x"})
        assert [row["value"] for row in await seen(found, 1)] == ["x"]
        letters = found.application.built.registry.need(DEAD_LETTERS, "broker")

        async def buried() -> bool:
            return bool(letters.list())

        assert await eventually(buried)
        assert letters.list()[0].message.value == {"value": "poison"}


@pytest.mark.slow
@pytest.mark.feature("S1-38")
async def test_kafka_keeps_order_and_commits_after_the_handler(tmp_path: Path) -> None:
    """Keys keep their order, a stop loses nothing, a poison message goes to its dead letters."""
    (tmp_path / "kafka").mkdir()
    async with app_servers.kafka(tmp_path / "kafka") as address:
        broker = {"name": "broker", "type": "messaging.kafka", "config": {"brokers": [address]}}
        component = {
            "name": "always",
            "type": "dynamic.component",
            "config": {"source": broken(1_000)},
        }
        modules = [
            {**HANDLER, "config": {**HANDLER["config"], "topic": "orders.new"}},
            component,
            {
                "name": "poisoned",
                "type": "messaging.handler",
                "config": {"topic": "poison", "component": "always"},
            },
            {
                "name": "dead",
                "type": "messaging.handler",
                "config": {"topic": "poison.dead-letters", "pipeline": "save"},
            },
        ]
        path = written(tmp_path, app(broker, modules=modules))
        async with running(path) as found:
            for number in range(50):
                answer = await found.call("POST", "/publish/orders.new", {"value": str(number)})
                assert answer.status == 200, answer.body
            assert len(await seen(found, 50)) == 50
            await found.call("POST", "/publish/poison", {"value": "p"})
            rows = await seen(found, 51)
            assert ("p", "poison.dead-letters") in {(r["value"], r["topic"]) for r in rows}
            made = found.application.built.registry.need(BROKER, "broker")
            assert await made.health() == ""
            await found.application._built.modules["web"].stop()
            # Its last attempt is after the beginning of the stop.
            await made.publish("poison", {"value": "late"})
        async with running(path) as found:
            await found.call("POST", "/publish/orders.new", {"value": "after"})
            rows = await seen(found, 53)
            assert [row["value"] for row in rows].count("after") == 1
            assert ("late", "poison.dead-letters") in {(r["value"], r["topic"]) for r in rows}
            assert len(rows) == 53


def objects_app(store: Json) -> str:
    routes = [delegate(f"/{each}", "store", each) for each in ("put", "get", "list", "delete")]
    return app_of(store, routes=routes)


async def check_objects(path: Path) -> None:
    """Put, get, list by a beginning, and delete, each as the operation of a pipeline."""
    async with running(path) as found:
        for key in ("a/1", "a/2", "b/1"):
            body = {"key": key, "content": f"of {key}"}
            answer = await found.call("POST", "/put", body)
            assert answer.status == 200, answer.body
        assert (await found.call("POST", "/get", {"key": "a/1"})).body["content"] == "of a/1"
        listed = (await found.call("POST", "/list", {"prefix": "a/"})).body["objects"]
        assert listed == [{"key": "a/1", "size": 6}, {"key": "a/2", "size": 6}]
        assert (await found.call("POST", "/delete", {"key": "a/1"})).body["deleted"] is True
        assert (await found.call("POST", "/delete", {"key": "a/1"})).body["deleted"] is False
        assert (await found.call("POST", "/get", {"key": "a/1"})).status == 404
        module = found.application.built.modules["store"]
        assert module.health is not None
        assert await module.health() == ""


@pytest.mark.feature("S1-68", "S1-78")
async def test_s3_and_secrets_of_aws(tmp_path: Path) -> None:
    """Objects of a bucket below a prefix; a secret, and a key of its JSON, in the document."""
    client: Any = boto3.client
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    async with app_servers.aws() as url:
        s3 = client("s3", endpoint_url=url, **keys)
        await asyncio.to_thread(lambda: s3.create_bucket(Bucket="files"))
        manager = client("secretsmanager", endpoint_url=url, **keys)
        secret = '{"bucket": "files", "password": "very secret text"}'
        await asyncio.to_thread(lambda: manager.create_secret(Name="shop", SecretString=secret))
        access = {"endpoint": url, "accessKeyId": "k", "secretAccessKey": "s"}
        store = {
            "name": "store",
            "type": "storage.s3",
            "config": {"bucket": "${aws-sm:shop#bucket}", "prefix": "app", **access},
        }
        await check_objects(
            written(
                tmp_path, objects_app(store).replace('"modules": [', f'"modules": [{_aws(url)}, ')
            )
        )
        listed = await asyncio.to_thread(lambda: s3.list_objects_v2(Bucket="files"))
        assert {each["Key"] for each in listed["Contents"]} == {"app/a/2", "app/b/1"}


def _aws(url: str) -> str:
    return (
        '{"name": "secrets", "type": "secrets.aws", "config": '
        f'{{"endpoint": "{url}", "accessKeyId": "k", "secretAccessKey": "s"}}}}'
    )


@pytest.mark.feature("S1-69")
async def test_gcs_over_its_json_api(tmp_path: Path) -> None:
    """Objects of a bucket below a prefix."""
    async with app_servers.gcs() as url:
        config = {"bucket": "files", "endpoint": url, "prefix": "app/"}
        store = {"name": "store", "type": "storage.gcs", "config": config}
        await check_objects(written(tmp_path, objects_app(store)))
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/storage/v1/b/files/o") as answer,
        ):
            names = {each["name"] for each in (await answer.json())["items"]}
        assert names == {"app/a/2", "app/b/1"}


@pytest.mark.feature("S1-77", "S1-02")
@pytest.mark.parametrize("kv", [1, 2])
async def test_secrets_of_vault_fill_the_document_and_are_masked(tmp_path: Path, kv: int) -> None:
    """A secret is read once, also after Vault was sealed, and never in the log."""
    async with app_servers.vault() as (double, url):
        double.secrets["shop"] = {"token": "a very secret word", "other": "x"}
        double.sealed = 1
        config = {"address": url, "token": "root", "kv": kv, "mountPath": f"kv{kv}"}
        vault = {"name": "vault", "type": "secrets.vault", "config": config}
        answer = {
            "method": "GET",
            "path": "/a",
            "pipeline": [
                {"name": "l", "type": "step.log", "config": {"message": "${vault:shop#token}"}},
                {
                    "name": "o",
                    "type": "step.json_response",
                    "config": {"body": "${vault:shop#token}"},
                },
            ],
        }
        routes: list[Json] = [answer, delegate("/get", "vault", "get")]
        path = written(tmp_path, app_of(vault, routes=routes))
        how = Loading(environment={}, required=True)
        document = await asyncio.to_thread(load, path, how)
        assert double.reads == 1
        log = silent_log("vault")
        application = Application(document, log=log)
        await application.start()
        address = next(iter(application.addresses.values()))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{address}/a") as found:
                assert await found.json() == "a very secret word"
            async with session.post(f"http://{address}/get", json={"name": "shop#other"}) as found:
                assert await found.json() == {"value": "x"}
            async with session.post(f"http://{address}/get", json={"name": "none"}) as found:
                assert found.status == 404
        assert "a very secret word" not in str(log.read(limit=1_000))
        module = application.built.modules["vault"]
        assert module.health is not None
        assert await module.health() == ""
        await application.stop()


@pytest.mark.feature("S1-77")
async def test_vault_by_app_role_and_what_it_refuses(tmp_path: Path) -> None:
    """An AppRole logs in; a missing secret, a wrong token and no module are errors with a line."""
    async with app_servers.vault() as (double, url):
        double.secrets["shop"] = {"token": "of the role"}

        def text(name: str, **config: Json) -> str:
            given = {"address": url, "token": "none", **config}
            module = {"name": "vault", "type": "secrets.vault", "config": given}
            answer = {"name": "o", "type": "step.json_response", "config": {"body": f"${{{name}}}"}}
            route = {"method": "GET", "path": "/a", "pipeline": [answer]}
            return app_of(module, routes=[route])

        role = {"token": "", "roleId": "role", "secretId": "secret"}
        for source, config, word in (
            ("vault:shop#token", role, ""),
            ("vault:gone#token", role, "no secret gone"),
            ("vault:shop#nokey", role, "no key 'nokey'"),
            ("vault:shop#token", {}, "refuses"),
            ("aws-sm:shop#token", {}, "no module secrets.aws"),
        ):
            path = written(tmp_path, text(source, **config))
            how = Loading(environment={}, required=True)
            document = await asyncio.to_thread(load, path, how)
            if not word:
                assert document.secrets == ("of the role",)
                continue
            with pytest.raises(Invalid) as caught:
                Application(document, log=silent_log("vault"))
            said = [e for e in caught.value.violations if e.code == "SECRET_UNRESOLVED"]
            assert said, caught.value.violations
            assert word in said[0].description


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("messaging.nats", {"url": "nats://127.0.0.1:9"}),
        ("messaging.kafka", {"brokers": ["127.0.0.1:9"]}),
        ("cache.modular", {"engine": "redis", "redisURL": "redis://127.0.0.1:9"}),
    ],
)
async def test_a_server_that_is_away_fails_the_start_by_name(
    tmp_path: Path, kind: str, config: Json
) -> None:
    """The error names module, type and cause, and nothing keeps running."""
    module = {"name": "away", "type": kind, "config": config}
    path = written(tmp_path, app_of(module))
    with pytest.raises(Unavailable, match="the module away"):
        async with running(path):
            pass


@pytest.mark.feature("S1-35", "S1-49")
async def test_the_broker_of_the_suite_keeps_messages_for_the_next_process(
    tmp_path: Path, suite: Suite
) -> None:
    """Messages are delivered, also those that were published while the application was away."""
    broker = {
        "name": "broker",
        "type": "messaging.broker",
        "config": {"engine": "suite", "address": suite.grpc_address},
    }
    path = written(tmp_path, app(broker, modules=[HANDLER]))
    async with running(path) as found:
        answer = await found.call("POST", "/publish/orders.new", {"value": "1"})
        assert answer.status == 200, answer.body
        assert [row["value"] for row in await seen(found, 1)] == ["1"]
    async with MessageBroker(suite.grpc_address, strict=True) as outside:
        await outside.publish({"value": "2"}, "orders.late", "app.acting")
    async with running(path) as found:
        assert [row["value"] for row in await seen(found, 2)] == ["1", "2"]


@pytest.mark.feature("S1-05", "S1-90")
async def test_a_pipeline_starts_an_execution_of_the_suite(
    tmp_path: Path, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `wait` the output is that of the step; without a suite it is refused by a sentence."""
    flow = natives.workflow("of-app", {"id": "n", "taskRef": "noop"}, output={"v": "{{input.v}}"})
    await natives.applied(suite, flow)
    run_ = {
        "method": "POST",
        "path": "/run",
        "pipeline": [
            {"name": "in", "type": "step.request_parse", "config": {"parse_body": True}},
            {
                "name": "w",
                "type": "step.workflow",
                "config": {"workflow": "of-app", "input": "{{ .body }}", "wait": True},
            },
            {"name": "out", "type": "step.json_response", "config": {"body_from": "steps.w"}},
        ],
    }
    async with running(written(tmp_path, app_of(routes=[run_]))) as found:
        monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
        assert (await found.call("POST", "/run", {"v": 1})).body["code"] == "SUITE_MISSING"
        monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
        answer = await found.call("POST", "/run", {"v": 7})
        assert (answer.status, answer.body.get("result")) == (200, {"v": 7}), answer.body
