"""Reasons for which answers of SAML providers do not count, and the second verifier."""

import base64
import copy
import datetime
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from flowmesh.saml import verifier
from flowmesh.saml.messages import Expected, LogoutRequest, Subject
from tests.features.logins.saml_provider import (
    AUDIENCE,
    DS,
    ISSUER,
    NS,
    SamlProvider,
    encoded,
    wrappings,
)

ACS = "https://flow.example/login/idp_1/acs"
REQUEST = etree.fromstring(f'<r ID="_1" AssertionConsumerServiceURL="{ACS}"/>')
verifier.prepare()


def expected_of(provider: SamlProvider, **more: Any) -> bytes:
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "address": ACS,
        "certificates": (provider.certificate,),
        "request_id": "_1",
    }
    return msgspec.json.encode(Expected(**{**settings, **more}))


def read(provider: SamlProvider, answer: Any, **more: Any) -> Subject:
    found = verifier.verified("response", expected_of(provider, **more), encoded(answer))
    return msgspec.json.decode(found, type=Subject)


def twisted(provider: SamlProvider, **changes: Any) -> SamlProvider:
    """Return a provider with the same key."""
    found = copy.copy(provider)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def answered(provider: SamlProvider) -> etree._Element:
    return provider.response(provider.assertion(REQUEST), REQUEST)


@pytest.fixture(scope="module")
def provider() -> SamlProvider:
    return SamlProvider()


@pytest.fixture(scope="module")
def wrapped(provider: SamlProvider) -> dict[str, etree._Element]:
    return wrappings(provider, REQUEST)


def test_both_verifiers_agree_about_an_answer(provider: SamlProvider) -> None:
    """A true one counts for both, one with a changed name for none."""
    answer = answered(provider)
    assert provider.agrees(answer)
    assert read(provider, answer).subject == "u-1"
    answer.find(".//{*}NameID").text = "evil"
    assert not provider.agrees(answer)
    with pytest.raises(verifier.Refused, match="Signature validation failed"):
        read(provider, answer)


@pytest.mark.parametrize("name", [*(f"XSW{each}" for each in range(1, 9)), "comment"])
def test_wrapped_answers_have_a_reason(
    provider: SamlProvider, wrapped: dict[str, etree._Element], name: str
) -> None:
    """The signature still is of the provider, and the assertion beside it is not."""
    reason = "comments" if name == "comment" else "must contain 1 assertion"
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, wrapped[name])


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        ({"audience": "another"}, "not a valid audience"),
        ({"issuer": "https://evil.example"}, "Invalid issuer"),
        ({"age_s": 3_600}, "expired"),
        ({"age_s": -3_600}, "not yet valid"),
        ({"signs_assertion": False}, "Assertion of the Response is not signed"),
        ({"signs_response": False}, "Message of the Response is not signed"),
        ({"signature": "rsa-sha1"}, "Deprecated signature algorithm"),
    ],
)
def test_false_answers_have_a_reason(
    provider: SamlProvider, twist: dict[str, Any], reason: str
) -> None:
    """Signed by the provider, but not for this service provider and now."""
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, answered(twisted(provider, **twist)))


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"request_id": "_2"}, "does not match the ID of the AuthNRequest"),
        ({"address": "https://flow.example/login/idp_2/acs"}, "received at"),
        ({"address": ACS[:-1]}, "another address"),
        ({"certificates": (SamlProvider().certificate,)}, "Signature validation failed"),
    ],
)
def test_answers_for_others_have_a_reason(
    provider: SamlProvider, expected: dict[str, Any], reason: str
) -> None:
    """Of another login, address or provider."""
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, answered(provider), **expected)


@pytest.mark.parametrize("lacks", ["InResponseTo", "Destination"])
def test_what_the_library_lets_pass_is_refused(provider: SamlProvider, lacks: str) -> None:
    """An answer that names no request or no address."""
    with pytest.raises(verifier.Refused):
        read(provider, answered(twisted(provider, without=lacks)))


def test_a_logout_request_that_inflates_beyond_its_bound_is_refused(
    provider: SamlProvider,
) -> None:
    """20 MiB of spaces in 20 KiB, signed by the provider."""
    bomb = base64.b64encode(zlib.compress(b" " * (20 << 20), 9)[2:-4]).decode()
    query = provider.logout_query(ACS, "u-1", SAMLRequest=bomb)
    with pytest.raises(verifier.Refused, match="too large"):
        verifier.verified("logout", expected_of(provider), query)


def logout(provider: SamlProvider, message: str, **more: Any) -> LogoutRequest:
    found = verifier.verified("logout", expected_of(provider, **more), message)
    return msgspec.json.decode(found, type=LogoutRequest)


def test_a_logout_request_names_a_user_and_sessions(provider: SamlProvider) -> None:
    """In the query of a redirect, and in the field of a form."""
    for message in (provider.logout_query(ACS, "u-1"), provider.logout_field(ACS, "u-1")):
        found = logout(provider, message)
        assert (found.subject, found.sessions) == ("u-1", ["s-1"])
        assert found.id.startswith("_l")


def changed(provider: SamlProvider, change: Callable[[etree._Element], object]) -> str:
    """Return the field of a form whose message was changed after the signature."""
    root = etree.fromstring(base64.b64decode(provider.logout_field(ACS, "u-1")))
    change(root)
    return encoded(root)


def without_signature(root: etree._Element) -> None:
    root.remove(root.find("{*}Signature"))


def with_a_wrapped_signature(root: etree._Element) -> None:
    root.find("{*}NameID").append(root.find("{*}Signature"))


def with_another_name(root: etree._Element) -> None:
    root.find("{*}NameID").text = "evil"


def with_another_reference(root: etree._Element) -> None:
    root.set("ID", "_other")


