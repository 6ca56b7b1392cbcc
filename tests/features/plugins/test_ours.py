"""The plugins of this repository: installed from a catalogue, behind walls, at real protocols."""

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from botocore.session import Session

from flowmesh.testing.suite import Suite
from tests.features.application_hosts.app_servers import aws, kafka
from tests.features.plugins.market import Market, Shelf
from tests.features.plugins.servers import desk, mailbox, mariadb, served

pytestmark = pytest.mark.long
PROJECTS = sorted(each.parent for each in Path("plugins").glob("*/plugin.toml"))
PASSWORD = "of-the-mailbox"
GITHUB = "of-the-webhook"
# An open installation reads secrets from its environment.
SECRETS = {
    "FLOWMESH_SECRET_SMTP_PASSWORD": PASSWORD,
    "FLOWMESH_SECRET_MYSQL_PASSWORD": PASSWORD,
    "FLOWMESH_SECRET_S3_SECRET_KEY": "of-the-bucket",
    "FLOWMESH_SECRET_GITHUB_SECRET": GITHUB,
}


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with a catalogue of all plugins of this repository, at a URL."""
    market = Market(tmp_path_factory.mktemp("market"))
    for each in PROJECTS:
        market.publish(each)
    folder = tmp_path_factory.mktemp("shop") / "data"
    async with served(market.folder) as url:
        environment = {
            **market.environment,
            **SECRETS,
            "FLOWMESH_PLUGIN_CATALOGUE": url,
            "FLOWMESH_EGRESS": "open",
        }
        async with Suite(folder, environment=environment) as running:
            yield running


@pytest.fixture
async def shelf(shop: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    made = Shelf(shop, request.node.name.replace("_", "-"))
    yield made
    await made.end()


def failure(answer: Any) -> str:
    """Return the message of the failed task of a run."""
    return str(answer["tasks"]["do"]["error"]["message"])


async def test_a_mail_is_sent(shelf: Shelf) -> None:
    """A login, a mail of two parts, a refused recipient and a header of two lines."""
    async with mailbox(PASSWORD) as box:
        settings = {"host": "127.0.0.1", "port": box.port, "security": "none", "user": "shop"}
        found = await shelf.installed("smtp-mail", {**settings, "from": "shop@example.com"})
        assert found["state"] == "ready", found
        mail = {
            "to": ["ada@example.com"],
            "subject": "Grüße",
            "text": "Hello",
            "html": "<b>Hello</b>",
            "password": "secret://smtp-password",
        }
        sent = await shelf.run("mail.send", mail, "smtp-password")
        assert sent["outputs"]["do"]["refused"] == [], sent
        assert sent["outputs"]["do"]["messageId"] in box.mails[0]
        assert "multipart/alternative" in box.mails[0]
        assert box.logins == ["shop"]
        nobody = await shelf.run("mail.send", {**mail, "to": "nobody@example.com"}, "smtp-password")
        assert "no recipient was accepted" in failure(nobody)
        lines = {**mail, "subject": "Hi\nBcc: all@example.com"}
        assert "a header of the message" in failure(
            await shelf.run("mail.send", lines, "smtp-password")
        )
        assert len(box.mails) == 1


async def test_a_mail_server_that_is_away_fails_the_self_test(shelf: Shelf) -> None:
    """The plugin is in a crash loop, and says why."""
    settings = {"host": "127.0.0.1", "port": 9, "security": "none", "from": "shop@example.com"}
    found = await shelf.installed("smtp-mail", settings)
    assert found["state"] == "failed"
    assert "smtp-mail 1.0.0 failed its self-test: ConnectionRefusedError" in found["problem"]


async def test_a_message_reaches_the_chat_of_the_configuration_only(shelf: Shelf) -> None:
    """A message is posted; a server that was not granted is not reached."""
    async with desk() as chat, desk() as other:
        await shelf.installed("webhook-message", {"server": chat.url})
        message = {"url": f"{chat.url}/hook", "text": "Hello", "message": {"channel": "#shop"}}
        sent = await shelf.run("message.post", message)
        assert sent["outputs"]["do"] == {"status": 200, "answer": "ok"}, sent
        assert chat.messages == [{"channel": "#shop", "text": "Hello"}]
        refused = await shelf.run("message.post", {**message, "text": ""})
        assert failure(refused) == "the chat refused the message with 400: no_text"
        walled = await shelf.run("message.post", {**message, "url": f"{other.url}/hook"})
        assert "cannot be reached" in failure(walled), walled
        assert other.messages == []


async def test_a_text_is_stored_in_a_bucket_and_read_again(shelf: Shelf) -> None:
    """The server is that of moto; an object that is not there is named."""
    async with aws() as endpoint:
        session = Session()
        session.set_credentials("shop", "of-the-bucket")
        client = session.create_client("s3", region_name="us-east-1", endpoint_url=endpoint)
        client.create_bucket(Bucket="orders")
        settings = {"endpoint": endpoint, "bucket": "orders", "accessKey": "shop"}
        found = await shelf.installed("s3-object", settings)
        assert found["state"] == "ready", found
        key = {"key": "a/1.txt", "secretKey": "secret://s3-secret-key"}
        stored = await shelf.run("s3.put", {**key, "text": "grüß"}, "s3-secret-key")
        assert stored["outputs"]["do"]["bytes"] == 6, stored
        read = await shelf.run("s3.get", key, "s3-secret-key")
        assert read["outputs"]["do"]["text"] == "grüß"
        missing = await shelf.run("s3.get", {**key, "key": "a/2.txt"}, "s3-secret-key")
        assert failure(missing).startswith("NoSuchKey")


async def test_prometheus_is_queried(shelf: Shelf) -> None:
    """A result has its type; a query that is none fails with the error of the server."""
    async with desk() as server:
        await shelf.installed("prometheus-query", {"url": server.url})
        found = await shelf.run("prometheus.query", {"query": "up"})
        assert found["outputs"]["do"]["type"] == "vector", found
        assert found["outputs"]["do"]["result"][0]["value"][1] == "1"
        wrong = await shelf.run("prometheus.query", {"query": "up up"})
        assert failure(wrong) == "bad_data: parse error"


async def test_an_event_of_github_is_checked(shelf: Shelf) -> None:
    """An event with the signature of its body is read, any other refused."""
    await shelf.installed("github-event", {})
    body = json.dumps({"action": "opened", "repository": {"full_name": "a/b"}})
    signature = hmac.new(GITHUB.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "issues", "X-Hub-Signature-256": f"sha256={signature}"}
    event = {"body": body, "headers": headers, "secret": "secret://github-secret"}
    found = await shelf.run("github.event", event, "github-secret")
    read = found["outputs"]["do"]
    assert (read["event"], read["action"], read["repository"]) == ("issues", "opened", "a/b")
    changed = {**event, "body": body.replace("opened", "closed")}
    refused = await shelf.run("github.event", changed, "github-secret")
    assert failure(refused) == "x-hub-signature-256 is not that of the body"


async def test_rows_are_written_and_read_in_a_database(shelf: Shelf, tmp_path: Path) -> None:
    """The server is MariaDB; values stay exact, a query changes nothing, and errors are told."""
    async with mariadb(tmp_path, PASSWORD) as port:
        settings = {"host": "127.0.0.1", "port": port, "database": "shop", "user": "shop"}
        found = await shelf.installed("mysql-query", {**settings, "security": "none"})
        assert found["state"] == "ready", found

        async def run(task: str, sql: str, *parameters: Any) -> Any:
            given = {"sql": sql, "parameters": parameters, "password": "secret://mysql-password"}
            return await shelf.run(task, given, "mysql-password")

        insert = "insert into orders (name, total, made, mark) values (%s, %s, %s, unhex('00ff'))"
        row = ("Ada'); drop table orders; --", "19.90", "2026-11-29 12:00:00")
        made = await run("mysql.execute", insert, *row)
        assert made["outputs"]["do"] == {"changed": 1, "lastId": 1}, made
        read = await run("mysql.query", "select name, total, made, mark from orders")
        assert read["outputs"]["do"]["rows"] == [
            {"name": row[0], "total": "19.90", "made": "2026-11-29T12:00:00", "mark": "AP8="}
        ]
        assert "READ ONLY" in failure(await run("mysql.query", "delete from orders"))
        assert failure(await run("mysql.query", "select nothing from orders")).startswith("1054 ")
        wrong = await run("mysql.query", "select %s", {"a": 1})
        assert failure(wrong) == "parameters: dict can not be used as parameter"


async def test_a_message_reaches_a_topic(shelf: Shelf, tmp_path: Path) -> None:
    """The broker is Apache Kafka; key, value and headers arrive, and a wrong topic is told."""
    async with kafka(tmp_path) as broker:
        settings = {"brokers": [broker], "security": "none"}
        found = await shelf.installed("kafka-message", settings)
        assert (found["state"], found["permissions"][0]) == ("ready", f"connect {broker}"), found
        message = {"topic": "orders", "key": "7", "value": {"total": 3}, "headers": {"by": "shop"}}
        sent = await shelf.run("kafka.publish", message)
        assert sent["outputs"]["do"]["offset"] == 0, sent
        consumer = AIOKafkaConsumer(
            "orders", bootstrap_servers=broker, auto_offset_reset="earliest", group_id=None
        )
        await consumer.start()
        try:
            record = await consumer.getone()
        finally:
            await consumer.stop()
        assert (record.key, json.loads(record.value)) == (b"7", {"total": 3})
        assert dict(record.headers)["by"] == b"shop"
        wrong = await shelf.run("kafka.publish", {**message, "topic": "or ders"})
        assert failure(wrong) == "topic: 'or ders' is no name of a topic"


async def test_an_invoice_is_a_pdf(shelf: Shelf) -> None:
    """Sums are exact, long invoices have several pages, and unknown letters are refused."""
    settings = {"seller": ["Grüne Läden GmbH", "Am Markt 1"], "taxPercent": 19}
    assert (await shelf.installed("pdf-invoice", settings))["permissions"] == []
    item = {"text": "Käse", "quantity": 3, "unitPrice": "0.10"}
    given = {"number": 7, "date": "2026-11-29", "buyer": "Ada\nHof 2", "items": [item] * 80}
    found = (await shelf.run("invoice.pdf", given))["outputs"]["do"]
    assert (found["net"], found["tax"], found["total"]) == ("24.00", "4.56", "28.56")
    content = base64.b64decode(found["pdf"])
    texts = texts_of(content)
    assert (found["pages"], content.count(b"/Type /Page/")) == (2, 2)
    assert {"Invoice 7", "Grüne Läden GmbH", "Käse", "Tax 19 %", "28.56"} <= set(texts)
    assert texts.count("Käse") == 80
    wrong = await shelf.run("invoice.pdf", {**given, "buyer": "阿达"})
    assert failure(wrong) == "the fonts of the invoice have no '阿达'"
    wrong = await shelf.run("invoice.pdf", {**given, "items": [{**item, "quantity": "many"}]})
    assert failure(wrong) == "items[0].quantity: 'many' is no number"


def texts_of(content: bytes) -> list[str]:
    """Return the texts on the pages of a PDF, found by its table of objects."""
    start = int(content.rpartition(b"startxref\n")[2].split()[0])
    assert content[start:].startswith(b"xref")
    streams = re.findall(rb"stream\n(.*?)\nendstream", content, re.DOTALL)
    drawn = b"".join(map(zlib.decompress, streams))
    return [
        bytes.fromhex(each.decode()).decode("cp1252") for each in re.findall(b"<(.*?)> Tj", drawn)
    ]
