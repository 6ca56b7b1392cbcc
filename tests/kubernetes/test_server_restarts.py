"""Restarts of the API server, after the rights are compared with its log.

A server that has just started answers 403 for a moment.
"""

import asyncio

import pytest

from flowmesh.testing.polling import until
from tests.kubernetes.conftest import FULL, Place
from tests.kubernetes.test_faults import agrees
from tests.kubernetes.test_operator import noop, workflow

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
RESTARTS = 10 if FULL else 2


async def test_restarts_of_the_api_server_lose_and_repeat_nothing(
    place: Place, namespace: str
) -> None:
    """Objects are changed and deleted between them; the certificate of the webhook stays."""
    secret = await place.cluster.get("secret", "flowmesh-webhook", "-n", "flowmesh-system")
    names: list[str] = []
    for number in range(RESTARTS):
        names.append(f"w{number}")

        async def stored() -> bool:
            output = await place.apply(namespace, workflow(names[-1], noop("a")), check=False)
            return "created" in output or "unchanged" in output

        await until("stored", stored, within_s=60, poll_s=0.5)
        restart = asyncio.ensure_future(place.cluster.restart_api_server())
        await place.kubectl("delete", "wf", names[0], "-n", namespace, "--wait=false", check=False)
        await restart
    await place.kubectl("delete", "wf", names[0], "-n", namespace, "--ignore-not-found")
    kept = set(names[1:])
    await until("agreed", lambda: agrees(place, namespace, kept), within_s=120, poll_s=0.5)
    found = await place.cluster.get("workflows", "-n", namespace)
    assert {each["status"]["version"] for each in found["items"]} <= {1}
    after = await place.cluster.get("secret", "flowmesh-webhook", "-n", "flowmesh-system")
    assert after["data"] == secret["data"]
