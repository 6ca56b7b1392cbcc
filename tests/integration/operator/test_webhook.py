"""The webhook over HTTPS, without a cluster."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.errors import FlowmeshError, Overloaded, TooLarge, Unavailable
from flowmesh.operator import rotation
from flowmesh.operator.certificates import Certificates
from flowmesh.operator.limits import REVIEW_BYTES_MAX
from flowmesh.operator.metrics import OperatorMetrics
from flowmesh.operator.reviews import Reviewer
from flowmesh.operator.webhook import PATH, Webhook
from flowmesh.telemetry import Metrics

HOST = "127.0.0.1"


class Allowing:
    """A reviewer that allows everything, unless it has an error to raise."""

    error: FlowmeshError | None = None

    async def review(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {"uid": request["uid"], "allowed": True}


class Issued:
    """A certificate as the Secret would hold it."""

    def __init__(self) -> None:
        self.content = rotation.renewed({}, (HOST,), datetime.now(UTC)) or {}
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ready = asyncio.Event()

    def load(self, folder: Path) -> None:
        path = folder / "pair.pem"
        path.write_bytes(self.content[rotation.CERTIFICATE] + self.content[rotation.KEY])
        self.context.load_cert_chain(path)
        self.ready.set()


class Served:
    """A running webhook and its client."""

    def __init__(self, url: str, reviewer: Allowing, trust: ssl.SSLContext) -> None:
        self.url = url
        self.reviewer = reviewer
        self._trust = trust

    async def post(self, body: bytes) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body, ssl=self._trust) as answer,
        ):
            found = await answer.json(content_type=None) if answer.status != 413 else {}
            return answer.status, found


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Served]:
    """A webhook with a certificate of its own."""
    issued, reviewer, port = Issued(), Allowing(), free_port()
    issued.load(tmp_path)
    served = Webhook(
        reviewer=cast("Reviewer", reviewer),
        certificates=cast("Certificates", issued),
        host=HOST,
        port=port,
        metrics=OperatorMetrics(Metrics()),
    )
    trust = ssl.create_default_context(cadata=issued.content[rotation.BUNDLE].decode())
    await served.start()
    yield Served(f"https://{HOST}:{port}{PATH}", reviewer, trust)
    await served.close()


async def test_a_review_is_answered(webhook: Served) -> None:
    """With the uid of its request, in the message format of Kubernetes."""
    status, answer = await webhook.post(b'{"request": {"uid": "u1"}}')
    assert status == 200
    assert answer["kind"] == "AdmissionReview"
    assert answer["response"] == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"request": {}}', b'"x"'])
async def test_what_is_no_review_is_refused(webhook: Served, body: bytes) -> None:
    """As a bad request; the server goes on."""
    status, answer = await webhook.post(body)
    assert status == 400
    assert "AdmissionReview" in answer["message"]


async def test_a_review_has_three_mebibytes_at_most(webhook: Served) -> None:
    """An update has the old and the new object."""
    text = b'{"request": {"uid": "u1", "object": "%s"}}'
    fits = text % (b"x" * (REVIEW_BYTES_MAX - len(text) + 2))
    assert (await webhook.post(fits))[0] == 200
    assert (await webhook.post(fits + b" "))[0] == 413


async def test_without_the_suite_nothing_is_allowed(webhook: Served) -> None:
    """The API server refuses by its failure policy, and may ask again."""
    webhook.reviewer.error = Unavailable("SERVICE_UNAVAILABLE", "no definition service")
    status, answer = await webhook.post(b'{"request": {"uid": "u1"}}')
    assert status == 503
    assert answer["message"] == "Flowmesh cannot check the resource now; apply it again later"
    webhook.reviewer.error = Overloaded("OVERLOADED", "too many documents are being checked")
    status, answer = await webhook.post(b'{"request": {"uid": "u1"}}')
    assert status == 503
    assert "now: too many documents are being checked; apply" in answer["message"]


async def test_a_source_that_is_refused_as_a_whole_is_no_outage(webhook: Served) -> None:
    """It is denied with its reason, and not to be asked again."""
    webhook.reviewer.error = TooLarge("DEFINITION_TOO_LARGE", "the source has 9 MiB")
    status, answer = await webhook.post(b'{"request": {"uid": "u1"}}')
    assert (status, answer["response"]["allowed"]) == (200, False)
    assert "DEFINITION_TOO_LARGE" in answer["response"]["status"]["message"]
