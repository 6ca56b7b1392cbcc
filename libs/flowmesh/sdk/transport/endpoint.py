"""The server of a client: its address, TLS, and whether a credential may be sent to it.

grpcs://flowmesh.example.com:7450   TLS; `https://` is the same
grpc://127.0.0.1:7450               no TLS
127.0.0.1:7450                      no TLS, unless TLS options are given
"""

import ipaddress
import os
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from flowmesh.contract.hosts import address_problem
from flowmesh.errors import Invalid

Options = list[tuple[str, str | int]]
Stamp = tuple[tuple[int, int, int], ...]

_PLAIN = frozenset({"grpc", "http"})
_SECURE = frozenset({"grpcs", "https"})
# Naming schemes of gRPC; their targets are passed on unchanged.
_NAMING = frozenset({"dns", "ipv4", "ipv6", "unix", "xds"})
_SECURE_PORT = 443
# A proxy of the environment would receive a credential that is meant for this machine.
_DIRECT = ("grpc.enable_http_proxy", 0)
# A path is no name of a certificate.
_THIS_MACHINE = ("grpc.ssl_target_name_override", "localhost")


@dataclass(frozen=True, slots=True)
class Tls:
    """Options of TLS: files in PEM.

    Without `ca` the public authorities are trusted. `certificate` and `key` prove this client to
    servers that ask for it.
    """

    ca: str | Path = ""
    certificate: str | Path = ""
    key: str | Path = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files; raise ENDPOINT_INVALID if one is missing."""
        if bool(self.certificate) != bool(self.key):
            raise _invalid("a client certificate needs both its certificate and its key file")
        return grpc.ssl_channel_credentials(
            root_certificates=_content(self.ca),
            private_key=_content(self.key),
            certificate_chain=_content(self.certificate),
        )

    def stamp(self) -> Stamp:
        """Return a value that changes when a file does; zeros for a missing one."""
        paths = (self.ca, self.certificate, self.key)
        return tuple(_stamp(Path(path)) for path in paths if path)

    def context(self) -> ssl.SSLContext:
        """Return the options for connections other than gRPC. Raises OSError, SSLError."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def check(self) -> None:
        """Raise ENDPOINT_INVALID if the files hold no certificates, or not the key of theirs."""
        try:
            self.context()
        except (OSError, ValueError) as error:
            raise _invalid("the TLS files do not fit together") from error


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A gRPC target, and the options of its connections."""

    target: str
    # None for a connection without TLS.
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    is_local: bool = False
    # A credential may be sent without TLS to another host.
    permits_plaintext: bool = False
    # The files of the credentials, and their state before they were read.
    tls: Tls | None = None
    stamp: Stamp = ()

    @classmethod
    def of(cls, address: str, tls: Tls | bool | None = None) -> Self:
        """Return the endpoint of an address.

        `tls` is the TLS options, True for TLS with the public authorities, or False for none, even
        with a credential. By default the scheme of the address and FLOWMESH_CA,
        FLOWMESH_CLIENT_CERT and FLOWMESH_CLIENT_KEY decide.
        """
        scheme, target = _split(address)
        options = tls_of_environment() if tls is None else tls
        if scheme in _SECURE and tls is False:
            raise _invalid(f"{address} asks for TLS, and `tls` is False")
        if scheme in _PLAIN and isinstance(tls, Tls | bool) and tls:
            raise _invalid(f"{address} is an address without TLS; use grpcs:// with TLS options")
        is_secure = scheme in _SECURE or (scheme not in _PLAIN and bool(options))
        chosen = options if isinstance(options, Tls) else Tls()
        stamp = chosen.stamp()
        return cls(
            target=target,
            tls=chosen if is_secure and stamp else None,
            stamp=stamp,
            credentials=chosen.credentials() if is_secure else None,
            is_local=is_local(target),
            permits_plaintext=tls is False or _plaintext_allowed(),
        )

    def renewed(self) -> Self | None:
        """Return the endpoint with the present files; None if they are those that it has.

        Raise ENDPOINT_INVALID while they cannot be used.
        """
        if self.tls is None:
            return None
        stamp = self.tls.stamp()
        if stamp == self.stamp:
            return None
        self.tls.check()
        credentials = self.tls.credentials()
        if self.tls.stamp() != stamp:
            raise _invalid("the TLS files are being written")
        return replace(self, credentials=credentials, stamp=stamp)

    def elsewhere(self, address: str) -> Self:
        """Return the endpoint of another cell; calls that are encrypted stay so."""
        scheme, target = _split(address)
        if self.credentials is None and scheme in _SECURE:
            return self.of(address)
        if self.credentials is not None and scheme in _PLAIN:
            raise _invalid(f"the server names the cell {address}, which has no TLS")
        return replace(self, target=target, is_local=is_local(target))

    def check_credential(self, source: str) -> None:
        """Raise PLAINTEXT_REFUSED if a credential would travel unencrypted to another host."""
        if self.credentials is None and not (self.is_local or self.permits_plaintext):
            raise Invalid(
                "PLAINTEXT_REFUSED",
                f"{source} would be sent to {self.target} without TLS; use grpcs://, or allow it"
                " with tls=False or FLOWMESH_ALLOW_PLAINTEXT=true",
            )

    def channel(self, options: Options, *, with_credential: bool) -> grpc.aio.Channel:
        """Open a connection."""
        if self.credentials is not None:
            if self.target.startswith("unix:"):
                options = [*options, _THIS_MACHINE]
            return grpc.aio.secure_channel(self.target, self.credentials, options=options)
        if with_credential:
            options = [*options, _DIRECT]
        return grpc.aio.insecure_channel(self.target, options=options)


def tls_of_environment() -> Tls | None:
    """Return the TLS options of the environment; None without any."""
    ca, certificate, key = (
        os.environ.get(f"FLOWMESH_{name}", "") for name in ("CA", "CLIENT_CERT", "CLIENT_KEY")
    )
    return Tls(ca, certificate, key) if ca or certificate or key else None


def _plaintext_allowed() -> bool:
    return os.environ.get("FLOWMESH_ALLOW_PLAINTEXT", "").lower() in ("1", "true", "yes", "on")


def _split(address: str) -> tuple[str, str]:
    """Return the scheme, empty if there is none of ours, and the target of gRPC."""
    scheme, found, rest = address.partition("://")
    scheme = scheme.lower()
    if not found or scheme in _NAMING:
        if address.partition(":")[0].lower() not in _NAMING:
            _check(address)
        return "", address
    if scheme not in _PLAIN | _SECURE:
        raise _invalid(f"the scheme {scheme[:20]}:// is unknown; expected grpc:// or grpcs://")
    target = rest.removesuffix("/")
    if not target or not target.isprintable() or set("/?#@ ") & set(target):
        raise _invalid(f"an address is {scheme}://host:port, without path, user or query")
    _check(target)
    if scheme in _SECURE and not target.rpartition("]")[2].rpartition(":")[1]:
        target = f"{target}:{_SECURE_PORT}"
    return scheme, target


def _check(target: str) -> None:
    if problem := address_problem(target):
        raise _invalid(f"the address names no server: {problem}")


def is_local(target: str) -> bool:
    """Return whether a target is on this machine for certain."""
    if target.startswith("unix:"):
        return True
    host = target.rpartition("/")[2]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _content(path: str | Path) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _invalid(f"cannot read the TLS file {path}: {error.strerror}") from error


def _invalid(message: str) -> Invalid:
    return Invalid("ENDPOINT_INVALID", message)
