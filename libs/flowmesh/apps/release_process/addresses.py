"""Addresses of hosted applications: servers of the network, never sockets or files of the host.

Each check returns the problem of a text, or an empty string.
"""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

from flowmesh.contract.hosts import address_problem as server_problem

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?!\d)")
_WEB = frozenset({"http", "https", "ws", "wss"})
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_POSTGRES = ("postgres", "postgresql")
# Parameters that would name the server, or another file that names it, a second time.
_ELSEWHERE = frozenset(
    {"host", "hostaddr", "port", "service", "servicefile", "krbsrvname", "gsslib"}
)
_FILES = frozenset({"passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl"})


def is_foreign(path: str) -> bool:
    """Return whether a path leads out of the folder that it starts from."""
    found = PurePosixPath(path)
    return found.is_absolute() or ".." in found.parts or path.startswith("~")


def address_problem(text: str) -> str:
    """Return the problem of the address of a server: a URL, or host and port."""
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if text.startswith(("/", "@", ".")) or "unix" in scheme or scheme in ("file", "vsock"):
        return "an address is that of a server in the network, not a socket or file of this host"
    # The value of a template is checked when it is called.
    if "://" in text and "{{" not in text and (problem := server_problem(text)):
        return problem
    if scheme in _WEB or "?" not in text:
        return ""
    for name, value in parse_qsl(text.partition("?")[2], keep_blank_values=True):
        if is_foreign(value):
            return f"the parameter {name} names a file outside of the files of the release"
    return ""


def postgres_problem(dsn: str) -> str:
    """Return the problem of the DSN of a PostgreSQL server."""
    try:
        parts = urlsplit(dsn)
        given = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
    except ValueError:
        return "a DSN is postgresql://user:password@host:port/database"
    if parts.scheme not in _POSTGRES:
        return "a DSN is postgresql://user:password@host:port/database"
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user or not all(_HOST.fullmatch(each) for each in hosts.split(",")):
        return "a DSN names its server by host and port; sockets of this host are refused"
    if problem := server_problem(dsn):
        return problem
    if named := sorted(_ELSEWHERE & given.keys()):
        return f"the parameter {named[0]} is refused; the server stands before the path"
    for name in sorted(_FILES & given.keys()):
        if not given[name] or is_foreign(given[name]):
            return f"the parameter {name} names a file outside of the files of the release"
    return ""
