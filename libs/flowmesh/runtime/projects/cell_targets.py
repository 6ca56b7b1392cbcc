"""Connections to the gateways of other cells, one for each address in the directory."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import grpc

from flowmesh.rpc import RemoteTarget
from flowmesh.runtime.errors import StartError


@dataclass(frozen=True, slots=True)
class CellSecurity:
    """TLS to the gateways of other cells."""

    roots: bytes | None
    generation: int = 0

    def address(self, address: str) -> str:
        return address

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(root_certificates=self.roots)


class CellTargets:
    """The gateways of cells by their gRPC addresses; `grpcs://` is TLS.

    `authorities` is a file, by default those of the system. Raises StartError.
    """

    def __init__(self, authorities: str) -> None:
        self._security = CellSecurity(_read(authorities) if authorities else None)
        self._targets: dict[str, RemoteTarget] = {}

    def at(self, address: str) -> RemoteTarget:
        """Return the connection to an address."""
        found = self._targets.get(address)
        if found is None:
            scheme, is_url, rest = address.rpartition("://")
            security = self._security if scheme == "grpcs" else None
            found = RemoteTarget(rest if is_url else address, security=security)
            self._targets[address] = found
        return found

    async def close(self) -> None:
        await asyncio.gather(*(target.close() for target in self._targets.values()))


def _read(authorities: str) -> bytes:
    try:
        return Path(authorities).read_bytes()
    except OSError as error:
        raise StartError(f"FLOWMESH_CELL_CA: {authorities}: {error.strerror}") from error
