"""A SAML provider of tests: signs answers with signxml, and wraps them as attackers do."""

import base64
import copy
import datetime
import re
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.exceptions import InvalidInput, InvalidSignature
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ISSUER, AUDIENCE = "https://idp.corp.example/saml", "flowmesh"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
NS = {"p": SAMLP, "a": SAML, "ds": DS}
_HOLE = f'<ds:Signature xmlns:ds="{DS}" Id="placeholder"/>'


@dataclass
class SamlProvider:
    """One user, and the parts of its answers that a test can falsify."""

    user: str = "u-1"
    issuer: str = ISSUER
    audience: str = AUDIENCE
    groups: list[str] = field(default_factory=lambda: ["staff", "builders"])
    age_s: int = 0
    signature: str = "rsa-sha256"
    signs_assertion: bool = True
    signs_response: bool = True
    # An attribute that answers lack.
    without: str = ""

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(name, name, self.key.public_key(), 1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        self.certificate = (
            made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        )

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "name": "Corp",
            "kind": "saml",
            "issuer": ISSUER,
            "clientId": AUDIENCE,
            "ssoUrl": "https://idp.corp.example/sso",
            "sloUrl": "https://idp.corp.example/slo",
            "certificates": [self.certificate],
            "rules": [
                {"claim": "groups", "equals": "staff", "role": "viewer"},
                {"claim": "groups", "equals": "builders", "role": "editor"},
            ],
            **more,
        }

    def _time(self, seconds: int) -> str:
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds - self.age_s)
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"

    def assertion(self, request: etree._Element, user: str = "") -> etree._Element:
        """Return an assertion for a request, signed if the provider does so."""
        acs, id = request.get("AssertionConsumerServiceURL"), request.get("ID")
        user = user or self.user
        groups = "".join(f"<a:AttributeValue>{each}</a:AttributeValue>" for each in self.groups)
        text = f"""<a:Assertion xmlns:a="{SAML}" ID="_a{id}" Version="2.0"
  IssueInstant="{self._time(0)}"><a:Issuer>{self.issuer}</a:Issuer>{_HOLE}<a:Subject>
  <a:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{user}</a:NameID>
  <a:SubjectConfirmation Method="{BEARER}"><a:SubjectConfirmationData
  NotOnOrAfter="{self._time(300)}" Recipient="{acs}" InResponseTo="{id}"/>
  </a:SubjectConfirmation></a:Subject><a:Conditions NotBefore="{self._time(-30)}"
  NotOnOrAfter="{self._time(300)}"><a:AudienceRestriction><a:Audience>{self.audience}</a:Audience>
  </a:AudienceRestriction></a:Conditions><a:AuthnStatement AuthnInstant="{self._time(0)}"
  SessionIndex="s-1"><a:AuthnContext><a:AuthnContextClassRef>password</a:AuthnContextClassRef>
  </a:AuthnContext></a:AuthnStatement><a:AttributeStatement><a:Attribute Name="email">
  <a:AttributeValue>{user}@corp.example</a:AttributeValue></a:Attribute><a:Attribute Name="name">
  <a:AttributeValue>Ada</a:AttributeValue></a:Attribute>
  <a:Attribute Name="groups">{groups}</a:Attribute></a:AttributeStatement></a:Assertion>"""
        return self._signed(text, self.signs_assertion)

    def response(self, assertion: etree._Element, request: etree._Element) -> etree._Element:
        """Return an answer with an assertion, signed if the provider does so."""
        acs, id = request.get("AssertionConsumerServiceURL"), request.get("ID")
        inner = etree.tostring(assertion).decode()
        text = f"""<p:Response xmlns:p="{SAMLP}" xmlns:a="{SAML}" ID="_r{id}" Version="2.0"
  IssueInstant="{self._time(0)}" Destination="{acs}" InResponseTo="{id}"><a:Issuer>{self.issuer}
</a:Issuer>{_HOLE}<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>
  </p:Status>{inner}</p:Response>""".replace(f"{self.issuer}\n", self.issuer)
        text = re.sub(f' {self.without}="[^"]*"', "", text, count=1) if self.without else text
        return self._signed(text, self.signs_response)

    def _signed(self, text: str, signs: bool) -> etree._Element:
        if not signs:
            return etree.fromstring(text.replace(_HOLE, ""))
        root = etree.fromstring(text)
        signer = WeakSigner(
            signature_algorithm=self.signature,
            digest_algorithm=self.signature.removeprefix("rsa-"),
            c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
        )
        made = signer.sign(root, key=self.key, cert=self.certificate, reference_uri=root.get("ID"))
        return etree.fromstring(etree.tostring(made))

    def agrees(self, answer: etree._Element) -> bool:
        """Return whether signxml finds the root signed by this provider."""
        try:
            found = XMLVerifier().verify(
                etree.tostring(answer),
                x509_cert=self.certificate,
                id_attribute="ID",
                expect_config=SignatureConfiguration(location="./"),
            )
        except (InvalidInput, InvalidSignature):
            return False
        found = found[0] if isinstance(found, list) else found
        signed = found.signed_xml
        return signed is not None and bool(signed.get("ID") == answer.get("ID"))

    def logout_query(self, address: str, subject: str, **more: str) -> str:
        """Return the query of a signed redirect that ends the sessions of a user."""
        packed = base64.b64encode(zlib.compress(self._logout(address, subject).encode(), 9)[2:-4])
        values = {"SAMLRequest": packed.decode(), "RelayState": "r-1", "SigAlg": RSA_SHA256, **more}
        signed = urlencode(values)
        made = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}&Signature={quote(base64.b64encode(made).decode(), safe='')}"

    def logout_field(self, address: str, subject: str) -> str:
        """Return the field of a form that does so, signed inside."""
        return encoded(self._signed(self._logout(address, subject, _HOLE), True))

    def _logout(self, address: str, subject: str, hole: str = "") -> str:
        return (
            f'<p:LogoutRequest xmlns:p="{SAMLP}" xmlns:a="{SAML}" ID="_l{self._time(0)}{len(hole)}"'
            f' Version="2.0" IssueInstant="{self._time(0)}" Destination="{address}"><a:Issuer>'
            f"{self.issuer}</a:Issuer>{hole}<a:NameID>{subject}</a:NameID>"
            "<p:SessionIndex>s-1</p:SessionIndex></p:LogoutRequest>"
        )


