"""Types of settings: texts and lists that are checked as they are read."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from flowmesh.contract.hosts import address_problem
from flowmesh.rpc.endpoints import Address

ANY = "*"
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_PLACE = re.compile(r"[A-Za-z0-9._-]+(/[^\s/,]+)?")
# Browsers call plain http from a page over TLS on the same machine only.
_CODEC_SERVER = re.compile(
    r"(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:\d{1,5})?"
    r"(/([A-Za-z0-9._~-]|\{namespace\})*)*"
)
_ORIGIN = re.compile(r"https?://[^\s/?#@]+/?")


def split(value: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def check_each(check: Callable[[str], object]) -> AfterValidator:
    """Return a validator of a comma-separated list; `check` raises ValueError for a wrong part."""

    def validate(value: str) -> str:
        for part in split(value):
            check(part)
        return value

    return AfterValidator(validate)


def _check_host(name: str) -> None:
    if name != ANY and not _HOST.fullmatch(name):
        raise ValueError(f"{name!r} is not a host name; write it without scheme and port")


def check_provider(name: str) -> None:
    if name not in ("claude", "openai", "copilot"):
        raise ValueError(f"{name!r} is no provider; there are claude, openai and copilot")


def _check_origin(origin: str) -> None:
    if origin != ANY:
        _check_exact_origin(origin)


def _check_exact_origin(origin: str) -> None:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is not an origin; write it as https://host:port")


def _check_server(address: str) -> str:
    if "://" in address and (problem := address_problem(address)):
        raise ValueError(f"no address of a server: {problem}")
    return address


def _check_reached(address: str) -> str:
    if address and not Address.parse(address).host:
        raise ValueError(f"{address!r} has no host; expected host:port")
    return address


def _absolute(path: str) -> str:
    """Make the path absolute: child processes have other working folders."""
    return str(Path(path).absolute()) if path else path


def _check_codec_server(address: str) -> str:
    if address and not _CODEC_SERVER.fullmatch(address):
        raise ValueError(
            f"{address!r} is no URL of a codec server; write it as https://host:port/path, with"
            " {namespace} in the path or without"
        )
    return address


def check_queue(place: str) -> None:
    if not _PLACE.fullmatch(place):
        raise ValueError(f"{place!r} is neither a namespace nor a queue; write it as shop/packing")


Server = Annotated[str, AfterValidator(_check_server)]
ReachedAt = Annotated[str, AfterValidator(_check_reached)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
CodecServer = Annotated[str, AfterValidator(_check_codec_server)]
HostNames = Annotated[str, check_each(_check_host)]
Origins = Annotated[str, check_each(_check_origin)]
ExactOrigins = Annotated[str, check_each(_check_exact_origin)]
Networks = Annotated[str, check_each(ipaddress.ip_network)]
