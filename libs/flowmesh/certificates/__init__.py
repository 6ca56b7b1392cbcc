"""Certificates of an installation: its own authority, the files of each, and their reloading."""

from flowmesh.certificates.authority import Authority, Request
from flowmesh.certificates.errors import CertificateError
from flowmesh.certificates.files import Certificate, CertificateFiles, authority_of, has_authority
from flowmesh.certificates.names import ServiceName, service_of
from flowmesh.certificates.renewal import issue, issued, renew, renew_own
from flowmesh.certificates.watched import Watched

__all__ = [
    "Authority",
    "Certificate",
    "CertificateError",
    "CertificateFiles",
    "Request",
    "ServiceName",
    "Watched",
    "authority_of",
    "has_authority",
    "issue",
    "issued",
    "renew",
    "renew_own",
    "service_of",
]