def with_a_weak_algorithm(root: etree._Element) -> None:
    root.find(".//{*}SignatureMethod").set("Algorithm", f"{DS}rsa-sha1")


def without_an_algorithm(root: etree._Element) -> None:
    method = root.find(".//{*}SignatureMethod")
    method.getparent().remove(method)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_signature, "not exactly one signature of the logout request"),
        (with_a_wrapped_signature, "the signature is not of the logout request"),
        (with_another_reference, "the signature is not of the logout request"),
        (with_a_weak_algorithm, "not signed, or with a weak algorithm"),
        (without_an_algorithm, "not signed, or with a weak algorithm"),
        (with_another_name, "not of a certificate of the provider"),
    ],
)
def test_a_form_that_was_changed_is_refused(
    provider: SamlProvider, change: Callable[[etree._Element], object], reason: str
) -> None:
    """The signature has to be of the root, and by a strong algorithm."""
    with pytest.raises(verifier.Refused, match=reason):
        logout(provider, changed(provider, change))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda query: f"{query}&RelayState=r-2", "a parameter twice"),
        (lambda query: query.replace("rsa-sha256", "rsa-sha1"), "weak algorithm"),
        (lambda query: query.replace("RelayState=r-1", "RelayState=r-2"), "not of a certificate"),
        (lambda query: query.partition("&Signature")[0], "not of a certificate"),
    ],
)
def test_a_redirect_that_was_changed_is_refused(
    provider: SamlProvider, change: Callable[[str], str], reason: str
) -> None:
    """The signature is of the text of the query."""
    with pytest.raises(verifier.Refused, match=reason):
        logout(provider, change(provider.logout_query(ACS, "u-1")))


@pytest.mark.parametrize(
    ("twist", "expected", "reason"),
    [
        ({"issuer": "https://evil.example"}, {}, "of another issuer"),
        ({}, {"address": f"{ACS}/other"}, "for another address"),
        ({"age_s": 3_600}, {}, "the logout request has expired"),
        ({"age_s": -3_600}, {}, "the logout request has expired"),
    ],
)
def test_a_logout_request_of_others_is_refused(
    provider: SamlProvider, twist: dict[str, Any], expected: dict[str, Any], reason: str
) -> None:
    """Signed by the provider, but not for this service provider and now."""
    signer = twisted(provider, **twist)
    with pytest.raises(verifier.Refused, match=reason):
        logout(provider, signer.logout_query(ACS, "u-1"), **expected)


def packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)[2:-4]).decode()


def test_a_message_of_another_kind_ends_no_sessions(provider: SamlProvider) -> None:
    """Although it is signed."""
    query = provider.logout_query(ACS, "u-1", SAMLRequest=packed("<a/>"))
    with pytest.raises(verifier.Refused, match="no logout request"):
        logout(provider, query)


def test_a_key_that_is_no_rsa_key_signs_nothing(provider: SamlProvider) -> None:
    """A provider may have several certificates; one of them is of the signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    other = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    query = provider.logout_query(ACS, "u-1")
    with pytest.raises(verifier.Refused, match="not of a certificate of the provider"):
        logout(provider, query, certificates=(other,))
    assert logout(provider, query, certificates=(other, provider.certificate)).subject == "u-1"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("%%%", "not base64"),
        (encoded(b" " * (verifier.MESSAGE_BYTES_MAX + 1)), "more than 262,144 bytes"),
        (encoded(b"<!DOCTYPE a><a/>"), "comments, a document type"),
        (encoded(b"<a><?evil?></a>"), "processing instructions"),
        (encoded(b"<?xml version='1.0' encoding='utf-8'?><?evil?><a/>"), "processing instructions"),
        (encoded("<!DOCTYPE a><a/>".encode("utf-16")), "not XML in UTF-8"),
        (encoded("<!DOCTYPE a><a/>".encode("utf-16-le")), "not XML in UTF-8"),
        (encoded("<?xml version='1.0'?><!DOCTYPE a><a/>".encode("cp037")), "not XML in UTF-8"),
        (encoded(b"<?xml version='1.0' encoding = 'utf-7'?>+ADwAIQ-"), "not XML in UTF-8"),
        (encoded(b"<a"), "the message is not valid: "),
    ],
)
def test_malformed_messages_have_a_reason(
    provider: SamlProvider, message: str, reason: str
) -> None:
    """An answer and a posted logout request are read by the same rules."""
    for kind in ("response", "logout"):
        with pytest.raises(verifier.Refused, match=reason):
            verifier.verified(kind, expected_of(provider), message)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("InResponseTo", "InReplyTo", "expired, or is for another login"),
        ("Recipient=", "Receiver=", "expired, or is for another login"),
    ],
)
def test_a_confirmation_of_another_login_is_refused(
    provider: SamlProvider, before: str, after: str, reason: str
) -> None:
    """The check here stands by itself, beside that of the library."""
    answer = answered(provider)
    text = etree.tostring(answer.find("a:Assertion", NS)).decode()
    assertion = etree.fromstring(text.replace(before, after))
    wanted = msgspec.json.decode(expected_of(provider), type=Expected)
    with pytest.raises(verifier.Refused, match=reason):
        verifier._check_addressed(wanted, answer, assertion)


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"\xef\xbb\xbf",
        b"<?xml version='1.0'?>\n",
        b'<?xml version="1.0" encoding = "UTF-8" ?>',
    ],
)
def test_openings_of_messages_in_utf_8(provider: SamlProvider, opening: bytes) -> None:
    """The mark and the declaration may be there; what is refused here is the message itself."""
    with pytest.raises(verifier.Refused, match="exactly one signature of the logout"):
        verifier.verified("logout", expected_of(provider), encoded(opening + b"<a/>"))
