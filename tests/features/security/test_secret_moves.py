"""Secrets sealed for another cell: a page opens once, at its place, and for admins of all only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from flowmesh.access.sealing import ReceivingKey, SealBroken, seal_for
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.security.audited import call

pytestmark = pytest.mark.long

VERSIONS = 70
"""More than a page has."""


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("sealed")) as made:
        for slug in ("left", "right"):
            await made.project(slug)
        yield made


@dataclass(frozen=True)
class Moving:
    """The calls of a move of one project, all at one installation."""

    caller: Caller
    namespace: str

    async def call(self, method: str, **fields: Any) -> Any:
        return await call(
            self.caller, f"SecretService.{method}", namespace=self.namespace, **fields
        )

    async def prepare(self) -> dict[str, Any]:
        """Return an import and its key."""
        made = await self.call("PrepareSecretImport")
        return {"import_id": made.import_id, "public_key": made.public_key}

    async def pages(self, to: dict[str, Any]) -> list[bytes]:
        """Return the sealed pages."""
        found, token = [], ""
        while True:
            page = await self.call("ExportSecrets", page_token=token, **to)
            found.append(page.sealed)
            token = page.next_page_token
            if not token:
                return found

    async def take(self, of: dict[str, Any], sealed: bytes) -> str:
        """Import a page; return the refusal, empty without one."""
        try:
            await self.call("ImportSecrets", import_id=of["import_id"], sealed=sealed)
        except grpc.aio.AioRpcError as error:
            return str(error.details())
        return ""

    async def put(self, name: str, value: str) -> None:
        await self.call("PutSecret", name=name, value=value.encode())

    async def listed(self) -> dict[str, int]:
        """Return the newest versions of the secrets."""
        found = (await self.call("ListSecrets")).secrets
        return {each.name: each.version for each in found}


async def test_a_page_opens_once_and_unchanged(closed: Closed) -> None:
    """A changed, an old, a repeated and another project's page are refused, each with a reason."""
    left, right = Moving(closed.owner, "left"), Moving(closed.owner, "right")
    await left.put("bank", "left value")
    await right.put("kept", "right value")
    old = await left.prepare()
    [stale] = await left.pages(old)
    to, other = await left.prepare(), await right.prepare()
    [page] = await left.pages(to)
    [foreign] = await left.pages(other)
    flipped = page[:-1] + bytes((page[-1] ^ 1,))
    assert "was changed" in await left.take(to, flipped)
    assert "sealed for another project" in await right.take(other, foreign)
    assert "sealed for another project" in await left.take(to, stale)
    assert "has no open import" in await left.take(old, stale)
    assert await right.listed() == {"kept": 1}
    assert await left.take(to, page) == ""
    assert "has no open import" in await left.take(to, page)
    assert await left.listed() == {"bank": 1}


async def test_pages_have_an_order(closed: Closed) -> None:
    """Versions keep their numbers, and what the namespace had besides is gone."""
    moving = Moving(closed.owner, "right")
    for number in range(VERSIONS):
        await moving.put("often", f"value {number}")
    to = await moving.prepare()
    first, second = await moving.pages(to)
    await moving.put("late", "not exported")
    assert "as page 1" in await moving.take(to, second)
    assert await moving.take(to, first) == ""
    assert "as page 2" in await moving.take(to, first)
    assert await moving.take(to, second) == ""
    assert (await moving.listed())["often"] == VERSIONS
    assert "late" not in await moving.listed()


async def test_admins_of_a_project_may_not_move_its_secrets(closed: Closed) -> None:
    """The role on the installation is needed at both cells, and a key of X25519."""
    project = await closed.project("own")
    admin = Moving(await closed.key(project.id, "admin"), "own")
    await admin.put("bank", "value")
    owner = Moving(closed.owner, "own")
    to = await owner.prepare()
    for method, fields in (
        ("PrepareSecretImport", {}),
        ("ExportSecrets", to),
        ("ImportSecrets", {"import_id": to["import_id"], "sealed": b"x"}),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="the whole installation"):
            await admin.call(method, **fields)
    for public in (b"", b"short", bytes(32)):
        with pytest.raises(grpc.aio.AioRpcError, match="no public key of X25519"):
            await owner.pages({**to, "public_key": public})


def test_only_the_receiving_key_opens() -> None:
    """At the place of the seal."""
    key, other = ReceivingKey(), ReceivingKey()
    sealed = seal_for(key.public, b"value", "place")
    assert ReceivingKey(key.private).open(sealed, "place") == b"value"
    for opening, place in ((other, "place"), (key, "elsewhere")):
        with pytest.raises(SealBroken, match="cannot be opened"):
            opening.open(sealed, place)
