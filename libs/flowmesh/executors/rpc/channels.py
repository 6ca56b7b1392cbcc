"""Connections to gRPC services, one for each target, and calls over them.

Host names are resolved here, and only admitted addresses are connected to. The library would
resolve them itself and use proxies of the environment.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import grpc
import grpc.aio

from flowmesh.contract.hosts import host_problem, port_problem
from flowmesh.egress import EgressBlocked, EgressFailure
from flowmesh.egress.connector import grpc_options, grpc_target
from flowmesh.egress.headers import check_headers
from flowmesh.errors import FlowmeshError
from flowmesh.executors import failures
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.limits import LOOP_BYTES_MAX
from flowmesh.executors.rpc.calls import Rpc, RpcAnswer, Target
from flowmesh.executors.rpc.statuses import failure_of

if TYPE_CHECKING:
    from flowmesh.executors.rpc.descriptors import Method, Methods

CHANNELS_MAX = 100
# Names are resolved and descriptors read again after this time.
CHANNEL_LIFE_S = 300.0
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
# What gRPC can send; it drops the names below without an error.
_METADATA_NAME = re.compile(r"[0-9a-z_.-]+")
_METADATA_VALUE = re.compile(r"[\x20-\x7e]*")
_DROPPED = frozenset(
    {"content-type", "content-length", "te", "user-agent", "x-envoy-peer-metadata"}
)


class Resolver(Protocol):
    """Resolves host names: `flowmesh.egress.Egress`."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the admitted numeric addresses. Raises EgressBlocked and EgressFailure."""


@dataclass(slots=True, eq=False)
class _Open:
    """A channel, its creation time, and the known methods of its services.

    A replaced channel is closed after its last call.
    """

    channel: grpc.aio.Channel
    since_s: float
    methods: dict[tuple[str, bytes], "Methods"] = field(default_factory=dict)
    methods_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: int = 0


