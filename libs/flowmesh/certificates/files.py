"""The files of a certificate: chain, key and the certificates of its authorities, as PEM.

A folder of a certificate holds `cert.pem`, `key.pem` (mode 0600) and `ca.pem`. The folder of an
authority holds `ca.pem` and `ca-key.pem` (mode 0600), and one folder for each certificate that it
has issued.
"""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from flowmesh.certificates.errors import CertificateError

AUTHORITY = "ca.pem"
AUTHORITY_KEY = "ca-key.pem"
CERTIFICATE = "cert.pem"
KEY = "key.pem"
FILE_BYTES_MAX = 1024 * 1024
PRIVATE_MODE = stat.S_IRUSR | stat.S_IWUSR
PUBLIC_MODE = PRIVATE_MODE | stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key and the authorities that its holder trusts, as PEM."""

    chain: bytes
    key: bytes
    authorities: bytes
    leaf: x509.Certificate

    @property
    def expires(self) -> datetime:
        return self.leaf.not_valid_after_utc

    @property
    def renewal(self) -> datetime:
        """The middle of its life, when a new one is due."""
        begins = self.leaf.not_valid_before_utc
        return begins + (self.expires - begins) / 2

    @property
    def names(self) -> list[str]:
        """Its names: URIs, DNS names and IP addresses."""
        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return []
        return [str(name.value) for name in found.value]

    def is_due(self, now: datetime | None = None) -> bool:
        """Return whether half of its life is over."""
        return (now or datetime.now(UTC)) >= self.renewal


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The places of a certificate; `authorities` is None where the holder verifies no peers."""

    certificate: Path
    key: Path
    authorities: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> "CertificateFiles":
        return cls(folder / CERTIFICATE, folder / KEY, folder / AUTHORITY)

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Return a value that changes when a file does; zeros for a missing one."""
        paths = (self.certificate, self.key, self.authorities)
        return tuple(_stamp(path) for path in paths if path is not None)

    def read(self) -> Certificate:
        """Return the certificate; raise CertificateError if the files do not fit together."""
        chain, key = read(self.certificate), read_private(self.key)
        authorities = read(self.authorities) if self.authorities else b""
        leaf = loaded(self.certificate, chain)[0]
        if self.authorities is not None:
            loaded(self.authorities, authorities)
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(f"{self.key} holds no unencrypted private key") from error
        if _public_bytes(private.public_key()) != _public_bytes(leaf.public_key()):
            raise CertificateError(f"{self.key} is not the key of {self.certificate}")
        return Certificate(chain, key, authorities, leaf)

    def write(self, certificate: Certificate) -> None:
        """Replace the files, each at once; readers see that a half-written pair does not fit."""
        self.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.key, certificate.key, PRIVATE_MODE)
        write(self.certificate, certificate.chain, PUBLIC_MODE)
        if self.authorities is not None:
            write(self.authorities, certificate.authorities, PUBLIC_MODE)


def has_authority(folder: Path) -> bool:
    """Return whether a folder is that of an authority, with its key."""
    return (folder / AUTHORITY_KEY).exists()


def authority_of(folder: Path) -> Path | None:
    """Return the folder of the authority that a certificate's folder is in; None without one."""
    parent = folder.absolute().parent
    return parent if has_authority(parent) else None


def loaded(path: Path, content: bytes) -> list[x509.Certificate]:
    """Return the certificates of a file."""
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM") from error


def read(path: Path) -> bytes:
    """Return the content of a file of certificates."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CertificateError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise CertificateError(f"{path} has more than {FILE_BYTES_MAX:,} bytes")
    return content


def read_private(path: Path) -> bytes:
    """Return the content of a key file that only its owner can read."""
    content = read(path)
    found = path.stat()
    # A secret that Kubernetes mounts belongs to root, and its pod reads it as a member of a group.
    own = found.st_uid == os.geteuid()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO if own else stat.S_IRWXO):
        raise CertificateError(f"other users can read {path}: chmod 600 it")
    return content


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        draft.replace(path)
    except OSError as error:
        raise CertificateError(f"cannot write {path}: {error.strerror}") from error


def _public_bytes(key: object) -> bytes:
    exported: bytes = key.public_bytes(  # type: ignore[attr-defined]  # any kind of public key
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return exported


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
