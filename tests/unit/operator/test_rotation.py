"""The certificate of the webhook: made, renewed, and exchanged with its authority."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from flowmesh.operator import rotation
from flowmesh.operator.limits import AUTHORITY_DAYS, BUNDLE_SETTLES_S, CERTIFICATE_DAYS

HOSTS = ("flowmesh-webhook.system.svc",)
SETTLED = timedelta(seconds=BUNDLE_SETTLES_S)


def renewed(content: Mapping[str, bytes], after: timedelta) -> rotation.Content | None:
    return rotation.renewed(content, HOSTS, datetime.now(UTC) + after)


def authorities(content: rotation.Content) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(content[rotation.BUNDLE])


def trusts(content: rotation.Content, leaf: bytes) -> bool:
    """Return whether a certificate is of an authority of the bundle."""
    found = x509.load_pem_x509_certificate(leaf)
    for each in authorities(content):
        try:
            found.verify_directly_issued_by(each)
        except (ValueError, InvalidSignature):
            continue
        return True
    return False


@pytest.fixture
def made() -> rotation.Content:
    """The content of a new Secret."""
    content = renewed({}, timedelta())
    assert content is not None
    return content


def test_nothing_is_due_at_first(made: rotation.Content) -> None:
    """The certificate is for the Service, and lasts ninety days."""
    assert renewed(made, timedelta(days=1)) is None
    assert trusts(made, made[rotation.CERTIFICATE])
    assert round(rotation.days_left(made, datetime.now(UTC))) == CERTIFICATE_DAYS


def test_a_certificate_is_renewed_after_two_thirds(made: rotation.Content) -> None:
    """By the same authority."""
    assert renewed(made, timedelta(days=CERTIFICATE_DAYS * 2 / 3 - 1)) is None
    after = renewed(made, timedelta(days=CERTIFICATE_DAYS * 2 / 3 + 1))
    assert after is not None
    assert after[rotation.CERTIFICATE] != made[rotation.CERTIFICATE]
    assert after[rotation.BUNDLE] == made[rotation.BUNDLE]


def test_a_new_authority_joins_before_it_signs(made: rotation.Content) -> None:
    """What the API servers trust and what the webhook shows fit at every moment."""
    aged = timedelta(days=AUTHORITY_DAYS * 2 / 3 + 1)
    joined = renewed(made, aged)
    assert joined is not None
    assert len(authorities(joined)) == 2
    names = {each.subject.rfc4514_string() for each in authorities(joined)}
    assert len(names) == 2, "two authorities of one name fail the verification"
    assert joined[rotation.CERTIFICATE] == made[rotation.CERTIFICATE]
    assert renewed(joined, aged + SETTLED / 2) is None
    signed = renewed(joined, aged + SETTLED)
    assert signed is not None
    assert signed[rotation.CERTIFICATE] != made[rotation.CERTIFICATE]
    assert trusts(signed, signed[rotation.CERTIFICATE])
    assert trusts(signed, made[rotation.CERTIFICATE]), "a replica may still show the old one"
    left = renewed(signed, timedelta(days=AUTHORITY_DAYS + 1))
    assert left is not None


@pytest.mark.parametrize("value", [b"", b"spoiled"])
@pytest.mark.parametrize(
    "name", [rotation.BUNDLE, rotation.AUTHORITY_KEY, rotation.CERTIFICATE, rotation.KEY]
)
def test_an_emptied_or_spoiled_secret_is_made_again(
    made: rotation.Content, name: str, value: bytes
) -> None:
    """Whole, since nothing of the rest can be trusted to fit."""
    after = renewed({**made, name: value}, timedelta())
    assert after is not None
    assert trusts(after, after[rotation.CERTIFICATE])
    assert after[rotation.BUNDLE] != made[rotation.BUNDLE]


@pytest.mark.parametrize("name", [rotation.BUNDLE, rotation.AUTHORITY_KEY, rotation.KEY])
def test_a_secret_whose_key_is_not_that_of_its_certificate_is_made_again(
    made: rotation.Content, name: str
) -> None:
    """What is signed by such a pair, or shown with it, is trusted by no API server."""
    other = renewed({}, timedelta()) or {}
    after = renewed({**made, name: other[name]}, timedelta())
    assert after is not None
    assert trusts(after, after[rotation.CERTIFICATE])
    assert renewed(after, timedelta(days=1)) is None


def test_an_authority_that_has_ended_leaves_the_bundle(made: rotation.Content) -> None:
    """Once the newest one has signed."""
    aged = timedelta(days=AUTHORITY_DAYS * 2 / 3 + 1)
    joined = renewed(made, aged) or {}
    signed = renewed(joined, aged + SETTLED) or {}
    ended = timedelta(days=AUTHORITY_DAYS + 1)
    leaf = renewed(signed, ended) or {}
    left = renewed(leaf, ended)
    assert left is not None
    assert authorities(left) == authorities(signed)[:1]
    assert trusts(left, left[rotation.CERTIFICATE])
