"""Checks of ports before anything is started."""

import socket

from flowmesh.runtime import StartError

FLAGS = {"HTTP": "--http-port", "gRPC": "--grpc-port"}


def check_port(kind: str, host: str, port: int) -> None:
    """Raise StartError if a port is taken; port 0 never is."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartError(
            f"{kind} port {port} of {host} is not free ({error.strerror});"
            f" choose another with {FLAGS[kind]} (0 picks a free one)"
        ) from error
