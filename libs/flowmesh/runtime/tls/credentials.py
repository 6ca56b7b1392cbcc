"""Certificates as gRPC and HTTP servers and clients take them; all of them may change."""

import ssl
import tempfile
from typing import Any, Protocol

import grpc

from flowmesh.certificates import Certificate, Watched

# Servers speak HTTP/1.1 on the HTTP port.
HTTP_PROTOCOLS = ["http/1.1"]


class Latest(Protocol):
    """A certificate that may change; `generation` counts the changes."""

    @property
    def generation(self) -> int: ...

    @property
    def now(self) -> Certificate: ...


def server_credentials(watched: Latest, *, verifies: bool) -> grpc.ServerCredentials:
    """Return credentials of a port; each handshake takes the latest certificate.

    With `verifies`, a client needs a certificate of the authorities.
    """
    served = watched.generation

    def configuration() -> grpc.ServerCertificateConfiguration:
        now = watched.now
        roots = now.authorities if verifies else None
        return grpc.ssl_server_certificate_configuration([(now.key, now.chain)], roots)

    def latest() -> Any:
        """Return the configuration if there is another one; None to keep the present one."""
        nonlocal served
        if watched.generation == served:
            return None
        served = watched.generation
        return configuration()

    return grpc.dynamic_ssl_server_credentials(configuration(), latest, verifies)


class ServiceChannels:
    """Credentials of calls to other processes, which verify each other."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    @property
    def generation(self) -> int:
        """Counts certificates; a channel of an older one is replaced."""
        return self._watched.generation

    def address(self, address: str) -> str:
        return address

    def credentials(self) -> grpc.ChannelCredentials:
        now = self._watched.now
        return grpc.ssl_channel_credentials(now.authorities, now.key, now.chain)


class HttpsContext:
    """The TLS context of the HTTP port; handshakes take the certificate that was loaded last."""

    def __init__(self, watched: Watched, *, verifies: bool) -> None:
        self._watched = watched
        self._verifies = verifies
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(HTTP_PROTOCOLS)
        if verifies:
            # Probes have no certificate; every other request is refused without one.
            self.context.verify_mode = ssl.CERT_OPTIONAL
        self.load()

    def load(self) -> None:
        """Serve the present certificate from now on."""
        now = self._watched.now
        _load_pair(self.context, now)
        if self._verifies:
            self.context.load_verify_locations(cadata=now.authorities.decode())


def _load_pair(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Load a chain and its key from one private file: contexts read files only."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)
