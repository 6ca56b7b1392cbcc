"""Signing secrets of subscriptions at rest: sealed, opened, and sealed after an upgrade."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.errors import WrongState
from flowmesh.event.notifications.sealing import SEALED, SigningSecrets
from flowmesh.event.notifications.store import NotificationStore, Start
from flowmesh.event.store import MIGRATIONS
from flowmesh.storage import open_database

SECRET, SECOND = "whsec_Zmlyc3Q=", "whsec_c2Vjb25k"


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[NotificationStore]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield NotificationStore(pool)


async def put(store: NotificationStore, name: str, stored: str) -> None:
    policy = pb.DeliveryPolicy(concurrency=1, breaker_failures=1)
    config = pb.Subscription(subscription=name, policy=policy)
    await store.put("n", config, new_id=name, secret=stored, signed=True, start=Start(""))


async def stored(store: NotificationStore, name: str) -> tuple[str, str]:
    (row,) = await store.states("n", name)
    return row["secret"], row["previous_secret"]


async def test_secrets_of_an_earlier_version_are_sealed(store: NotificationStore) -> None:
    """Present and former ones, once; a queue without a secret stays without."""
    signing = SigningSecrets(os.urandom(32))
    for name, secret in (("plain", SECRET), ("unsigned", "")):
        await put(store, name, secret)
    await put(store, "mixed", SECRET)
    await store.rotate("n", "mixed", secret=signing.sealed("n", "mixed", SECOND), until_us=0)
    assert await SigningSecrets(None).seal_plain(store) == 0
    assert await signing.seal_plain(store) == 2
    assert await signing.seal_plain(store) == 0
    assert await stored(store, "unsigned") == ("", "")
    for name, expected in (("plain", (SECRET, "")), ("mixed", (SECOND, SECRET))):
        found = await stored(store, name)
        assert all(not each or each.startswith(SEALED) for each in found)
        assert tuple(signing.opened("n", name, each) for each in found) == expected


@pytest.mark.parametrize(
    "reader", [SigningSecrets(None), SigningSecrets(bytes(32))], ids=["no key", "another key"]
)
def test_a_secret_of_another_key_is_refused(reader: SigningSecrets) -> None:
    """So is one that was moved to another subscription or cut; a plain one is as it is."""
    signing = SigningSecrets(os.urandom(32))
    sealed = signing.sealed("n", "a", SECRET)
    wrong: list[tuple[Any, ...]] = [
        (reader, "n", "a", sealed),
        (signing, "n", "b", sealed),
        (signing, "m", "a", sealed),
        (signing, "n", "a", sealed[:-8]),
        (signing, "n", "a", f"{SEALED}?"),
    ]
    for secrets, *given in wrong:
        with pytest.raises(WrongState) as refused:
            secrets.opened(*given)
        assert refused.value.reason == "WEBHOOK_SECRET_MISSING"
    assert reader.opened("n", "a", SECRET) == SECRET
    assert signing.opened("n", "a", sealed) == SECRET
