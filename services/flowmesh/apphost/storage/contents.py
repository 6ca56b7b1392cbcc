"""The contents of releases: packed and digested, with a sealed environment."""

import hashlib

import orjson

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.api.apphost.v1 import app_pb2, app_service_pb2
from flowmesh.apphost.storage.records import Content, Deployer, Key, NewRelease
from flowmesh.apphost.storage.store import AppStore
from flowmesh.errors import NotFound, WrongState


class Contents:
    """Packs releases for the store, and unpacks them."""

    def __init__(self, *, store: AppStore, sealer: Sealer) -> None:
        self._store, self._sealer = store, sealer

    def pack(self, key: Key, content: Content, deployer: Deployer, role: str) -> NewRelease:
        files = sorted(content.files.items())
        packed = app_service_pb2.DeployAppRequest(
            document=content.document,
            files=[app_pb2.AppFile(path=path, content=data) for path, data in files],
        ).SerializeToString(deterministic=True)
        variables = orjson.dumps(dict(content.environment), option=orjson.OPT_SORT_KEYS)
        return NewRelease(
            digest=hashlib.sha256(packed + b"\0" + variables + role.encode()).hexdigest(),
            content=packed,
            environment=self._sealer.seal(variables, _place(key)),
            files=[path for path, _ in files],
            variables=sorted(content.environment),
            size_bytes=len(packed),
            deployer=deployer,
            rights=content.rights,
            role=role,
        )

    async def load(self, key: Key, release: int) -> Content:
        """Return the content of a release. Raises NotFound, WrongState."""
        found = await self._store.content(key, release)
        if found is None:
            raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no release {release}")
        packed = app_service_pb2.DeployAppRequest.FromString(found[0])
        try:
            variables = self._sealer.open(found[1], _place(key))
        except SealBroken:
            text = f"the environment of release {release} was sealed with another key; deploy again"
            raise WrongState("RELEASE_REFUSED", text) from None
        return Content(
            document=packed.document,
            files={each.path: each.content for each in packed.files},
            environment=orjson.loads(variables),
        )


def _place(key: Key) -> str:
    return f"apphost/{key[0]}/{key[1]}"
