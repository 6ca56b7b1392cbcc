"""Renewal of certificates in their files, by the authority that issued them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowmesh.certificates.authority import Authority, Request
from flowmesh.certificates.errors import CertificateError
from flowmesh.certificates.files import CERTIFICATE, PRIVATE_MODE, CertificateFiles, authority_of


def issue(authority: Authority, request: Request, folder: Path) -> CertificateFiles:
    """Write a new certificate into a folder, in place of an older one."""
    files = CertificateFiles.in_folder(folder)
    made = authority.issue(request)
    with _locked(folder):
        files.write(made)
    return files


def renew(authority: Authority, folder: Path, *, force: bool = False) -> bool:
    """Renew the certificate of a folder if half of its life is over; return whether it was."""
    files = CertificateFiles.in_folder(folder)
    with _locked(folder):
        found = files.read()
        if not (force or found.is_due()):
            return False
        files.write(authority.renewed(found))
    return True


def renew_own(files: CertificateFiles) -> bool:
    """Renew a certificate if its authority is in the folder above that of its files."""
    folder = files.certificate.parent
    place = authority_of(folder) if files.certificate.name == CERTIFICATE else None
    return place is not None and renew(Authority.open(place), folder)


def issued(folder: Path) -> list[Path]:
    """Return the folders of the certificates that an authority has issued, by name."""
    return sorted(path.parent for path in folder.glob(f"*/{CERTIFICATE}"))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for other writers of a folder: they would leave a key beside another's certificate."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    except OSError as error:
        raise CertificateError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
