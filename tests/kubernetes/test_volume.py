"""Many objects at the start of an operator, many reviews, and a rotation between them."""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import psutil
import pytest
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from flowmesh.certificates.authority import Authority
from flowmesh.operator import rotation
from flowmesh.operator.kinds import KINDS
from flowmesh.operator.limits import AUTHORITY_DAYS, BUNDLE_SETTLES_S
from flowmesh.testing.polling import pause, until
from tests.kubernetes.conftest import FULL, SYSTEM, Operator, Place, until_ready
from tests.kubernetes.test_bad_input import HOST, published
from tests.kubernetes.test_operator import noop, workflow

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
OBJECTS, LISTED_S, BYTES = (5_000, 60, 250e6) if FULL else (300, 60, 250e6)
APPLIES, PER_SECOND, P99_MS = (1_200, 20, 50) if FULL else (100, 20, 2_000)
# The rest of the time between a new authority and its first certificate.
SETTLES_S = BUNDLE_SETTLES_S if FULL else 12
AT_ONCE = 16


@asynccontextmanager
async def api(place: Place) -> AsyncIterator[AsyncClient]:
    """A client of the API server with all rights."""
    async with AsyncClient(config=KubeConfig.from_file(place.cluster.kubeconfig).get()) as client:
        yield client


async def create(client: AsyncClient, namespace: str, name: str, **options: Any) -> None:
    document = workflow(name, noop("a"), noop("b", "a"))
    resource = KINDS["Workflow"]
    metadata = ObjectMeta(name=name, namespace=namespace)
    await client.create(resource(metadata=metadata, spec=document["spec"]), **options)


async def metric(operator: Operator, name: str) -> float:
    """Return the sum of a metric of an operator."""
    url = f"http://127.0.0.1:{operator.http_port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", name + "{"))
    )


async def test_reviews_are_answered_in_time(
    place: Place, namespace: str, record_property: Any
) -> None:
    """20 applies a second; measured at the client, the API server included."""
    took: list[float] = []
    await until_ready(place.operators[-1])

    async def apply(client: AsyncClient, number: int) -> None:
        began = time.perf_counter()
        await create(client, namespace, f"w{number}", dry_run=True)
        took.append((time.perf_counter() - began) * 1_000)

    async with api(place) as client, asyncio.TaskGroup() as group:
        await create(client, namespace, "first", dry_run=True)
        for number in range(APPLIES):
            group.create_task(apply(client, number))
            await pause(1 / PER_SECOND)
    took.sort()
    p99 = took[len(took) * 99 // 100]
    record_property("review_p99_ms", round(p99, 1))
    print(f"\nreviews: p50 {took[len(took) // 2]:.1f} ms, p99 {p99:.1f} ms of {len(took)}")
    assert p99 <= P99_MS


async def test_a_rotation_refuses_no_handshake(place: Place, namespace: str) -> None:
    """A new authority joins the bundle and then signs, while reviews are asked for."""
    operator = place.operators[-1]
    await until_ready(operator)
    before = await published(place)
    async with api(place) as client:
        secret = await client.get(Secret, "flowmesh-webhook", namespace=SYSTEM)
        content = {name: base64.b64decode(text) for name, text in (secret.data or {}).items()}
        secret.data = {
            name: base64.b64encode(value).decode() for name, value in joined(content).items()
        }
        await client.replace(secret)
        handshakes, refused = 0, []
        signed = False
        while not signed:
            bundle = await published(place)
            leaf = await handshake(operator, bundle)
            handshakes += 1
            signed = bundle != before and leaf != content[rotation.CERTIFICATE]
            try:
                await create(client, namespace, f"w{handshakes}", dry_run=True)
            except ApiError as error:
                refused.append(str(error))
        assert not refused
        for number in range(20):
            await create(client, namespace, f"after{number}", dry_run=True)
    print(f"\nrotation: {handshakes} handshakes and reviews, none refused")


def joined(content: rotation.Content) -> rotation.Content:
    """Put a new authority before the present one, as the leader does when that is old."""
    now = datetime.now(UTC)
    made = Authority.generate("webhook-drill", timedelta(days=AUTHORITY_DAYS), now=now)
    since = now - timedelta(seconds=BUNDLE_SETTLES_S - SETTLES_S)
    return {
        **content,
        rotation.BUNDLE: made.pem + content[rotation.BUNDLE],
        rotation.AUTHORITY_KEY: made.key_pem,
        rotation.SINCE: since.isoformat().encode(),
    }


async def handshake(operator: Operator, bundle: bytes) -> bytes:
    """Verify the webhook by a bundle; return its certificate. Raises for one that is refused."""
    context = ssl.create_default_context(cadata=bundle.decode())
    _, writer = await asyncio.open_connection(
        "127.0.0.1", operator.webhook_port, ssl=context, server_hostname=HOST
    )
    leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(leaf).encode()


async def stored(client: AsyncClient, namespace: str, name: str) -> bool:
    """Create an object; False until the API server knows that no review is wanted."""
    try:
        await create(client, namespace, name)
    except ApiError:
        return False
    return True


async def test_a_starting_operator_lists_many_objects(place: Place, namespace: str) -> None:
    """In bounded time and memory; the rest follows at the pace of the suite."""
    await place.kubectl("label", "namespace", namespace, "workflow.io/admission=off")
    for each in place.operators:
        each.kill()
    async with api(place) as client:
        numbers = iter(range(OBJECTS))

        async def some() -> None:
            for number in numbers:
                while not await stored(client, namespace, f"w{number:04}"):
                    await pause(0.2)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())
    began = time.monotonic()
    operator = await place.start()

    async def listed() -> bool:
        try:
            known = await metric(operator, "flowmesh_operator_queue")
            return known + await metric(operator, "flowmesh_operator_reconciles_total") >= OBJECTS
        except aiohttp.ClientError:
            return False

    await until("listed", listed, within_s=LISTED_S, poll_s=0.2)
    took = time.monotonic() - began
    held = psutil.Process(operator.process.pid).memory_info().rss
    print(f"\nlisted {OBJECTS} in {took:.1f} s with {held / 1e6:.0f} MB")
    assert held <= BYTES
