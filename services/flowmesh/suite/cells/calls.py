"""Calls at the gateways of one cell for a project that moves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import grpc.aio

from flowmesh.api.registry.v1.registry_service_pb2 import ListInstancesRequest
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from flowmesh.cells import DEFAULT, MOVE_HEADER, Cell
from flowmesh.cli.targets import target
from flowmesh.egress import OPEN
from flowmesh.egress.connector import http_session
from flowmesh.sdk.transport.endpoint import tls_of_environment

CONNECT_S = 3.0
KNOWN_WITHIN_S = 15.0
POLL_S = 0.05
PAGE_SIZE = 500
CONNECTIONS_MAX = 16

Response = TypeVar("Response")
IsKnown = Callable[[aiohttp.ClientSession, str], Awaitable[bool]]


class CellCalls:
    """Calls of a project at one cell, whichever cell is its home.

    The credential is that of the environment, or of the login at the address of the cell.
    """

    def __init__(self, cell: Cell, project: str) -> None:
        self.cell = cell
        self.project = project
        self._connection = target(address=cell.grpc, namespace=project, profile="").connection()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for stubs."""
        return self._connection.caller.channel

    async def ready(self) -> None:
        """Raise Unavailable if the cell does not answer."""
        await self._connection.ready(CONNECT_S)

    async def close(self) -> None:
        await self._connection.close()

    async def credential(self) -> dict[str, str]:
        """Return the credential as headers of HTTP."""
        return await self._connection.caller.headers()

    async def call(
        self,
        method: Callable[..., Awaitable[Response]],
        request: Any,
        *,
        of_project: bool = False,
    ) -> Response:
        """Make a call; a request without a namespace gets that of the project.

        `of_project` is True for one that names the project inside of another field.
        """
        if "namespace" in request.DESCRIPTOR.fields_by_name:
            request.namespace = request.namespace or self.project
            of_project = request.namespace == self.project
        metadata = ((MOVE_HEADER, str(self.cell.number)),) if of_project else ()

        async def at_cell(request: Any, *, timeout: float) -> Response:
            return await method(request, timeout=timeout, metadata=metadata)

        return await self._connection.caller.call(at_cell, request)

    async def retried(self, once: Callable[[], Awaitable[Response]]) -> Response:
        """Return the result of a stream as a whole, repeated on errors that this may resolve."""
        return await self._connection.caller.retried(once)

    async def listed(self, method: Callable[..., Awaitable[Any]], request: Any, name: str) -> Any:
        """Return the items of all pages of a list."""
        if "page_size" in request.DESCRIPTOR.fields_by_name:
            request.page_size = PAGE_SIZE
        found: list[Any] = []
        while True:
            page = await self.call(method, request)
            found += getattr(page, name)
            token = getattr(page, "next_page_token", "")
            if not token:
                return found
            request.page_token = token

    async def gateways(self) -> list[str]:
        """Return the URL of each gateway of the cell. Raises ValueError without one."""
        stub = RegistryServiceStub(self.channel)
        request = ListInstancesRequest(namespace=DEFAULT, name="gateway")
        found = await self.listed(stub.ListInstances, request, "instances")
        urls = [
            f"{each.metadata.get('scheme', 'http')}://{place}"
            for each in found
            if (place := each.metadata.get("http"))
        ]
        if not urls:
            raise ValueError(f"the registry of cell {self.cell.name} has no gateway")
        return urls

    def session(self) -> aiohttp.ClientSession:
        """Return a session for requests to single gateways."""
        tls = tls_of_environment()
        context = tls.context() if tls is not None else None
        return http_session(OPEN, connections_max=CONNECTIONS_MAX, tls=context)

    async def until_known(self, urls: list[str], is_known: IsKnown) -> None:
        """Wait until each gateway has read an entry of the directory. Raises ValueError."""
        async with self.session() as session:
            for url in urls:
                try:
                    async with asyncio.timeout(KNOWN_WITHIN_S):
                        while True:
                            if await is_known(session, url):
                                break
                            await asyncio.sleep(POLL_S)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    text = f"the gateway at {url} does not answer, or does not follow the directory"
                    raise ValueError(f"{text}; run the command again") from None
