"""Names in certificates: SPIFFE identities of services, and names of hosts.

A service is `spiffe://flowmesh/<cluster>/<service>`. A client has one more part in its path, so
that no client can have the name of a service.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509

from flowmesh.certificates.errors import CertificateError

TRUST_DOMAIN = "spiffe://flowmesh"
CLIENT = "client"
# As gRPC names the URI of a peer's certificate.
PEER_URI = "peer_uri"
HOST_CHARACTERS_MAX = 253
HOSTS_MAX = 64

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SERVICE_URI = re.compile(rf"{TRUST_DOMAIN}/({_SLUG.pattern})/({_SLUG.pattern})")

AuthContext = Mapping[str, Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service of a cluster, as its certificate names it."""

    cluster: str
    service: str

    def __str__(self) -> str:
        return f"{cluster_uri(self.cluster)}/{self.service}"

    @classmethod
    def parse(cls, uri: str) -> "ServiceName | None":
        """Return the service that a URI names; None if it is no name of a service."""
        found = _SERVICE_URI.fullmatch(uri)
        return cls(found[1], found[3]) if found else None


def service_of(context: AuthContext) -> ServiceName | None:
    """Return the service that the verified certificate of a gRPC peer names; None without one."""
    uris = list(context.get(PEER_URI, ()))
    return ServiceName.parse(uris[0].decode(errors="replace")) if len(uris) == 1 else None


def cluster_uri(cluster: str) -> str:
    """Return the name of a cluster, which its authority has."""
    return f"{TRUST_DOMAIN}/{cluster}"


def client_uri(cluster: str, name: str) -> str:
    """Return the name of a client."""
    return f"{cluster_uri(cluster)}/{CLIENT}/{name}"


def checked_slug(kind: str, value: str) -> str:
    """Return a name that can stand in a path; raise CertificateError for another."""
    if not _SLUG.fullmatch(value):
        text = "lower-case letters, digits and inner hyphens, at most 63 characters"
        raise CertificateError(f"{value[:100]!r} is not the name of a {kind}: {text}")
    return value


def host_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    """Return hosts as names of a certificate, each once; raise CertificateError for no host."""
    found = list(dict.fromkeys(hosts))
    if len(found) > HOSTS_MAX:
        raise CertificateError(f"a certificate has at most {HOSTS_MAX} hosts")
    return [_host_name(host) for host in found]


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if len(host) > HOST_CHARACTERS_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise CertificateError(f"{host[:100]!r} is neither a DNS name nor an IP address")
    return x509.DNSName(host)
