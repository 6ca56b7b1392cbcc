"""Releases on a real database: numbered once, kept in a bounded number, changed as a whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.apphost.limits import RELEASES_KEPT
from flowmesh.apphost.storage.records import Deployer, NewRelease
from flowmesh.apphost.storage.store import MIGRATIONS, SCHEMA, AppStore, Leadership
from flowmesh.errors import Overloaded, WrongState
from flowmesh.storage import open_database

KEY = ("default", "shop")


APPS_MAX = 40


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[AppStore]:
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool:
        yield AppStore(pool, apps_max=APPS_MAX, call=lambda: "")


def release_of(name: str) -> NewRelease:
    return NewRelease(
        digest=name,
        content=name.encode(),
        environment=b"",
        files=["app.yaml"],
        variables=[],
        size_bytes=len(name),
        deployer=Deployer(name="tests"),
        rights=0,
        role="",
    )


async def serve(store: AppStore, release: int, *plugins: str) -> None:
    await store.take_over(
        KEY, release, addresses={}, pid=1, restarts=0, warnings=[], plugins=plugins
    )


async def test_concurrent_releases_have_numbers_of_their_own(store: AppStore) -> None:
    """Ten at once are numbered 1 to 10; only the newest is still to serve."""
    added = [store.add_release(KEY, release_of(f"r{number}")) for number in range(10)]
    assert sorted(await asyncio.gather(*added)) == list(range(1, 11))  # type: ignore[type-var]
    states = {each.release: each.state for each in await store.releases(KEY)}
    assert states.pop(10) == pb.RELEASE_STATE_PENDING
    assert set(states.values()) == {pb.RELEASE_STATE_REFUSED}


async def test_applications_of_a_namespace_are_bounded(store: AppStore) -> None:
    """However many are deployed at once; those that are there still get releases."""

    async def added(namespace: str, app: str) -> bool:
        try:
            await store.add_release((namespace, app), release_of(app))
        except Overloaded:
            return False
        return True

    names = [f"app-{number}" for number in range(APPS_MAX + 20)]
    done = await asyncio.gather(*(added("default", name) for name in names))
    assert done.count(True) == APPS_MAX
    assert await added("default", names[done.index(True)])
    assert not await added("default", "one-more")
    assert await added("other", "one-more")


async def test_a_release_based_on_an_older_one_is_refused(store: AppStore) -> None:
    """Nothing is stored then."""
    await store.add_release(KEY, release_of("one"))
    await store.add_release(KEY, release_of("two"))
    with pytest.raises(WrongState):
        await store.add_release(KEY, release_of("three"), base=1)
    assert [each.digest for each in await store.releases(KEY)] == ["two", "one"]


async def test_a_rollback_finds_the_release_that_served_last(store: AppStore) -> None:
    """Refused releases are passed over."""
    for name in ("one", "two", "three"):
        number = await store.add_release(KEY, release_of(name))
        assert number is not None
        if name == "two":
            await store.refuse(KEY, number, "is not valid")
        else:
            await serve(store, number)
    assert await store.previous(KEY, 3) == 1


async def test_the_number_of_kept_releases_is_bounded(store: AppStore) -> None:
    """The serving one stays, however old it is."""
    await store.add_release(KEY, release_of("first"))
    await serve(store, 1)
    for number in range(RELEASES_KEPT + 5):
        await store.add_release(KEY, release_of(f"r{number}"))
    kept = [each.release for each in await store.releases(KEY)]
    assert 1 in kept
    assert len(kept) <= RELEASES_KEPT + 1


async def test_one_instance_leads_until_it_gives_the_lock_up(migrated: str) -> None:
    """Another one gets it then."""
    async with (
        open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as one,
        open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as other,
    ):
        leading, waiting = Leadership(one), Leadership(other)
        assert await leading.held()
        assert not await waiting.held()
        await leading.release()
        assert await waiting.held()
        await waiting.release()


async def test_a_cancelled_change_of_the_leader_keeps_no_connection(migrated: str) -> None:
    """The pool has all of its connections again, and the lock is free."""
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool:
        leading = Leadership(pool)
        assert await leading.held()
        for change in (leading.release, leading.held):
            task = asyncio.create_task(change())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert pool.get_size() == pool.get_idle_size()
        assert await Leadership(pool).held()


async def test_a_release_that_is_to_serve_uses_its_plugins(store: AppStore) -> None:
    """Until it is refused; one that serves uses those that it was built with only."""

    async def uses() -> list[tuple[str, int]]:
        return [
            (plugin, release)
            for plugin in ("a", "b", "c")
            for _, release in await store.uses_of_plugin(plugin)
        ]

    first = await store.add_release(KEY, release_of("one"))
    assert first
    assert await store.note_plugins(KEY, first, ["a", "b"]) == {"a", "b"}
    assert await store.note_plugins(KEY, first, ["a", "b"]) == frozenset()
    await serve(store, first, "a")
    assert await uses() == [("a", 1)]
    second = await store.add_release(KEY, release_of("two"))
    assert second
    await store.note_plugins(KEY, second, ["a", "c"])
    assert await uses() == [("a", 1), ("a", 2), ("c", 2)]
    await store.refuse(KEY, second, "it does not fit")
    assert await uses() == [("a", 1)]
    third = await store.add_release(KEY, release_of("three"))
    assert third
    await store.note_plugins(KEY, third, ["c"])
    await serve(store, third, "c")
    assert await uses() == [("c", 3)]
