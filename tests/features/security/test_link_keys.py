"""Keys that links are signed with: new ones, old links, and links that are good no more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.executions.test_approval_links import (
    Asking,
    asking,
    decisions,
    link,
    opened,
    sent,
)
from tests.features.natives import refusal

__all__ = ["asking"]


@pytest.fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """Two orchestrators, by turns behind one gateway; no other test makes links of its keys."""
    folder: Path = tmp_path_factory.mktemp("keys")
    async with Suite(folder / "data", "--orchestrators", "2") as suite:
        yield suite


@pytest.fixture
def suite(pair: Suite) -> Suite:
    return pair


def key_of(path: str) -> int:
    return int(path.removeprefix("/approve/").partition(".")[0])


@pytest.mark.long
async def test_links_of_an_older_key_are_good_until_they_are_revoked(
    suite: Suite, asking: Asking
) -> None:
    """Every instance signs with the new key and takes the old one, until it takes it no more."""
    execution = await asking()
    old = await link(suite, execution)
    made = await suite.post(
        "/api/v1/link-keys:rotate", {"reason": "every quarter"}, headers={"flowmesh-actor": "ann"}
    )
    assert made.status == 201, made.text
    key = made.json["key"]
    assert (key["id"], made.json["revoked"]) == (key_of(old) + 1, 0)
    assert (key["actor"], key["reason"], "goodUntil" in key) == ("ann", "every quarter", False)
    new = [await link(suite, execution, "rob") for _ in range(6)]
    assert {key_of(each) for each in new} == {key["id"]}
    assert [(await opened(suite, old)).status for _ in range(6)] == [200] * 6

    revoked = await command(
        suite, "link-keys", "rotate", "--revoke", "--reason", "a laptop is gone", "--json"
    )
    assert revoked.code == 0, revoked.err
    assert (revoked.json["key"]["id"], revoked.json["revoked"]) == (key["id"] + 1, 2)
    for path in (old, new[0]):
        for _ in range(6):
            assert refusal(await suite.get(path)) == (403, "LINK_INVALID")
        assert (await sent(suite, path, decision="approve", **{"form.limit": "1"})).status == 403
    assert await decisions(suite, execution) == []
    last = await link(suite, execution)
    assert (await sent(suite, last, decision="approve", **{"form.limit": "1"})).status == 200
    assert await decisions(suite, execution) == [("ida", True)]


async def test_keys_are_listed_without_their_secrets(suite: Suite) -> None:
    """Who made them and why, until when links of them are good; the newest first."""
    async with Client(suite.grpc_address) as client:
        first = await client.rotate_link_key(reason="one")
        second = await client.rotate_link_key(reason="two")
        found = await client.link_keys()
    assert [each.reason for each in found[:2]] == ["two", "one"]
    assert found[0].good_until is None
    assert found[1].good_until is not None
    assert second.key.created_at is not None
    assert (found[1].good_until - second.key.created_at).days == 90
    assert found[1].created_at == first.key.created_at
    rest = await suite.get("/api/v1/link-keys")
    assert [each["id"] for each in rest.json["keys"]] == [each.id for each in found]
    assert set(rest.json["keys"][1]) == {"id", "createdAt", "actor", "reason", "goodUntil"}
    told = await command(suite, "link-keys", "list")
    assert told.lines[0].split() == ["KEY", "CREATED", "LINKS", "VALID", "UNTIL", "ACTOR", "REASON"]
    assert told.lines[1].startswith(f"{found[0].id} ")
    assert len(told.lines) == 1 + len(found)


async def test_keys_revoked_once_stay_so(suite: Suite, asking: Asking) -> None:
    """A later rotation lets no link of them be good again."""
    old = await link(suite, await asking())
    async with Client(suite.grpc_address) as client:
        await client.rotate_link_key(revoke=True)
        again = await client.rotate_link_key()
        later = await client.rotate_link_key(revoke=True)
    assert (again.revoked, later.revoked) == (0, 2)
    assert refusal(await suite.get(old)) == (403, "LINK_INVALID")


async def test_rotations_at_once_make_a_key_each_and_a_repeat_makes_none(suite: Suite) -> None:
    """Under one request id it is the same key; what is wrong is refused and makes none."""
    async with Client(suite.grpc_address) as client:
        some = await asyncio.gather(*(client.rotate_link_key() for _ in range(8)))
        assert len({each.key.id for each in some}) == 8
        same = await asyncio.gather(
            *(client.rotate_link_key(revoke=True, request_id="keys-1") for _ in range(4))
        )
        assert len({each.key.id for each in same}) == 1
        newest = (await client.link_keys())[0]
        assert newest.id == same[0].key.id == max(each.key.id for each in some) + 1
        with pytest.raises(Invalid):
            await client.rotate_link_key(reason="x" * 4_097)
        with pytest.raises(Invalid):
            await client.rotate_link_key(request_id="x" * 257)
        for body in ({"revoke": "yes"}, {"revoek": True}, {"reason": 3}):
            answer = await suite.post("/api/v1/link-keys:rotate", body)
            assert refusal(answer) == (400, "REQUEST_INVALID"), answer.text
        assert (await client.link_keys())[0] == newest
