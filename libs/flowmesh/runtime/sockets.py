"""Unix sockets by which processes of one machine call each other where they have no certificates.

The folder is private to the user of the installation, so no caller of a port is taken for a
service. The socket of a process has the number of its port, which others know it by.
"""

import stat
from pathlib import Path

import grpc

from flowmesh.access.authenticator import ANY_SERVICE, PeerContext
from flowmesh.runtime.errors import StartError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOCAL = b"local"


class InternalSockets:
    """The sockets in a folder; credentials of gRPC that admit unix sockets only."""

    # They never change.
    generation = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, folder: str) -> "InternalSockets | None":
        """Return the sockets in a private folder; None without a folder. Raises StartError."""
        if not folder:
            return None
        path = Path(folder)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & _OTHERS:
            raise StartError(f"other users can enter {path}, the folder of sockets: chmod 700 it")
        return cls(path)

    def address(self, address: str) -> str:
        """Return the socket of the process at `host:port`."""
        return f"unix:{self._folder / address.rpartition(':')[2]}.sock"

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)

    def server_credentials(self) -> grpc.ServerCredentials:
        return grpc.local_server_credentials(grpc.LocalConnectionType.UDS)


def socket_service(context: PeerContext) -> str:
    """Return the service that the peer of a connection may be: any on a socket, none on a port."""
    return ANY_SERVICE if _LOCAL in context.get("transport_security_type", ()) else ""
