"""The plugins of this repository: installed from a catalogue, behind walls, at real protocols."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from flowmesh.testing.suite import Suite
from tests.features.application_hosts.app_servers import aws
from tests.features.plugins.market import Market, Shelf
from tests.features.plugins.servers import desk, mailbox, served

pytestmark = pytest.mark.long
PROJECTS = sorted(each.parent for each in Path("plugins").glob("*/plugin.toml"))
PASSWORD = "of-the-mailbox"
GITHUB = "of-the-webhook"
# An open installation reads secrets from its environment.
SECRETS = {
    "FLOWMESH_SECRET_SMTP_PASSWORD": PASSWORD,
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
