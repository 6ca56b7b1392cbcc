"""The connections to addresses that users name: resolved, checked, and pinned.

Each function takes a policy, and connects to the address that it has checked. A name that resolves
to another address afterwards changes nothing.
"""

import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from flowmesh.egress.errors import EgressBlocked, Unreachable
from flowmesh.egress.policy import Policy

DNS_CACHE_SECONDS = 10
IDLE_CONNECTION_SECONDS = 15.0
# Values that a client sets only where its caller does.
_GIVEN_HEADERS = ("User-Agent", "Accept-Encoding", "Content-Type", "Accept")
_GRPC_SCHEMES = frozenset({"grpc", "grpcs", "http", "https"})


class CheckedResolver(AbstractResolver):
    """A resolver that rejects a name unless all its addresses are admitted."""

    def __init__(self, policy: Policy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(self._policy.admits(result["host"]) for result in found):
            raise EgressBlocked
        return found

    async def close(self) -> None:
        await self._resolver.close()


def http_session(
    policy: Policy,
    *,
    connections_max: int,
    host_connections_max: int = 0,
    resolver: AbstractResolver | None = None,
    auto_decompress: bool = False,
    idle_s: float = IDLE_CONNECTION_SECONDS,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> aiohttp.ClientSession:
    """Return a session without cookies and proxies; 0 bounds no host for itself.

    Raises EgressBlocked at a request to an address that the policy does not admit.
    """

    def checked_socket(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = address
        if not policy.admits(str(target[0])):
            raise EgressBlocked
        return socket.socket(family=family, type=kind, proto=protocol)

    connector = aiohttp.TCPConnector(
        socket_factory=checked_socket,
        resolver=CheckedResolver(policy, resolver),
        ssl=tls or True,
        limit=connections_max,
        limit_per_host=host_connections_max,
        ttl_dns_cache=DNS_CACHE_SECONDS,
        keepalive_timeout=idle_s,
    )
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        auto_decompress=auto_decompress,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_GIVEN_HEADERS,
        **options,
    )


def addresses_of(policy: Policy, host: str, port: int) -> tuple[str, ...]:
    """Return the numeric addresses of a host; all are admitted. Blocks for the resolver.

    Raises EgressBlocked and Unreachable.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"the host name {host} cannot be resolved") from error
    addresses = tuple(str(each[4][0]) for each in found)
    if not all(map(policy.admits, addresses)):
        raise EgressBlocked
    return addresses


def check_endpoint(policy: Policy, address: str) -> None:
    """Check the address of a client of gRPC that resolves names itself. Blocks for the resolver.

    The address is `host:port`, or a URL; raises EgressBlocked for other names of gRPC, such as
    `unix:` and `dns:`, and for addresses that the policy does not admit. Raises Unreachable.
    """
    if not policy.public_only:
        return
    scheme, found, rest = address.partition("://")
    try:
        place = urlsplit(f"//{rest if found else address}")
        host, port = place.hostname, place.port or 0
    except ValueError:
        raise EgressBlocked from None
    if not host or (found and scheme.lower() not in _GRPC_SCHEMES):
        raise EgressBlocked
    addresses_of(policy, host, port)


def grpc_target(addresses: Sequence[str], port: int) -> str:
    """Return the target of gRPC for numeric addresses of one family, which it does not resolve."""
    version = ip_address(addresses[0].partition("%")[0]).version
    same = [each for each in addresses if (":" in each) == (version == 6)]
    listed = ",".join(f"[{each}]:{port}" if version == 6 else f"{each}:{port}" for each in same)
    return f"ipv{version}:{listed}"


def grpc_options(host: str, port: int, *, tls: bool, name: str = "") -> list[tuple[str, Any]]:
    """Return the options of a channel to a pinned target: it keeps the name of the host.

    With TLS, `name` is the server name of the certificate if it is another.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if tls:
        # Also sets the authority; the library accepts no other one.
        return [*options, ("grpc.ssl_target_name_override", name or host)]
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [*options, ("grpc.default_authority", authority)]
