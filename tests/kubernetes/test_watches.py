"""Watches of a real API server: gaps, answers that want a new list, and bookmarks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.models.meta_v1 import Status

from flowmesh.operator import watcher
from flowmesh.operator.kinds import KINDS
from flowmesh.operator.watcher import Watcher
from flowmesh.testing.polling import until
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import SYSTEM
from tests.kubernetes.test_operator import noop, workflow

pytestmark = pytest.mark.kubernetes
TOO_LARGE = Status(code=504, reason="Timeout", message="Too large resource version: 9")


class Follower(Watcher):
    """A watch of templates that knows its lists and what it has seen."""

    def __init__(self, client: AsyncClient, *, version: str = "", answer: Status | None) -> None:
        self.seen: list[str] = []
        self.lists = 0
        # The version after the first list in place of the true one, or the answer to it.
        self._version, self._answer = version, answer
        super().__init__(
            client=client,
            resource=KINDS["WorkflowTemplate"],
            changed=lambda change, found: self.seen.append(f"{change} {found.metadata.name}"),
            listed=lambda _names: None,
        )

    async def _list(self) -> str | None:
        version = await super()._list()
        self.lists += 1
        return self._version if self._version and self.lists == 1 else version

    async def _watch(self, version: str | None) -> None:
        if self._answer is not None and self.lists == 1:
            raise ApiError(status=self._answer)
        await super()._watch(version)


def template(name: str) -> dict[str, Any]:
    """Return a template in a namespace that the webhook leaves out."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {"resources": [workflow("${{ name }}", noop("a"))]},
    }


@asynccontextmanager
async def following(
    bare: Cluster, *, version: str = "", answer: Status | None = None
) -> AsyncIterator[Follower]:
    async with AsyncClient(config=KubeConfig.from_file(bare.kubeconfig).get()) as client:
        follower = Follower(client, version=version, answer=answer)
        task = asyncio.ensure_future(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def compact(bare: Cluster) -> None:
    """Let etcd forget all versions but the newest, as an API server does every five minutes."""
    found = await bare.get("namespace", SYSTEM)
    (etcd,) = (each for each in bare.api_server if each.startswith("--etcd-servers="))
    url = f"{etcd.partition('=')[2]}/v3/kv/compaction"
    body = {"revision": found["metadata"]["resourceVersion"], "physical": True}
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("answered", ["410", "too large"])
async def test_a_version_that_the_server_does_not_have_leads_to_a_list(
    bare: Cluster, answered: str
) -> None:
    """After a delay, once, and the watch continues from there."""
    name = f"gap-{answered.replace(' ', '-')}"
    await bare.kubectl("label", "namespace", SYSTEM, "workflow.io/admission=off", "--overwrite")
    start: dict[str, Any] = {"answer": TOO_LARGE}
    if answered == "410":
        await compact(bare)
        start = {"version": "1"}
    async with following(bare, **start) as follower:

        async def listed() -> bool:
            return follower.lists == 2

        await until("listed again", listed, within_s=15)
        await bare.kubectl("apply", "-f", "-", source=json.dumps(template(name)))

        async def seen() -> bool:
            return f"ADDED {name}" in follower.seen

        await until("seen", seen, within_s=10)
        assert follower.lists == 2


async def test_a_quiet_watch_is_continued_from_a_bookmark(
    bare: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version moves on with changes of other kinds, without a new list."""
    monkeypatch.setattr(watcher, "WATCH_S", 4)
    async with following(bare) as follower:

        def versions() -> list[int]:
            found = []
            for line in (bare.folder / "audit.log").read_text().splitlines():
                entry = json.loads(line)
                address = entry["requestURI"]
                if entry["stage"] == "RequestReceived" and "timeoutSeconds=4&" in f"{address}&":
                    found.append(int(address.partition("resourceVersion=")[2].partition("&")[0]))
            return found

        async def moved() -> bool:
            await bare.kubectl("annotate", "namespace", "default", "--overwrite", "at=a")
            await bare.kubectl("annotate", "namespace", "default", "--overwrite", "at=b")
            found = versions()
            return len(found) >= 3 and found[-1] > found[0]

        await until("moved", moved, within_s=30, poll_s=1.0)
        assert follower.lists == 1
