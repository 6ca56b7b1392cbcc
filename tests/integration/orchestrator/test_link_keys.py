"""Keys of links as rows: which one signs, and which are taken."""

import asyncio
import secrets

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.orchestrator.links.keys import VALID_MS_MAX, LinkKeys
from flowmesh.orchestrator.storage.store import OrchestratorStore

AGED = "update orchestrator.link_keys set good_until = good_until - make_interval(secs => $1)"


def keys_of(store: OrchestratorStore) -> LinkKeys:
    return LinkKeys(store=store.link_keys, new_secret=secrets.token_bytes)


async def test_a_key_is_taken_as_long_as_links_of_it_may_be_good(store: OrchestratorStore) -> None:
    """No link is valid for longer than 90 days, so nothing that says so can be signed with it."""
    keys = keys_of(store)
    old, secret = await keys.newest()
    new = (await keys.rotate(pb.RotateLinkKeyRequest())).key.id
    assert (await keys.newest())[0] == new == old + 1
    assert await keys.secret(old) == secret
    await store.pool.execute(AGED, VALID_MS_MAX / 1_000 - 60)
    assert await keys.secret(old) == secret
    await store.pool.execute(AGED, 61.0)
    assert await keys.secret(old) is None
    assert await keys.secret(new) is not None
    assert await keys.secret(new + 1) is None


async def test_the_first_key_is_made_once(store: OrchestratorStore) -> None:
    """By the first link, or by a rotation before there was any."""
    some = await asyncio.gather(*(keys_of(store).newest() for _ in range(5)))
    assert len(set(some)) == 1
    assert some[0][0] == 1
