"""Applications of a project that moves to another cell.

The source seals the present release for a key of the target: its document, files and variables.
"""

from collections.abc import Callable
from pathlib import Path

from flowmesh.access.sealing import Import, Imports, Sealer, seal_for
from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.apphost.apps import Apps
from flowmesh.apphost.messages import content_of
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import Key, ReleaseRow
from flowmesh.apphost.storage.store import AppStore
from flowmesh.errors import NotFound, WrongState


class AppMoves:
    """Seals applications for another cell, and takes those of one.

    `data` returns the folder that an application writes to.
    """

    def __init__(
        self,
        *,
        apps: Apps,
        store: AppStore,
        contents: Contents,
        installation: Sealer,
        data: Callable[[Key], Path],
    ) -> None:
        self._apps, self._store, self._contents = apps, store, contents
        self._imports = Imports(installation, "applications", refused="APP_IMPORT_REFUSED")
        self._data = data

    def prepare(self, namespace: str) -> Import:
        """Return a new key for the applications of a namespace."""
        return self._imports.prepare(namespace)

    async def export(self, key: Key, to: Import) -> bytes:
        """Return the present release, sealed. Raises NotFound, APP_HAS_DATA."""
        number = (await self._apps.app(key)).present
        if any(self._data(key).glob("*")):
            text = f"application {key[1]} has files of its own, which do not move"
            raise WrongState("APP_HAS_DATA", text)
        content = await self._contents.load(key, number)
        release = await self._store.release(key, number)
        if release is None:
            raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no release {number}")
        message = pb.DeployAppRequest(
            document=content.document,
            files=[
                app_pb2.AppFile(path=path, content=data) for path, data in content.files.items()
            ],
            environment=content.environment,
            role=release.role,
        )
        sealed = seal_for(to.public, message.SerializeToString(), _place(key, to.id))
        await self._store.note_export(key)
        return sealed

    async def take(self, key: Key, by: Import, sealed: bytes) -> tuple[ReleaseRow, bool]:
        """Store a release of another cell; return it, and whether it is new."""
        found = self._imports.opened(key[0], by.id, by.sealed, sealed, _place(key, by.id))
        message = pb.DeployAppRequest.FromString(found)
        return await self._apps.store_stopped(key, content_of(message), message.role)


def _place(key: Key, import_id: str) -> str:
    return f"application {key[1]} of {key[0]} in import {import_id}"
