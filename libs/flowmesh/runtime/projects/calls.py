"""Calls of steps for another project, with the API key that this project has given out.

They go to a gateway of the suite, as the calls of any client do: it authenticates the key, and
forwards a call for another cell. A call for a project with strict residency elsewhere is answered
with the address of its cell, and made there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from flowmesh.access import acting_as
from flowmesh.api.identity.v1.secret_service_pb2 import ResolveSecretsRequest, SecretRef
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.cells import SOURCE_HEADER
from flowmesh.errors import Misdirected, NotFound
from flowmesh.rpc import channel_to
from flowmesh.runtime.names import GATEWAY, IDENTITY
from flowmesh.runtime.projects.cell_targets import CellTargets
from flowmesh.runtime.runtime import Runtime

if TYPE_CHECKING:
    from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceAsyncStub

Answer = TypeVar("Answer")
Metadata = tuple[tuple[str, str], ...]
MakeCall = Callable[[grpc.aio.Channel, Metadata], Awaitable[Answer]]
"""Makes the call on a channel with metadata; called again for another cell."""


class ProjectCalls:
    """Makes calls of the steps of one project for another one."""

    def __init__(
        self, *, gateway: grpc.aio.Channel, cells: CellTargets, secrets: "SecretServiceAsyncStub"
    ) -> None:
        self._gateway = gateway
        self._cells = cells
        self._secrets = secrets

    async def call(self, source: str, key: str | SecretRef, make: MakeCall[Answer]) -> Answer:
        """Return the answer of a call for a step of the project `source`.

        `key` is the API key, or the secret of that project with it; an empty one calls without a
        credential. Raises FlowmeshError.
        """
        metadata: Metadata = ((SOURCE_HEADER, source),)
        value = key if isinstance(key, str) else await self._value(source, key)
        if value:
            metadata += (("authorization", f"Bearer {value}"),)
        try:
            return await make(self._gateway, metadata)
        except Misdirected as error:
            if not error.address:
                raise
            address = error.address
        return await make(channel_to(self._cells.at(address)), metadata)

    async def _value(self, source: str, key: SecretRef) -> str:
        request = ResolveSecretsRequest(namespace=source, refs=[key])
        try:
            with acting_as(None):
                return (await self._secrets.ResolveSecrets(request)).values[0].decode().strip()
        except (NotFound, UnicodeDecodeError):
            text = f"the secret {key.name!r} with the API key is not stored in project {source}"
            raise NotFound("SECRET_NOT_FOUND", text) from None


@asynccontextmanager
async def project_calls(runtime: Runtime) -> AsyncIterator[ProjectCalls]:
    """Yield the calls of a process. Raises StartError.

    FLOWMESH_CELL_GRPC names the gateways of the cell; otherwise they are found in the registry.
    """
    settings = runtime.settings
    cells = CellTargets(settings.cell_ca)
    try:
        yield ProjectCalls(
            gateway=channel_to(cells.at(settings.cell_grpc))
            if settings.cell_grpc
            else runtime.unproved(GATEWAY),
            cells=cells,
            secrets=runtime.stub(SecretServiceStub, IDENTITY),
        )
    finally:
        await cells.close()
