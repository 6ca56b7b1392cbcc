"""Secrets of a project that moves to another cell.

The target makes a key for one import, the source seals each page for it, and the target opens and
stores it. A page is bound to the namespace, the import and its number; no caller can open it.
"""

from dataclasses import dataclass

from flowmesh.access.sealing import Imports, Sealer, seal_for
from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.errors import WrongState
from flowmesh.identity.limits import SECRET_PAGE
from flowmesh.identity.secrets import Secrets
from flowmesh.identity.storage.records import SecretVersion
from flowmesh.identity.storage.secrets import SecretStore
from flowmesh.records import message_of

_REFUSED = "SECRET_IMPORT_REFUSED"


@dataclass(frozen=True, slots=True)
class PlaceInExport:
    """The number of a page, from 1, and the version that it follows."""

    number: int = 1
    name: str = ""
    version: int = 0


class SecretMoves:
    """Seals the secrets of a namespace for another cell, and takes those of one."""

    def __init__(self, *, store: SecretStore, secrets: Secrets, installation: Sealer) -> None:
        self._store = store
        self._secrets = secrets
        self._imports = Imports(installation, "secrets", refused=_REFUSED)

    async def prepare(self, namespace: str) -> tuple[str, bytes]:
        """Open an import; return its id and its public key."""
        made = self._imports.prepare(namespace)
        await self._store.open_import(namespace, made.id, made.sealed)
        return made.id, made.public

    async def page(
        self, namespace: str, import_id: str, public: bytes, at: PlaceInExport
    ) -> tuple[bytes, PlaceInExport | None]:
        """Return a sealed page, and the place of the next one. Raises Invalid."""
        found = await self._secrets.versions(namespace, (at.name, at.version), SECRET_PAGE + 1)
        page, more = found[:SECRET_PAGE], len(found) > SECRET_PAGE
        copies = [
            pb.SecretCopy(secret=message_of(pb.Secret, version), value=value)
            for version, value in page
        ]
        content = pb.SecretPage(secrets=copies, last=not more).SerializeToString()
        sealed = seal_for(public, content, _place(namespace, import_id, at.number))
        names = [f"{version.name}#{version.version}" for version, _ in page]
        await self._store.note_export(namespace, import_id, at.number, names)
        if not more:
            return sealed, None
        last = page[-1][0]
        return sealed, PlaceInExport(at.number + 1, last.name, last.version)

    async def take(self, namespace: str, import_id: str, sealed: bytes) -> None:
        """Store the next page of an import. Raises SECRET_IMPORT_REFUSED."""
        async with self._store.changing(namespace) as store:
            found = await store.lock_import(namespace, import_id)
            if found is None:
                text = f"namespace `{namespace}` has no open import {import_id!r}: it was completed"
                text = f"{text}, replaced or never prepared, or is older than an hour"
                raise WrongState(_REFUSED, text)
            key, pages = found
            place = _place(namespace, import_id, pages + 1)
            content = self._imports.opened(namespace, import_id, key, sealed, place)
            page = pb.SecretPage.FromString(content)
            versions = [(_version(each.secret), each.value) for each in page.secrets]
            copies = await self._secrets.sealed(namespace, versions)
            if not pages:
                await store.delete_all(namespace)
            for version, value in copies:
                await store.insert_copy(namespace, version, value)
            await store.count_page(namespace, last=page.last)


def _place(namespace: str, import_id: str, number: int) -> str:
    return f"page {number} of import {import_id} of the secrets of {namespace}"


def _version(secret: pb.Secret) -> SecretVersion:
    return SecretVersion(
        name=secret.name,
        version=secret.version,
        created_by=secret.created_by,
        created_at_us=secret.created_at_us,
    )