class Channels:
    """The channels of a worker. An async context manager: leaving it closes them."""

    def __init__(
        self, resolver: Resolver, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = resolver
        self._monotonic_s = monotonic_s
        self._open: OrderedDict[Target, _Open] = OrderedDict()
        self._replaced: set[_Open] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        left = [*self._open.values(), *self._replaced]
        await asyncio.gather(*self._closing, *(each.channel.close() for each in left))
        self._open.clear()
        self._replaced.clear()

    async def call(self, rpc: Rpc) -> RpcAnswer:
        metadata = check_metadata(rpc.metadata)
        try:
            async with asyncio.timeout(rpc.timeout_ms / 1000):
                return await self._call(rpc, metadata)
        except TimeoutError:
            message = f"no answer within {rpc.timeout_ms} ms"
            raise TaskFailure(failures.TIMEOUT, message) from None
        except grpc.aio.AioRpcError as error:
            raise failure_of(error) from error
        except EgressFailure as error:
            raise TaskFailure(failures.NETWORK, str(error)) from error
        except EgressBlocked as error:
            details = {"reason": error.reason}
            raise TaskFailure(failures.EGRESS_BLOCKED, error.message, details=details) from error
        except FlowmeshError as error:
            raise invalid(error.message, reason=error.reason) from error

    async def _call(self, rpc: Rpc, metadata: list[tuple[str, str]]) -> RpcAnswer:
        opened = await self._opened(rpc.target)
        opened.calls += 1
        try:
            return await self._called(opened, rpc, metadata)
        finally:
            opened.calls -= 1
            if opened in self._replaced:
                self._close_unused(opened)

    async def _called(self, opened: _Open, rpc: Rpc, metadata: list[tuple[str, str]]) -> RpcAnswer:
        method = await self._method(opened, rpc)
        request = await _off_loop(rpc.request, method.encoded)
        if len(request) > MESSAGE_BYTES_MAX:
            raise invalid(f"the request has more than {MESSAGE_BYTES_MAX} bytes")
        unary: Any = opened.channel.unary_unary(f"/{rpc.method}")
        call = unary(request, metadata=metadata, timeout=rpc.timeout_ms / 1000)
        data = await call
        response = await _off_loop(data, method.decoded)
        return RpcAnswer(response, _plain(await call.initial_metadata()))

    async def _method(self, opened: _Open, rpc: Rpc) -> "Method":
        from flowmesh.executors.rpc.descriptors import methods_in, reflected

        service = rpc.method.partition("/")[0]
        key = (service, rpc.descriptors)
        async with opened.methods_lock:
            if key not in opened.methods:
                if rpc.descriptors:
                    opened.methods[key] = methods_in(rpc.descriptors)
                else:
                    opened.methods[key] = await reflected(opened.channel, service)
        return opened.methods[key].method(rpc.method)

    async def _opened(self, target: Target) -> _Open:
        now_s = self._monotonic_s()
        found = self._open.get(target)
        if found is not None and now_s - found.since_s < CHANNEL_LIFE_S:
            self._open.move_to_end(target)
            return found
        host, port = host_and_port(target.address)
        addresses = await self._resolver.addresses(host, port)
        made = _Open(_channel(target, host, port, addresses), now_s)
        if (replaced := self._open.pop(target, None)) is not None:
            self._close_unused(replaced)
        self._open[target] = made
        while len(self._open) > CHANNELS_MAX:
            self._close_unused(self._open.popitem(last=False)[1])
        return made

    def _close_unused(self, replaced: _Open) -> None:
        """Close a replaced channel, at once or after the last of its calls."""
        if replaced.calls:
            self._replaced.add(replaced)
            return
        self._replaced.discard(replaced)
        task = asyncio.create_task(replaced.channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _channel(target: Target, host: str, port: int, addresses: Sequence[str]) -> grpc.aio.Channel:
    options = [
        *grpc_options(host, port, tls=target.tls, name=target.server_name),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.primary_user_agent", "flowmesh"),
    ]
    address = grpc_target(addresses, port)
    if not target.tls:
        return grpc.aio.insecure_channel(address, options)
    authorities = target.authorities.encode() or None
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authorities), options)


def host_and_port(address: str) -> tuple[str, int]:
    """Return the host and port of a target. Raises TaskFailure."""
    host, _, port = address.rpartition(":")
    if not host or port_problem(port):
        raise invalid("the target is host:port, with a port from 1 to 65535")
    if "%" in host or (problem := host_problem(host)):
        raise invalid(f"the target has no valid host{f': {problem}' if problem else ''}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_metadata(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the metadata to send. Raises TaskFailure for invalid metadata."""
    try:
        check_headers(metadata)
    except FlowmeshError as error:
        raise invalid(error.message, reason=error.reason) from error
    for name, value in metadata.items():
        lower = name.lower()
        if not _METADATA_NAME.fullmatch(lower):
            message = f"the name of metadata {name[:64]!r} is not letters, digits, and any of _.-"
        elif lower in _DROPPED or lower.startswith("grpc-") or lower.endswith("-bin"):
            message = f"metadata {name[:64]} is gRPC's own or binary, and cannot be given"
        elif not _METADATA_VALUE.fullmatch(value):
            message = f"the value of metadata {name[:64]} is not printable ASCII"
        else:
            continue
        raise invalid(message, reason="HEADER_INVALID")
    return [(name.lower(), value) for name, value in metadata.items()]


def _plain(metadata: Any) -> dict[str, str]:
    return {name: value for name, value in metadata or () if isinstance(value, str)}


async def _off_loop(value: Any, work: Callable[[Any], Any]) -> Any:
    """Do the work for large bytes in a thread, otherwise directly."""
    if isinstance(value, bytes) and len(value) > LOOP_BYTES_MAX:
        converted: Awaitable[Any] = asyncio.to_thread(work, value)
        return await converted
    return work(value)
