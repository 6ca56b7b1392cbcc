"""Users, sessions and the audit chain on a real database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flowmesh.identity.storage.database import MIGRATIONS, Database
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.users import UserStore
from flowmesh.storage import open_database


@pytest.fixture
async def identity(migrated: str) -> AsyncIterator[Database]:
    async with open_database(migrated, schema="identity", migrations=MIGRATIONS) as pool:
        yield Database(pool, call=lambda: "")


async def test_an_email_address_belongs_to_one_user(identity: Database) -> None:
    """Of ten who register at once, one succeeds."""
    users = UserStore(identity)
    made = await asyncio.gather(
        *(users.insert(f"user-{number}", "ann@example.com", "Ann", "h") for number in range(10))
    )
    (registered,) = [each for each in made if each is not None]
    assert await users.user_of_email("ann@example.com") == registered


async def test_changes_are_committed_together_or_not_at_all(identity: Database) -> None:
    """An exception takes back what the block inserted."""
    users = UserStore(identity)

    async def fail() -> None:
        async with users.changing() as changing:
            assert await changing.insert("user-1", "bob@example.com", "Bob", "h")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await users.user("user-1") is None


async def test_revoking_all_sessions_keeps_the_present_one(identity: Database) -> None:
    """The others have no user any more."""
    await UserStore(identity).insert("user-1", "eve@example.com", "Eve", "h")
    sessions = SessionStore(identity)
    for number in range(3):
        await sessions.insert(f"s{number}", "user-1")
    revoked = await sessions.revoke_all("user-1", except_id="s1")
    assert sorted(revoked) == ["s0", "s2"]
    assert [await sessions.user_of(f"s{number}") for number in range(3)] == [None, "user-1", None]


async def test_a_refresh_token_is_locked_while_it_is_used(identity: Database) -> None:
    """The second use waits for the first, and sees that the token was used."""
    await UserStore(identity).insert("user-1", "joe@example.com", "Joe", "h")
    sessions = SessionStore(identity)
    await sessions.insert("s", "user-1")
    await sessions.insert_refresh_token(b"token", "s")

    async def use(successor: bytes) -> bool:
        async with sessions.changing() as changing:
            found = await changing.lock_refresh_token(b"token", successor)
            assert found is not None
            await changing.use_refresh_token(b"token")
            return found.reused

    assert await use(b"next") is False
    await identity.pool.execute("update refresh_tokens set used_at = used_at - interval '1 hour'")
    assert sorted(await asyncio.gather(use(b"a"), use(b"b"))) == [True, True]


async def test_an_unknown_refresh_token_has_no_session(identity: Database) -> None:
    """Nothing tells whether it ever existed."""
    async with SessionStore(identity).changing() as changing:
        assert await changing.lock_refresh_token(b"never", b"next") is None
