"""The variables by which applications reach the suite of their host, with a key of their own."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from flowmesh.access import acting_as
from flowmesh.api.identity.v1 import access_service_pb2 as pb
from flowmesh.apphost.storage.records import Content, Key, ReleaseRow
from flowmesh.apps.durable.names import queue_of
from flowmesh.apps.release_process.conversation import API_KEY, CREDENTIALS
from flowmesh.errors import Forbidden, Unauthenticated
from flowmesh.runtime import Runtime
from flowmesh.runtime.directory import LOCAL
from flowmesh.runtime.names import GATEWAY

if TYPE_CHECKING:
    from flowmesh.api.identity.v1.access_service_pb2_grpc import AccessServiceAsyncStub

_NAME = re.compile(r"""^name:[ \t]*["']?([^"'#\r\n]+?)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)
# The name of a document without one, after its file.
_UNNAMED = "app"


class Suites:
    """Names the suite to applications, and asks for their keys in a closed installation."""

    def __init__(self, runtime: Runtime, access: "AccessServiceAsyncStub") -> None:
        self._runtime = runtime
        self._access = access
        self._log = structlog.get_logger("flowmesh.apphost")

    async def address(self, key: Key) -> Mapping[str, str]:
        """Return the address and the namespace of an application.

        A gateway with a certificate of its own is named by the variables of the release, with its
        authority.
        """
        if self._runtime.settings.tls_cert:
            return {}
        for address in await self.gateways():
            return {"FLOWMESH_ADDRESS": address, "FLOWMESH_NAMESPACE": key[0]}
        return {}

    async def gateways(self) -> Sequence[str]:
        """Return the addresses of the gateways of this suite."""
        async for found in self._runtime.instances(GATEWAY):
            own = self._runtime.address
            return [own if each.address == LOCAL else each.address for each in found]
        return []

    async def of(self, key: Key, content: Content, release: ReleaseRow) -> Mapping[str, str]:
        """Return the address, and in a closed installation a key; nothing without a credential."""
        found = await self.address(key)
        if not found or self._runtime.keys is None:
            return found
        if any(content.environment.get(each) for each in CREDENTIALS):
            return found
        secret = await self._issued(key, content, release) if release.maker else ""
        return {**found, API_KEY: secret} if secret else {}

    async def revoke(self, key: Key) -> None:
        """Delete the key of an application."""
        if self._runtime.keys is not None:
            with acting_as(None):
                await self._access.RevokeAppKey(
                    pb.RevokeAppKeyRequest(namespace=key[0], app=key[1])
                )

    async def _issued(self, key: Key, content: Content, release: ReleaseRow) -> str:
        """Return a secret of the key; empty if the caller that deployed it may not have one now."""
        named = _NAME.search(content.document)
        names = {key[1], named[1] if named else _UNNAMED}
        request = pb.IssueAppKeyRequest(
            namespace=key[0],
            app=key[1],
            maker_id=release.maker,
            role=release.role,
            queues=sorted(map(queue_of, names)),
        )
        try:
            with acting_as(None):
                return str((await self._access.IssueAppKey(request)).secret)
        except (Forbidden, Unauthenticated) as error:
            self._log.warning("app_without_key", app=key[1], problem=error.message)
            return ""
