"""Hosts and ports of addresses: which ones can exist, for every door that takes an address."""

import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urlsplit

PORT_MAX: Final = 65_535
HOST_CHARACTERS_MAX: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
# A last label that is a number makes the host an IPv4 address, also in decimal or hexadecimal.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_NEXT_URL: Final = re.compile(r",(?=[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_ENCODED: Final = "xn--"


def host_problem(host: str) -> str:
    """Return what is wrong with a host, empty if nothing is.

    A host is a name, also an international one, or an IP address; an IPv6 address may be in
    brackets.
    """
    return "" if _is_host(host) else f"{host[:64]!r} is neither a host name nor an IP address"


def port_problem(port: str) -> str:
    """Return what is wrong with the text of a port, empty if nothing is."""
    if port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= PORT_MAX:
        return ""
    return f"port {port[:16]!r} is not a number from 1 to {PORT_MAX}"


def address_problem(address: str) -> str:
    """Return what is wrong with the hosts and ports of a URL or of `host:port`, empty without.

    Several servers, or whole URLs, are separated by commas. An address without a host, such as a
    path, has nothing to check.
    """
    for url in _NEXT_URL.split(address):
        try:
            servers = urlsplit(url if "://" in url else f"//{url}").netloc
        except ValueError:
            return "the address cannot be parsed"
        for server in servers.rpartition("@")[2].split(","):
            if problem := _server_problem(server):
                return problem
    return ""


def _server_problem(server: str) -> str:
    host, colon, port = server.rpartition(":")
    if not colon or port.endswith("]"):
        host, colon = server, ""
    if host and (problem := host_problem(host)):
        return problem
    return port_problem(port) if colon else ""


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        return _is_ipv6(host[1:-1])
    if ":" in host:
        return _is_ipv6(host)
    name = host.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _is_ipv4(name)
    return len(name) <= HOST_CHARACTERS_MAX and all(map(_is_label, labels))


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.lower().startswith(_ENCODED):
        return True
    try:
        decoded = label[len(_ENCODED) :].encode().decode("punycode")
    except UnicodeError:
        return False
    return not decoded.isascii() and decoded.isprintable()


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
