"""Addresses of services: `host:port`, a URL, or a port of the caller's host."""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from flowmesh.contract.hosts import PORT_MAX, host_problem, port_problem

FORMS: Final = "host:port, a URL such as http://host:8080/path, or a port"
_ENDPOINT: Final = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?"
    r"(?P<host>\[[^\]/]*\]|[^:/?#\[\]]*)"
    r"(?P<port>:[^/?#]*)?"
    r"(?P<path>[/?#][\x21-\x7e]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an endpoint. An empty host is that of the caller; port 0 is the scheme's."""

    host: str
    port: int
    scheme: str = ""
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address; raise ValueError with the problem."""
        if text.isascii() and text.isdecimal():
            text = f":{text}"
        found = _ENDPOINT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not an endpoint; expected {FORMS}")
        scheme, host, path = found["scheme"] or "", found["host"], found["path"] or ""
        _check_host(text, host)
        if found["port"] is None and not (scheme and host):
            raise ValueError(f"{text!r} has no port; expected {FORMS}")
        if path and not scheme:
            raise ValueError(f"{text!r} has a path but no scheme; expected {FORMS}")
        return cls(host, _port(text, found["port"]), scheme.lower(), path)

    def at(self, host: str) -> Self:
        """Return the address with this host, unless it has one."""
        return self if self.host else replace(self, host=host)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        scheme = f"{self.scheme}://" if self.scheme else ""
        return f"{scheme}{self.host}{port}{self.path}"


def peer_host(peer: str) -> str:
    """Return the host of a gRPC peer such as `ipv4:10.0.0.7:51234`; localhost for this process."""
    kind, _, address = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return "localhost"
    return address.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]")


def _port(text: str, port: str | None) -> int:
    if port is None:
        return 0
    digits = port.removeprefix(":")
    if port_problem(digits):
        raise ValueError(f"{text!r} has port {digits!r}; a port is 1 to {PORT_MAX}")
    return int(digits)


def _check_host(text: str, host: str) -> None:
    if host and (not host.isascii() or host_problem(host)):
        raise ValueError(f"{text!r} has host {host!r}, which is neither a name nor an IP address")
