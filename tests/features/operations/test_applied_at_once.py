"""What `apply` answered holds at once, at every gateway and event service.

Each round changes a workflow at one gateway and calls it at all of them without a pause.
"""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_ports
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import YAML, text, workflow

ROUNDS = 2
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMPLETED = "flowmesh.workflow.completed"


class Gateway:
    """A gateway at its address."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def call(self, method: str, path: str, value: Json = None) -> tuple[int, Json]:
        async with self._session.request(method, self._url + path, json=value) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if body else None

    async def apply(self, *resources: Json) -> None:
        source = text(*resources).encode()
        path = f"{self._url}/api/v1/workflows"
        async with self._session.post(path, data=source, headers=YAML) as answer:
            assert answer.status == 201, await answer.text()

    async def started(self, name: str) -> int:
        _, found = await self.call("GET", f"/api/v1/executions?workflow={name}")
        return len(found["executions"])


@asynccontextmanager
async def gateways(*urls: str) -> AsyncIterator[list[Gateway]]:
    async with aiohttp.ClientSession() as session:
        yield [Gateway(url, session) for url in urls]


def triggered(name: str, *triggers: Json) -> Json:
    return workflow(name, {"id": "a", "taskRef": "noop"}, triggers=list(triggers))


def hooked(path: str, **more: str) -> Json:
    return {"id": "in", "webhook": {"path": path, **more}}


async def hooks(at: Gateway, everywhere: Sequence[Gateway]) -> None:
    """A new URL is known, a secret counts, a changed path is another URL, a removed one is gone."""
    name = f"hook-{uuid.uuid4().hex[:8]}"
    await at.apply(triggered(name, hooked(name)))
    first, second = f"/api/v1/hooks/default/{name}", f"/api/v1/hooks/default/{name}-2"
    for each in everywhere:
        assert (await each.call("POST", first, {}))[0] == 202
        assert (await each.call("POST", f"/api/v1/workflows/{name}/triggers/in:fire", {}))[0] == 202
        _, listed = await each.call("GET", f"/api/v1/workflows/{name}/triggers")
        assert [trigger["id"] for trigger in listed["triggers"]] == ["in"]
    await at.apply(triggered(name, hooked(name, secret=SECRET)))
    for each in everywhere:
        assert (await each.call("POST", first, {}))[0] == 401
    await at.apply(triggered(name, hooked(f"{name}-2")))
    for each in everywhere:
        assert (await each.call("POST", first, {}))[0] == 404
        assert (await each.call("POST", second, {}))[0] == 202
    await at.apply(triggered(name))
    for each in everywhere:
        assert (await each.call("POST", second, {}))[0] == 404
    await at.apply(triggered(name, hooked(name)))
    assert (await at.call("DELETE", f"/api/v1/workflows/{name}"))[0] in (200, 204)
    for each in everywhere:
        assert (await each.call("POST", first, {}))[0] == 404


async def events(at: Gateway, everywhere: Sequence[Gateway]) -> None:
    """An event starts what has just been applied, and nothing that has just lost its trigger."""
    name = f"event-{uuid.uuid4().hex[:8]}"
    event = {"type": name, "source": "/shop"}
    await at.apply(triggered(name, {"id": "on", "event": {"type": name}}))
    for each in everywhere:
        status, answer = await each.call("POST", "/api/v1/events", event)
        assert (status, answer["triggers"]) == (202, 1), answer
    await at.apply(triggered(name))
    for each in everywhere:
        status, answer = await each.call("POST", "/api/v1/events", event)
        assert (status, answer["triggers"]) == (202, 0), answer


async def lifecycle(at: Gateway, everywhere: Sequence[Gateway]) -> None:
    """The end of an execution starts what has just been applied, also in memory of the others."""
    name = f"after-{uuid.uuid4().hex[:8]}"
    await at.apply(triggered(f"{name}-first"))
    condition = f"event.source.endsWith('/{name}-first')"
    on_end = {"id": "on", "event": {"type": COMPLETED, "filter": condition}}
    await at.apply(triggered(name, on_end))
    for each in everywhere:
        status, answer = await each.call("POST", f"/workflows/{name}-first/execute", {"input": {}})
        assert status in (200, 202), answer

    async def all_started() -> bool:
        return await at.started(name) == len(everywhere)

    await until("each end has started one", all_started, within_s=20)


async def versions(at: Gateway, everywhere: Sequence[Gateway]) -> None:
    """A start uses the version that was just applied; a deleted workflow is not found."""
    name = f"plain-{uuid.uuid4().hex[:8]}"
    for version in (1, 2, 3):
        await at.apply(workflow(name, {"id": f"a{version}", "taskRef": "noop"}))
        for each in everywhere:
            status, answer = await each.call("POST", f"/workflows/{name}/execute", {"input": {}})
            assert status in (200, 202), answer
            _, seen = await each.call("GET", f"/api/v1/executions/{answer['executionId']}")
            assert seen["version"] == version, seen
            _, shown = await each.call("GET", f"/api/v1/workflows/{name}")
            assert f"a{version}" in json.dumps(shown)
    assert (await at.call("DELETE", f"/api/v1/workflows/{name}"))[0] in (200, 204)
    for each in everywhere:
        status, answer = await each.call("POST", f"/workflows/{name}/execute", {"input": {}})
        assert status == 404, answer


CHANGES = (hooks, events, lifecycle, versions)


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_holds_at_once_in_one_process(suite: Suite, change: Any) -> None:
    """Without a pause between the answer and the calls."""
    async with gateways(suite.http_url) as (only,):
        for _ in range(ROUNDS):
            await change(only, [only])


@asynccontextmanager
async def second_event_service(cluster: Cluster) -> AsyncIterator[str]:
    """Run another gateway and event service of the cluster; yield the URL of the gateway."""
    ports = free_ports(2)
    own = {"FLOWMESH_GRPC_PORT": str(ports), "FLOWMESH_HTTP_PORT": str(ports + 1)}
    of_first = psutil.Process(cluster.member("gateway").pid).environ()
    command = (sys.executable, "-m", "flowmesh.suite", "serve", "gateway", "event")
    with (cluster.data_dir.parent / "second.log").open("wb") as log:
        environment = os.environ | of_first | own
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{ports + 1}"
    try:
        async with gateways(url, cluster.http_url) as (second, first):

            async def ready() -> bool:
                path = "/api/v1/services?name=event&status=HEALTHY,DEGRADED"
                try:
                    answers = [await each.call("GET", path) for each in (first, second)]
                except aiohttp.ClientError:
                    return False
                return all(
                    status == 200 and len(found["services"]) == 2 for status, found in answers
                )

            await until("two event services are known", ready, within_s=60)
        yield url
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_change_holds_at_once_at_two_gateways_and_event_services(tmp_path: Path) -> None:
    """Applied at either of them, in turns."""
    async with (
        Cluster(tmp_path / "data") as cluster,
        second_event_service(cluster) as url,
        gateways(cluster.http_url, url) as both,
    ):
        for at in both:
            for change in CHANGES:
                await change(at, both)
