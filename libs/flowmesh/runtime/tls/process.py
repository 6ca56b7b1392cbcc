"""The certificates of a process, by the settings: its own as a service, and that of the gateway."""

import ssl
from collections.abc import Collection
from pathlib import Path

import grpc

from flowmesh.certificates import (
    CertificateError,
    CertificateFiles,
    ServiceName,
    Watched,
    service_of,
)
from flowmesh.certificates.names import AuthContext
from flowmesh.runtime.errors import StartError
from flowmesh.runtime.names import GATEWAY
from flowmesh.runtime.settings import Settings
from flowmesh.runtime.tls.credentials import HttpsContext, ServiceChannels, server_credentials
from flowmesh.runtime.tls.renewal import CertificateLoop
from flowmesh.telemetry import Metrics


class ProcessTls:
    """TLS of the ports of a process and of its calls.

    `own` proves a service to others; its port wants the same of its callers. `public` is what the
    gateway shows to clients, on both of its ports.
    """

    def __init__(
        self,
        *,
        own: Watched | None,
        public: Watched | None,
        verifies_clients: bool,
        services: Collection[str],
        metrics: Metrics,
    ) -> None:
        self._own = own
        self._name = _service_name(own) if own else None
        self._is_gateway = GATEWAY in services
        # The services beside a gateway have a port of their own, for services only.
        self.has_internal_port = self._is_gateway and len(services) > 1
        self._public = public
        self.verifies_clients = verifies_clients
        self.channels = ServiceChannels(own) if own else None
        shown = public if self._is_gateway else own
        self._https = HttpsContext(shown, verifies=self.verifies_clients) if shown else None
        named = {"service": own, "public": public if public is not own else None}
        watched = {name: each for name, each in named.items() if each is not None}
        self.loop = CertificateLoop(watched=watched, changed=self._changed, metrics=metrics)

    def grpc_credentials(self) -> grpc.ServerCredentials | None:
        """Return the credentials of the gRPC port; None if it is plain text."""
        if self._is_gateway:
            shown, verifies = self._public, self.verifies_clients
        else:
            shown, verifies = self._own, True
        return server_credentials(shown, verifies=verifies) if shown else None

    def internal_credentials(self) -> grpc.ServerCredentials | None:
        """Return the credentials of the port for services; None if it is plain text."""
        return server_credentials(self._own, verifies=True) if self._own else None

    @property
    def http_context(self) -> ssl.SSLContext | None:
        """The context of the HTTP port; None if it is plain text."""
        return self._https.context if self._https else None

    @property
    def service(self) -> str:
        """The service that the certificate of the process names; empty without one."""
        return self._name.service if self._name else ""

    def peer_service(self, context: AuthContext) -> str:
        """Return the service of this cluster that the peer of a connection is; empty for none."""
        found = service_of(context)
        if found is None or self._name is None or found.cluster != self._name.cluster:
            return ""
        return found.service

    def _changed(self) -> None:
        if self._https is not None:
            self._https.load()


def tls_of(settings: Settings, services: Collection[str], metrics: Metrics) -> ProcessTls:
    """Return the certificates that the settings name; raise StartError if they do not fit."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise StartError("FLOWMESH_TLS_CERT and FLOWMESH_TLS_KEY are a pair: set both, or none")
    if settings.tls_client_ca and not (settings.tls_cert or settings.certs):
        raise StartError("FLOWMESH_TLS_CLIENT_CA needs FLOWMESH_TLS_CERT or FLOWMESH_CERTS")
    try:
        files = CertificateFiles.in_folder(Path(settings.certs)) if settings.certs else None
        own = Watched(files) if files else None
        return ProcessTls(
            own=own,
            public=_public(settings, own) if GATEWAY in services else None,
            verifies_clients=bool(settings.tls_client_ca) and GATEWAY in services,
            services=services,
            metrics=metrics,
        )
    except (CertificateError, ssl.SSLError) as error:
        raise StartError(str(error)) from error


def _public(settings: Settings, own: Watched | None) -> Watched | None:
    """Return the certificate that clients of a gateway see."""
    client_ca = Path(settings.tls_client_ca) if settings.tls_client_ca else None
    if settings.tls_cert:
        pair = CertificateFiles(Path(settings.tls_cert), Path(settings.tls_key), client_ca)
        return Watched(pair)
    if own is None or client_ca is None:
        return own
    return Watched(CertificateFiles(own.files.certificate, own.files.key, client_ca))


def _service_name(own: Watched) -> ServiceName:
    found = [name for name in map(ServiceName.parse, own.now.names) if name]
    if len(found) != 1:
        text = "names no service; issue it with `flowmesh certs issue service`"
        raise CertificateError(f"{own.files.certificate} {text}")
    return found[0]
