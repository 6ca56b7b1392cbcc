"""Reasons for which answers of SAML providers do not count, and the second verifier."""

import base64
import zlib
from typing import Any

import msgspec
import pytest
from lxml import etree

from flowmesh.saml import verifier
from flowmesh.saml.messages import Expected, Subject
from tests.features.logins.saml_provider import (
    AUDIENCE,
    ISSUER,
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


def answered(provider: SamlProvider) -> etree._Element:
    return provider.response(provider.assertion(REQUEST), REQUEST)


def test_both_verifiers_agree_about_an_answer() -> None:
    """A true one counts for both, one with a changed name for none."""
    provider = SamlProvider()
    answer = answered(provider)
    assert provider.agrees(answer)
    assert read(provider, answer).subject == "u-1"
    answer.find(".//{*}NameID").text = "evil"
    assert not provider.agrees(answer)
    with pytest.raises(verifier.Refused, match="Signature validation failed"):
        read(provider, answer)


@pytest.mark.parametrize("name", [*(f"XSW{each}" for each in range(1, 9)), "comment"])
def test_wrapped_answers_have_a_reason(name: str) -> None:
    """The signature still is of the provider, and the assertion beside it is not."""
    provider = SamlProvider()
    reason = "comments" if name == "comment" else "must contain 1 assertion"
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, wrappings(provider, REQUEST)[name])


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
def test_false_answers_have_a_reason(twist: dict[str, Any], reason: str) -> None:
    """Signed by the provider, but not for this service provider and now."""
    provider = SamlProvider(**twist)
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, answered(provider))


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"request_id": "_2"}, "does not match the ID of the AuthNRequest"),
        ({"address": "https://flow.example/login/idp_2/acs"}, "received at"),
        ({"address": ACS[:-1]}, "another address"),
        ({"certificates": (SamlProvider().certificate,)}, "Signature validation failed"),
    ],
)
def test_answers_for_others_have_a_reason(expected: dict[str, Any], reason: str) -> None:
    """Of another login, address or provider."""
    provider = SamlProvider()
    with pytest.raises(verifier.Refused, match=reason):
        read(provider, answered(provider), **expected)


@pytest.mark.parametrize("lacks", ["InResponseTo", "Destination"])
def test_what_the_library_lets_pass_is_refused(lacks: str) -> None:
    """An answer that names no request or no address."""
    provider = SamlProvider()
    provider.without = lacks
    with pytest.raises(verifier.Refused):
        read(provider, answered(provider))


def test_a_logout_request_that_inflates_beyond_its_bound_is_refused() -> None:
    """20 MiB of spaces in 20 KiB, signed by the provider."""
    provider = SamlProvider()
    bomb = base64.b64encode(zlib.compress(b" " * (20 << 20), 9)[2:-4]).decode()
    query = provider.logout_query(ACS, "u-1", SAMLRequest=bomb)
    with pytest.raises(verifier.Refused, match="too large"):
        verifier.verified("logout", expected_of(provider), query)
