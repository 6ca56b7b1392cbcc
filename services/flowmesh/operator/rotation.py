"""The certificate of the webhook and its authority, and when each is exchanged. Pure.

An API server that trusts the old authority only would refuse a certificate of the new one, so the
new authority joins the bundle first, and signs once every API server has read it.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from flowmesh.certificates.authority import Authority, Request
from flowmesh.operator.limits import AUTHORITY_DAYS, BUNDLE_SETTLES_S, CERTIFICATE_DAYS

BUNDLE, AUTHORITY_KEY = "ca.crt", "ca.key"
CERTIFICATE, KEY = "tls.crt", "tls.key"
SINCE = "bundle-since"
"""The time at which the newest authority joined the bundle, ISO 8601."""

Content = Mapping[str, bytes]
"""The data of the Secret."""


def renewed(content: Content, hosts: Sequence[str], now: datetime) -> Content | None:
    """Return the next content of the Secret, or None if nothing is due."""
    if not _is_whole(content):
        return _issued(_new_authority({}, now), hosts, now)
    authorities = x509.load_pem_x509_certificates(content[BUNDLE])
    if _aged(authorities[0], now):
        return _new_authority(content, now)
    leaf = x509.load_pem_x509_certificate(content[CERTIFICATE])
    settled = now - datetime.fromisoformat(content[SINCE].decode()) >= timedelta(
        seconds=BUNDLE_SETTLES_S
    )
    authority = Authority.of_pem(content[BUNDLE], content[AUTHORITY_KEY])
    due = _aged(leaf, now) or not authority.issued(leaf) or _hosts(leaf) != set(hosts)
    if due and settled:
        return _issued(content, hosts, now)
    living = [each for each in authorities if each.not_valid_after_utc > now]
    if len(living) < len(authorities):
        return {**content, BUNDLE: _pem(living)}
    return None


def days_left(content: Content, now: datetime) -> float:
    """Return the days until the certificate of the webhook ends."""
    leaf = x509.load_pem_x509_certificate(content[CERTIFICATE])
    return (leaf.not_valid_after_utc - now) / timedelta(days=1)


def _is_whole(content: Content) -> bool:
    """Return whether nothing of the Secret was emptied, spoiled or exchanged alone."""
    if not all(content.get(name) for name in (BUNDLE, AUTHORITY_KEY, CERTIFICATE, KEY, SINCE)):
        return False
    try:
        authority = Authority.of_pem(content[BUNDLE], content[AUTHORITY_KEY])
        datetime.fromisoformat(content[SINCE].decode())
        return _fits(authority.pem, content[AUTHORITY_KEY]) and _fits(
            content[CERTIFICATE], content[KEY]
        )
    except (ValueError, TypeError, IndexError, AssertionError):
        return False


def _fits(certificate: bytes, key: bytes) -> bool:
    """Return whether a private key is that of a certificate."""
    public = load_pem_private_key(key, password=None).public_key()
    return x509.load_pem_x509_certificate(certificate).public_key() == public


def _new_authority(content: Content, now: datetime) -> Content:
    """Put a new authority before the older ones; each has a name of its own.

    Two authorities with one name in a bundle would fail the verification.
    """
    life = timedelta(days=AUTHORITY_DAYS)
    made = Authority.generate(f"webhook-{secrets.token_hex(6)}", life, now=now)
    return {
        **content,
        BUNDLE: made.pem + content.get(BUNDLE, b""),
        AUTHORITY_KEY: made.key_pem,
        SINCE: now.isoformat().encode(),
    }


def _issued(content: Content, hosts: Sequence[str], now: datetime) -> Content:
    authority = Authority.of_pem(content[BUNDLE], content[AUTHORITY_KEY])
    life = timedelta(days=CERTIFICATE_DAYS)
    issued = authority.issue(Request("server", "webhook", tuple(hosts), life), now=now)
    return {**content, CERTIFICATE: issued.chain, KEY: issued.key}


def _aged(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether two thirds of the life of a certificate are over."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begins + (ends - begins) * 2 / 3


def _hosts(leaf: x509.Certificate) -> set[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in names}


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
