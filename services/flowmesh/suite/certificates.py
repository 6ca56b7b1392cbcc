"""Certificates of the processes on this machine, by an authority in a folder of the suite."""

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from flowmesh.certificates import Authority, CertificateError, Request, has_authority, issue
from flowmesh.certificates.names import host_names
from flowmesh.runtime import Settings, StartError
from flowmesh.suite.processes import Member

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = ("0.0.0.0", "::")


class SuiteCertificates:
    """Issues certificates; each process renews its own, because the authority is beside it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder.absolute()
        self._hosts = tuple(_hosts(settings))
        try:
            found = has_authority(self._folder)
            make = Authority.open if found else Authority.create
            self._authority = make(self._folder)
        except CertificateError as error:
            raise StartError(str(error)) from error

    @property
    def authority(self) -> Path:
        """The file of the certificate that clients of the suite trust."""
        return self._folder / "ca.pem"

    def issue(self, name: str, service: str) -> str:
        """Issue the certificate of a process and return its folder."""
        folder = self._folder / name
        try:
            issue(self._authority, Request("service", service, self._hosts), folder)
        except CertificateError as error:
            raise StartError(str(error)) from error
        return str(folder)

    def of_members(self, members: Sequence[Member]) -> list[Member]:
        """Return the processes with the folders of their certificates."""
        return [
            replace(member, certs=self.issue(member.name, member.service)) for member in members
        ]


def _hosts(settings: Settings) -> list[str]:
    """Return the names by which processes of this machine are reached."""
    found = [*LOCAL_HOSTS, *(name for name in settings.allowed_hosts if name != "*")]
    found += [name for name in (urlsplit(settings.public_url).hostname,) if name]
    if settings.host not in ANY_ADDRESS:
        found.append(settings.host)
    # The name of a machine may have characters that a certificate cannot have.
    with contextlib.suppress(CertificateError):
        host_names([socket.gethostname()])
        found.append(socket.gethostname())
    return found