class WeakSigner(XMLSigner):
    """Signs with SHA-1, as old providers do."""

    def check_deprecated_methods(self) -> None:
        """Accept them."""


def encoded(message: etree._Element | bytes) -> str:
    text = message if isinstance(message, bytes) else etree.tostring(message)
    return base64.b64encode(text).decode()


def request_of(location: str) -> tuple[etree._Element, str]:
    """Return the login request of a redirect, and its relay state."""
    query = parse_qs(urlsplit(location).query)
    text = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15)
    return etree.fromstring(text), query["RelayState"][0]


def _evil(provider: SamlProvider, request: etree._Element) -> etree._Element:
    """Return an unsigned assertion of another user with more rights."""
    evil = copy.copy(provider)
    evil.user, evil.signs_assertion = "evil", False
    made = evil.assertion(request)
    made.set("ID", "_evil")
    return made


def _wrapped(
    provider: SamlProvider, request: etree._Element, number: int
) -> tuple[etree._Element, etree._Element, etree._Element]:
    """Return a signed answer, its assertion, and a forged assertion."""
    answer = provider.response(provider.assertion(request), request)
    assertion = answer.find("a:Assertion", NS)
    assert assertion is not None
    return answer, assertion, _evil(provider, request)


def wrappings(provider: SamlProvider, request: etree._Element) -> dict[str, etree._Element]:
    """Return the eight wrappings of Somorovsky et al. (2012), and a comment in a name."""
    return {
        **{f"XSW{each}": _of_response(provider, request, each) for each in (1, 2)},
        **{f"XSW{each}": _of_assertion(provider, request, each) for each in range(3, 9)},
        "comment": _commented(provider, request),
    }


def _of_response(provider: SamlProvider, request: etree._Element, number: int) -> etree._Element:
    """Return a forged response around the signed one: inside of its signature, or before it."""
    answer, _, evil = _wrapped(provider, request, number)
    forged = copy.deepcopy(answer)
    forged.set("ID", "_forged")
    forged.replace(forged.find("a:Assertion", NS), evil)
    signature = forged.find("ds:Signature", NS)
    original = copy.deepcopy(answer)
    original.remove(original.find("ds:Signature", NS))
    if number == 1:
        signature.append(_object(original))
    else:
        signature.addprevious(original)
    return forged


def _of_assertion(provider: SamlProvider, request: etree._Element, number: int) -> etree._Element:
    """Return the signed assertion beside, in or around a forged one."""
    provider = copy.copy(provider)
    answer, assertion, evil = _wrapped(provider, request, number)
    original = copy.deepcopy(assertion)
    signature = assertion.find("ds:Signature", NS)
    if number == 3:
        assertion.addprevious(evil)
    elif number == 4:
        answer.replace(assertion, evil)
        evil.append(original)
    elif number == 5:
        assertion.set("ID", "_evil")
        assertion.find("a:Subject/a:NameID", NS).text = "evil"
        original.remove(original.find("ds:Signature", NS))
        answer.append(original)
    elif number == 6:
        assertion.set("ID", "_evil")
        assertion.find("a:Subject/a:NameID", NS).text = "evil"
        original.remove(original.find("ds:Signature", NS))
        signature.append(_object(original))
    elif number == 7:
        extensions = etree.Element(f"{{{SAMLP}}}Extensions")
        extensions.append(evil)
        answer.find("p:Status", NS).addprevious(extensions)
    else:
        assertion.find("a:Subject/a:NameID", NS).text = "evil"
        assertion.set("ID", "_evil")
        original.remove(original.find("ds:Signature", NS))
        signature.append(_object(original))
        answer.remove(answer.find("ds:Signature", NS))
    return answer


def _commented(provider: SamlProvider, request: etree._Element) -> etree._Element:
    """Return an answer whose name is divided by a comment, which no signature covers."""
    answer = provider.response(provider.assertion(request), request)
    name = answer.find(".//a:NameID", NS)
    text = name.text
    name.text = text[:2]
    name.append(etree.Comment(" "))
    name[0].tail = text[2:]
    return answer


def _object(content: etree._Element) -> etree._Element:
    made = etree.Element(f"{{{DS}}}Object")
    made.append(content)
    return made
