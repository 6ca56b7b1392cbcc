"""Mutual TLS of the mesh: both sides prove their names with certificates of one authority.

A folder of `flowmesh certs issue service NAME --host NAME` holds the files of a service; changed
files are used by later connections. Use another authority than that of the suite.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from flowmesh.certificates import CertificateError, CertificateFiles, Watched, service_of
from flowmesh.errors import Invalid
from flowmesh.mesh.limits import CERTIFICATES_CHECKED_S
from flowmesh.runtime.tls.credentials import server_credentials


class MeshTls:
    """The certificate of a service, watched for changes."""

    def __init__(self, folder: Path | str) -> None:
        try:
            self._watched = Watched(CertificateFiles.in_folder(Path(folder)))
        except CertificateError as error:
            raise Invalid("ENDPOINT_INVALID", str(error)) from error
        self._checked_at = time.monotonic()

    @property
    def generation(self) -> int:
        """Count the certificates; connections of older ones are replaced."""
        now = time.monotonic()
        if now - self._checked_at > CERTIFICATES_CHECKED_S:
            self._checked_at = now
            # While files are being written, the former certificate stays in use.
            with suppress(CertificateError):
                self._watched.refresh()
        return self._watched.generation

    def channel_credentials(self) -> grpc.ChannelCredentials:
        now = self._watched.now
        return grpc.ssl_channel_credentials(now.authorities, now.key, now.chain)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask callers for a certificate of the same authority."""
        return server_credentials(_Refreshed(self), verifies=True)

    @property
    def watched(self) -> Watched:
        return self._watched


class _Refreshed:
    """The certificate with a look at its files at each handshake."""

    def __init__(self, tls: MeshTls) -> None:
        self._tls = tls

    @property
    def generation(self) -> int:
        return self._tls.generation

    @property
    def now(self) -> Any:
        return self._tls.watched.now


def caller_name(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """Return the service that a call comes from, by its certificate; empty without one."""
    found = service_of(context.auth_context())
    return found.service if found else ""
