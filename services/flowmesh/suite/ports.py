"""Ports that are taken, told before anything is started."""

from flowmesh.runtime import StartError
from flowmesh.runtime.http import listen

FLAGS = {"HTTP": "--http-port", "gRPC": "--grpc-port"}


def check_port(kind: str, host: str, port: int) -> None:
    """Raises StartError for one that cannot be had; 0 always can."""
    try:
        listen(host, port).close()
    except OSError as error:
        raise StartError(
            f"{kind} port {port} of {host} is not free ({error.strerror});"
            f" choose another with {FLAGS[kind]} (0 picks a free one)"
        ) from error
