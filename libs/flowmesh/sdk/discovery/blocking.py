"""Blocking calls of the registry on synchronous gRPC.

A program may call them beside its event loop: a second loop in one process disturbs `grpc.aio`.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from flowmesh.api.identity.v1.auth_service_pb2 import RefreshRequest
from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from flowmesh.errors import FlowmeshError
from flowmesh.rpc import CHANNEL_OPTIONS, error_of
from flowmesh.rpc.status import Unreachable
from flowmesh.sdk.transport.credentials import Tokens, TokenSource, credential_of
from flowmesh.sdk.transport.endpoint import Endpoint, Tls
from flowmesh.sdk.transport.environment import located
from flowmesh.sdk.values import limits

CALL_TIMEOUT_S: Final = 5.0
# The total time of a call while the server does not respond.
PATIENCE_S: Final = 10.0


class RegistryConnection:
    """A synchronous channel to the registry with the credential of its calls."""

    def __init__(
        self,
        address: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
    ) -> None:
        self.address, tls = located(address, tls)
        endpoint = Endpoint.of(self.address, tls)
        self._credential = credential_of(token, api_key, self._refresh)
        if self._credential is not None:
            endpoint.check_credential(self._credential.source)
        if endpoint.credentials is not None:
            self._channel = grpc.secure_channel(
                endpoint.target, endpoint.credentials, options=CHANNEL_OPTIONS
            )
        else:
            options = [*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]
            self._channel = grpc.insecure_channel(endpoint.target, options=options)
        self.stub = RegistryServiceStub(self._channel)
        self._closed = threading.Event()

    @property
    def has_credential(self) -> bool:
        """True if calls carry a token or an API key."""
        return self._credential is not None

    def call(self, method: Any, request: Any, *, patience_s: float = PATIENCE_S) -> Any:
        """Make a call, repeated while the server does not respond. Raises FlowmeshError."""
        until = time.monotonic() + patience_s
        wait_s = limits.RETRY_WAIT_INITIAL_S
        while True:
            try:
                return method(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata())
            except grpc.RpcError as error:
                failure = self._explained(error)
            if not isinstance(failure, Unreachable) or time.monotonic() + wait_s > until:
                raise failure
            if self._closed.wait(wait_s):
                raise failure
            wait_s = min(2 * wait_s, limits.RETRY_WAIT_MAX_S)

    def watch(self, request: pb.WatchInstancesRequest) -> Iterator[pb.WatchInstancesResponse]:
        """Yield the messages of a watch until it breaks. Raises FlowmeshError."""
        stream: Any = self.stub.WatchInstances(request, metadata=self._metadata())
        try:
            yield from stream
        except grpc.RpcError as error:
            raise self._explained(error) from None
        finally:
            stream.cancel()

    def pause(self, seconds: float) -> bool:
        """Wait; return False if the connection was closed."""
        return not self._closed.wait(seconds)

    def close(self) -> None:
        self._closed.set()
        self._channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        credential = self._credential
        if credential is None:
            return ()
        if credential.is_due:
            # A thread of its own, as the caller may be inside an event loop.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, credential.ensure()).result()
        return credential.metadata

    async def _refresh(self, refresh_token: str) -> Tokens:
        request = RefreshRequest(refresh_token=refresh_token)
        answer = AuthServiceStub(self._channel).Refresh(request, timeout=CALL_TIMEOUT_S)
        return Tokens.received(answer.tokens.access_token, answer.tokens.refresh_token)

    def _explained(self, error: Any) -> FlowmeshError:
        found = error_of(error)
        if isinstance(found, Unreachable):
            text = f"no server responds at {self.address}; `flowmesh dev` starts a suite"
            return Unreachable(found.reason, text, never_sent=found.never_sent)
        return found
