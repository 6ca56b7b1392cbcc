"""Resources, bodies and Secrets that are wrong: each has an outcome that says so."""

import base64
import json
import os
import signal
import ssl
from typing import Any

import aiohttp
import pytest

from flowmesh.operator.limits import REVIEW_BYTES_MAX
from flowmesh.testing.polling import until
from tests.kubernetes.conftest import SYSTEM, Place, until_ready
from tests.kubernetes.test_operator import noop, task, workflow

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(180)]
LARGE_BYTES = 1_400 * 1024
HOST = f"flowmesh-webhook.{SYSTEM}.svc"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (task("charge", timeOut="5s"), "spec.timeOut"),
        (workflow("order", {**noop("a"), "retries": {"attempts": 1}}), "spec.tasks[0].retries"),
    ],
    ids=["task", "node"],
)
async def test_an_unknown_field_is_said_and_not_dropped(
    place: Place, namespace: str, document: dict[str, Any], said: str
) -> None:
    """Also by a client that does not ask for strict checks."""
    text = json.dumps(document)
    apply = ("apply", "--validate=false", "-n", namespace, "-f", "-")
    output = await place.kubectl(*apply, source=text, check=False)
    assert said in output, output
    assert "created" not in output


async def test_an_unknown_member_of_a_resource_is_said(place: Place, namespace: str) -> None:
    """Beside `spec` the API server itself knows what there is."""
    misspelled = {**workflow("order", noop("a")), "specs": {}}
    output = await place.apply(namespace, misspelled, check=False)
    assert 'unknown field "specs"' in output, output


async def test_a_large_object_is_registered_as_any_other(place: Place, namespace: str) -> None:
    """1.4 MiB by server-side apply; of a change both versions reach the webhook."""
    count = 400
    text = "x" * (LARGE_BYTES // count)
    tasks = [{**noop(f"n{number}"), "input": {"message": text}} for number in range(count)]
    apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
    for version in (1, 2):
        tasks[0] = {**tasks[0], "input": {"message": f"{version}"}}
        await place.kubectl(*apply, source=json.dumps(workflow("large", *tasks)))
        ready = await place.until_ready(namespace, "workflow", "large", timeout_s=60)
        assert ready["version"] == version
    left = await place.kubectl("delete", "wf", "large", "-n", namespace, "--timeout=30s")
    assert "deleted" in left


async def test_a_review_above_its_limit_is_answered_by_413(place: Place) -> None:
    """And the webhook answers the next one."""
    bundle = await published(place)
    assert await review(place, bundle, b"[" + b" " * REVIEW_BYTES_MAX + b"]") == 413
    assert await review(place, bundle, b"{}") == 400


async def test_a_name_with_dots_is_an_id_of_the_suite(place: Place, namespace: str) -> None:
    """As Kubernetes allows it."""
    await place.apply(namespace, workflow("order.v1.example", noop("a")))
    await place.until_ready(namespace, "workflow", "order.v1.example")
    assert await place.workflows(namespace) == ["order.v1.example"]
    await place.kubectl("delete", "wf", "order.v1.example", "-n", namespace, "--timeout=30s")
    assert await place.workflows(namespace) == []


async def test_an_object_is_released_although_its_suite_is_gone(
    place: Place, namespace: str
) -> None:
    """Its deletion waits for the suite; the annotation `retain` ends the wait."""
    await place.apply(namespace, workflow("order", noop("a")))
    await place.until_ready(namespace, "workflow", "order")
    os.kill(place.suite.pid, signal.SIGSTOP)
    try:
        await place.kubectl("delete", "wf", "order", "-n", namespace, "--wait=false")
        found = await place.cluster.get("wf", "order", "-n", namespace)
        assert found["metadata"]["finalizers"] == ["workflow.io/definition"]
        retain = "workflow.io/deletion-policy=retain"
        await place.kubectl("annotate", "wf", "order", "-n", namespace, retain)
        await place.kubectl("wait", "--for=delete", "wf/order", "-n", namespace, "--timeout=40s")
    finally:
        os.kill(place.suite.pid, signal.SIGCONT)
    assert await place.workflows(namespace) == ["order"]


@pytest.mark.parametrize("lost", ["all", "ca.key"])
async def test_an_emptied_secret_is_made_again(place: Place, namespace: str, lost: str) -> None:
    """The leader publishes the new authority, and resources are stored again."""
    before = await published(place)
    data = None if lost == "all" else {lost: None}
    patch = json.dumps({"data": data})
    secret = ("secret", "flowmesh-webhook", "-n", SYSTEM)
    await place.kubectl("patch", *secret, "--type=merge", "-p", patch)

    async def made() -> bool:
        return await published(place) != before

    await until("published", made, within_s=60, poll_s=0.5)

    async def stored() -> bool:
        output = await place.apply(namespace, workflow("order", noop("a")), check=False)
        return "created" in output

    await until("stored", stored, within_s=30, poll_s=0.5)


async def published(place: Place) -> bytes:
    """Return the authorities that the API server trusts."""
    found = await place.cluster.get("validatingwebhookconfiguration", "flowmesh")
    return base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])


async def review(place: Place, bundle: bytes, body: bytes) -> int:
    """Return the status of the answer to a body, over TLS as the API server verifies it."""
    context = ssl.create_default_context(cadata=bundle.decode())
    operator = place.operators[-1]
    await until_ready(operator)
    url = f"https://127.0.0.1:{operator.webhook_port}/review"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, ssl=context, server_hostname=HOST) as answer,
    ):
        return answer.status
