"""The request and the response of a gRPC task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flowmesh.contract.json_value import Json


@dataclass(frozen=True, slots=True)
class Target:
    """The address to connect to; calls to equal targets share a connection.

    `authorities` are PEM certificates to trust instead of the system's, `server_name` the name
    that the server's certificate must have instead of the host's.
    """

    address: str
    tls: bool = True
    authorities: str = field(default="", repr=False)
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call of `package.Service/Method`; `descriptors` is a serialized FileDescriptorSet.

    Without descriptors the message types are read from the server by reflection.
    """

    target: Target
    method: str
    request: Json
    metadata: Mapping[str, str] = field(repr=False)
    timeout_ms: int
    descriptors: bytes = field(default=b"", repr=False)
    # The name of a registered service, whose instances are called in place of an address, with the
    # namespace it is registered in and the workflow that calls it.
    service: str = ""
    namespace: str = ""
    workflow_id: str = ""


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """The response as JSON, and its metadata."""

    response: Json
    metadata: dict[str, str]


class Caller(Protocol):
    """The gRPC client: `Channels`, or a recorder of calls in a dry run."""

    async def call(self, rpc: Rpc) -> RpcAnswer:
        """Make the call. Raises TaskFailure."""
