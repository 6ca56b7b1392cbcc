"""The certificate of the webhook: made by the leader, loaded by all, published by the leader."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from lightkube import ApiError, AsyncClient

from flowmesh.operator import rotation
from flowmesh.operator.certificates import (
    CONFIGURATION,
    SECRET,
    WEBHOOK,
    Certificates,
)
from flowmesh.operator.limits import (
    CERTIFICATE_AWAITED_MS,
    CERTIFICATE_CHECK_MS,
    CERTIFICATE_DAYS,
)
from tests.api_server import SYSTEM, ApiServer, Refused, api_server

HOSTS = ("flowmesh-webhook.system.svc",)
# As the chart installs it.
INSTALLED = {
    "metadata": {"name": CONFIGURATION},
    "webhooks": [
        {
            "name": WEBHOOK,
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {"name": "flowmesh-webhook", "namespace": SYSTEM}},
            "sideEffects": "None",
        }
    ],
}


class Replica:
    """The certificates of one replica, and the days that it reported last."""

    def __init__(self, client: AsyncClient, *, leads: bool) -> None:
        self.days = 0.0
        leading = asyncio.Event()
        if leads:
            leading.set()
        self.certificates = Certificates(
            client=client, namespace=SYSTEM, hosts=HOSTS, leading=leading, days_left=self._report
        )

    def _report(self, days: float) -> None:
        self.days = days


@pytest.fixture
async def cluster() -> AsyncIterator[tuple[ApiServer, AsyncClient]]:
    async with api_server() as (server, client):
        server.put("validatingwebhookconfigurations", INSTALLED)
        yield server, client


def secret(server: ApiServer) -> dict[str, bytes]:
    found = server.get("secrets", SECRET, SYSTEM)
    assert found is not None
    return {name: base64.b64decode(text) for name, text in found["data"].items()}


def published(server: ApiServer) -> bytes:
    found = server.get("validatingwebhookconfigurations", CONFIGURATION, "")
    assert found is not None
    (webhook,) = found["webhooks"]
    assert webhook["clientConfig"]["service"]["name"] == "flowmesh-webhook"
    return base64.b64decode(webhook["clientConfig"].get("caBundle", ""))


async def test_the_leader_makes_the_certificate_and_the_others_load_it(
    cluster: tuple[ApiServer, AsyncClient],
) -> None:
    """Only the leader writes; a replica without one looks often."""
    server, client = cluster
    one, two = Replica(client, leads=True), Replica(client, leads=False)
    await two.certificates.run_once()
    assert not two.certificates.ready.is_set()
    assert two.certificates.pause_ms() == CERTIFICATE_AWAITED_MS
    await one.certificates.run_once()
    await two.certificates.run_once()
    assert two.certificates.ready.is_set()
    assert two.certificates.pause_ms() == CERTIFICATE_CHECK_MS
    assert one.days == pytest.approx(CERTIFICATE_DAYS, abs=0.1)
    assert published(server) == secret(server)[rotation.BUNDLE]
    server.requests.clear()
    await one.certificates.run_once()
    assert server.requests == [f"GET secrets/{SYSTEM}/{SECRET}"]


async def test_an_aged_certificate_is_exchanged_in_its_secret(
    cluster: tuple[ApiServer, AsyncClient],
) -> None:
    """Under the same authority, which the API servers trust already."""
    server, client = cluster
    then = datetime.now(UTC) - timedelta(days=CERTIFICATE_DAYS * 2 / 3 + 1)
    aged = rotation.renewed({}, HOSTS, then) or {}
    data = {name: base64.b64encode(value).decode() for name, value in aged.items()}
    server.put("secrets", {"metadata": {"name": SECRET, "namespace": SYSTEM}, "data": data})
    one = Replica(client, leads=True)
    await one.certificates.run_once()
    assert secret(server)[rotation.CERTIFICATE] != aged[rotation.CERTIFICATE]
    assert published(server) == aged[rotation.BUNDLE]
    assert one.days == pytest.approx(CERTIFICATE_DAYS, abs=0.1)


async def test_a_secret_that_may_not_be_read_is_not_a_missing_one(
    cluster: tuple[ApiServer, AsyncClient],
) -> None:
    """No new authority is made, which the API servers would not trust."""
    server, client = cluster
    server.failures["GET secrets"] = Refused(403, "no rights yet")
    with pytest.raises(ApiError, match="no rights yet"):
        await Replica(client, leads=True).certificates.run_once()
    assert server.names("secrets") == []
    assert published(server) == b""
