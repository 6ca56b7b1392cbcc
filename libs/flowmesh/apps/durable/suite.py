"""The suite that an application is attached to."""

import os
from typing import TYPE_CHECKING

from flowmesh.apps.document.expansion import ADDRESS
from flowmesh.errors import FlowmeshError, Unavailable

if TYPE_CHECKING:
    from flowmesh.sdk.client.client import Client

CONNECT_S = 15.0


class Suite:
    """One client of a suite, which all durable runs share; opened by `start`.

    Namespace, credentials and certificates are those of the environment, as for any client.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Client | None = None

    @classmethod
    def of_environment(cls) -> "Suite | None":
        """Return the suite of FLOWMESH_ADDRESS; None if it is not set."""
        address = os.environ.get(ADDRESS, "")
        return cls(address) if address else None

    @property
    def client(self) -> "Client":
        """The client. Raises Unavailable before the start and after the stop."""
        if self._client is None:
            raise Unavailable("SUITE_UNAVAILABLE", "the application is not attached to its suite")
        return self._client

    async def start(self) -> None:
        """Connect. Raises Unavailable."""
        from flowmesh.sdk.client.client import Client

        try:
            self._client = await Client.connect(self.address, timeout=CONNECT_S)
        except FlowmeshError as error:
            text = f"the suite at {self.address} of {ADDRESS} refused: {error.message}"
            raise Unavailable("SUITE_UNAVAILABLE", text) from None

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
