"""Watches: a list by pages, every change, and a new list after a gap."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from lightkube import AsyncClient
from lightkube.resources.core_v1 import Namespace

from flowmesh.operator import watcher
from flowmesh.operator.kinds import KINDS
from flowmesh.operator.watcher import Watcher
from flowmesh.testing.polling import done
from tests.api_server import ApiServer, Refused, api_server
from tests.unit.operator.made import made


class Followed:
    """The events of a watch."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.lists: list[set[tuple[str, str]]] = []

    async def until(self, change: str) -> None:
        await done(change, lambda: change in self.changes, within_s=5)


@pytest.fixture
async def cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[ApiServer, AsyncClient]]:
    monkeypatch.setattr(watcher, "RELIST_PAUSE_S", 0.0)
    async with api_server() as opened:
        yield opened


@contextmanager
def following(client: AsyncClient, kind: str = "Workflow") -> Iterator[Followed]:
    seen = Followed()
    watch = Watcher(
        client=client,
        resource=KINDS.get(kind, Namespace),
        changed=lambda change, found: seen.changes.append(f"{change} {found.metadata.name}"),
        listed=seen.lists.append,
    )
    task = asyncio.ensure_future(watch.run())
    try:
        yield seen
    finally:
        task.cancel()


async def test_a_list_of_several_pages_is_followed_by_changes(
    cluster: tuple[ApiServer, AsyncClient],
) -> None:
    """Of all namespaces."""
    server, client = cluster
    for name in ("a", "b", "c"):
        server.put("workflows", made("Workflow", name, namespace=f"place-{name}"))
    with following(client) as seen:
        await done("watched", lambda: server.watched, within_s=5)
        assert seen.changes == ["ADDED a", "ADDED b", "ADDED c"]
        assert seen.lists == [{("place-a", "a"), ("place-b", "b"), ("place-c", "c")}]
        server.send("workflows", "BOOKMARK", made("Workflow", "none", resourceVersion="9"))
        server.put("workflows", made("Workflow", "d"))
        await seen.until("ADDED d")
        server.remove("workflows", "d")
        await seen.until("DELETED d")
        assert "BOOKMARK none" not in seen.changes
        assert len(seen.lists) == 1


async def test_a_watch_that_ends_is_continued_without_a_list(
    cluster: tuple[ApiServer, AsyncClient],
) -> None:
    """From its last version, as an API server ends watches now and then."""
    server, client = cluster
    with following(client, "Namespace") as seen:
        await done("watched", lambda: server.watched, within_s=5)
        server.put("namespaces", {"metadata": {"name": "one"}})
        await seen.until("ADDED one")
        server.end_watches()
        server.put("namespaces", {"metadata": {"name": "two"}})
        await done("two", lambda: any("two" in each for each in seen.changes), within_s=5)
        assert len(seen.lists) == 1


@pytest.mark.parametrize("gap", ["expired", "refused", "away"])
async def test_a_gap_leads_to_a_new_list(cluster: tuple[ApiServer, AsyncClient], gap: str) -> None:
    """Whether the watch expired, or the list failed."""
    server, client = cluster
    if gap != "expired":
        server.failures["GET workflows"] = (
            Refused(500, "etcd is away") if gap == "refused" else None
        )
    with following(client) as seen:
        if gap == "expired":
            await done("watched", lambda: server.watched, within_s=5)
            expired = {"kind": "Status", "code": 410, "message": "too old"}
            server.send("workflows", "ERROR", expired)
        else:
            await done("asked", lambda: len(server.requests) > 2, within_s=5)
            assert not seen.lists
            server.failures.clear()
        server.put("workflows", made("Workflow", "late"))
        await done("listed", lambda: seen.lists[-1:] == [{("shop", "late")}], within_s=5)
