"""Verify the answers and logout requests of a SAML provider with python3-saml (extra `saml`).

The library is stricter about signatures than about what may be missing, so the settings of a login
are compared with the verified message here once more. Only RSA with SHA-256 or better counts.
"""

import base64
import binascii
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree
from onelogin import saml2
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils as Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from flowmesh.saml.messages import Expected, LogoutRequest, Subject

MESSAGE_BYTES_MAX = 256 << 10
SKEW = timedelta(seconds=60)
# Of a logout request without `NotOnOrAfter`.
LOGOUT_KEPT = timedelta(minutes=5)
_NS = {"p": Names.NS_SAMLP, "a": Names.NS_SAML, "ds": Names.NS_DS}
_SIGNATURES = {
    Names.RSA_SHA256: hashes.SHA256(),
    Names.RSA_SHA384: hashes.SHA384(),
    Names.RSA_SHA512: hashes.SHA512(),
}
# A mark of UTF-8 and a declaration that names no other encoding, both optional, before markup.
_OPENING = re.compile(
    rb"""(\xef\xbb\xbf)?(<\?xml\s(?![^>]*encoding\s*+=\s*+(?!["']utf-8["']))[^>]*>)?"""
    rb"""\s*(?=<(?!\?xml\s))""",
    re.I,
)
_SCHEMA = "saml-schema-protocol-2.0.xsd"


class Refused(Exception):
    """A message that does not count, with the reason."""


def prepare() -> None:
    """Read the schema of messages, while this process may still open files."""
    datetime.strptime("2000", "%Y")  # imports a module
    schema = etree.XMLSchema(etree.parse(str(Path(saml2.__file__).parent / "schemas" / _SCHEMA)))

    def validated(xml: etree._Element, _schema: str, _debug: bool = False) -> object:
        return xml if schema.validate(xml) else "invalid_xml"

    OneLogin_Saml2_XML.validate_xml = staticmethod(validated)


def verified(kind: str, expected: bytes, message: str) -> bytes:
    """Return the Subject of an answer, or a LogoutRequest, as JSON; raise Refused."""
    wanted = msgspec.json.decode(expected, type=Expected)
    verify = verified_response if kind == "response" else verified_logout
    try:
        return msgspec.json.encode(verify(wanted, message))
    except Refused:
        raise
    except Exception as error:
        # Whatever a library raises for a malformed message.
        raise Refused(f"the message is not valid: {str(error)[:200]}") from error


def verified_response(wanted: Expected, message: str) -> Subject:
    """Return the user of an answer to a login request."""
    text = _decoded(message)
    _parsed(text)
    response = OneLogin_Saml2_Response(_settings(wanted), base64.b64encode(text).decode())
    scheme, _, rest = wanted.address.partition("://")
    host, _, path = rest.partition("/")
    request = {
        "https": "on" if scheme == "https" else "off",
        "http_host": host,
        "script_name": f"/{path}",
    }
    response.is_valid(request, request_id=wanted.request_id, raise_exceptions=True)
    assertion = _only(response.document.findall("a:Assertion", _NS), "assertion of the answer")
    _check_addressed(wanted, response.document, assertion)
    name = _only(assertion.findall("a:Subject/a:NameID", _NS), "name of the user")
    statement = _only(assertion.findall("a:AuthnStatement", _NS), "statement of the login")
    return Subject(
        subject=name.text or "",
        format=name.get("Format", ""),
        session=statement.get("SessionIndex", ""),
        expires_at=_time(statement.get("SessionNotOnOrAfter")),
        message_id=assertion.get("ID", ""),
        attributes=response.get_attributes(),
    )


def _check_addressed(wanted: Expected, document: etree._Element, assertion: etree._Element) -> None:
    """Raise Refused unless the answer states that it is for this login, here and now."""
    if document.get("Destination") != wanted.address:
        raise Refused("the answer is for another address")
    if document.get("InResponseTo") != wanted.request_id:
        raise Refused("the answer is not for the request of this login")
    audiences = assertion.findall("a:Conditions/a:AudienceRestriction/a:Audience", _NS)
    if wanted.audience not in [each.text for each in audiences]:
        raise Refused("the audience of the answer is another one")
    now = datetime.now(UTC)
    for data in assertion.iterfind("a:Subject/a:SubjectConfirmation/*", _NS):
        ends = _time(data.get("NotOnOrAfter"))
        fits = data.get("Recipient") == wanted.address
        fits = fits and data.get("InResponseTo") == wanted.request_id
        if fits and ends and now.timestamp() < ends + SKEW.total_seconds():
            return
    raise Refused("the confirmation of the subject has expired, or is for another login")


def verified_logout(wanted: Expected, message: str) -> LogoutRequest:
    """Return a logout request: the query of a redirect, or the field of a posted form."""
    root = _redirected(wanted, message) if "=" in message.rstrip("=") else _posted(wanted, message)
    if root.tag != f"{{{Names.NS_SAMLP}}}LogoutRequest":
        raise Refused("the message is no logout request")
    if root.findtext("a:Issuer", namespaces=_NS) != wanted.issuer:
        raise Refused("the logout request is of another issuer")
    if root.get("Destination") not in (None, wanted.address):
        raise Refused("the logout request is for another address")
    issued = _time(root.get("IssueInstant")) or 0.0
    ends = _time(root.get("NotOnOrAfter")) or issued + LOGOUT_KEPT.total_seconds()
    now, skew = datetime.now(UTC).timestamp(), SKEW.total_seconds()
    if not issued - skew <= now < min(ends, issued + LOGOUT_KEPT.total_seconds()) + skew:
        raise Refused("the logout request has expired")
    name = _only(root.findall("a:NameID", _NS), "name of the user")
    sessions = [each.text or "" for each in root.findall("p:SessionIndex", _NS)]
    return LogoutRequest(root.get("ID", ""), name.text or "", sessions)


def _redirected(wanted: Expected, query: str) -> etree._Element:
    """Return the message of a redirect, whose signature is of the text of the query."""
    parts = [each for each in query.split("&") if each]
    raw = dict(each.partition("=")[::2] for each in parts)
    if len(raw) != len(parts):
        raise Refused("the query states a parameter twice")
    signed = "&".join(f"{n}={raw[n]}" for n in ("SAMLRequest", "RelayState", "SigAlg") if n in raw)
    values = dict(parse_qsl(query))
    algorithm = _SIGNATURES.get(values.get("SigAlg", ""))
    if algorithm is None:
        raise Refused("the logout request is not signed, or with a weak algorithm")
    signature = base64.b64decode(unquote(raw.get("Signature", "")))
    if not any(_is_signed(signed, signature, key, algorithm) for key in wanted.certificates):
        raise Refused("the signature of the logout request is not of a certificate of the provider")
    inflating = zlib.decompressobj(-15)
    text = inflating.decompress(base64.b64decode(values["SAMLRequest"]), MESSAGE_BYTES_MAX)
    if inflating.unconsumed_tail:
        raise Refused("the logout request is too large")
    return _parsed(text)


def _is_signed(
    text: str, signature: bytes, certificate: str, algorithm: hashes.HashAlgorithm
) -> bool:
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, text.encode(), PKCS1v15(), algorithm)
            return True
    except InvalidSignature:
        pass
    return False


def _posted(wanted: Expected, message: str) -> etree._Element:
    """Return the message of a form, whose root is signed."""
    root = _parsed(_decoded(message))
    signatures = root.findall(".//ds:Signature", _NS)
    signature = _only(signatures, "signature of the logout request")
    reference = _only(signature.findall("ds:SignedInfo/ds:Reference", _NS), "signed element")
    if signature.getparent() is not root or reference.get("URI") != f"#{root.get('ID')}":
        raise Refused("the signature is not of the logout request")
    method = signature.find("ds:SignedInfo/ds:SignatureMethod", _NS)
    if method is None or method.get("Algorithm") not in _SIGNATURES:
        raise Refused("the logout request is not signed, or with a weak algorithm")
    if not Utils.validate_sign(
        root, multicerts=list(wanted.certificates), xpath="/samlp:LogoutRequest/ds:Signature"
    ):
        raise Refused("the signature of the logout request is not of a certificate of the provider")
    return root


def _settings(wanted: Expected) -> OneLogin_Saml2_Settings:
    post = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": wanted.audience,
                "assertionConsumerService": {"url": wanted.address, "binding": post},
            },
            "idp": {
                "entityId": wanted.issuer,
                "singleSignOnService": {"url": wanted.address},
                "x509certMulti": {"signing": list(wanted.certificates)},
            },
            "security": {
                "wantMessagesSigned": True,
                "wantAssertionsSigned": True,
                "wantAttributeStatement": False,
                "rejectDeprecatedAlgorithm": True,
                "requestedAuthnContext": False,
                "allowRepeatAttributeName": True,
                "allowSingleLabelDomains": True,
            },
        }
    )


def _decoded(message: str) -> bytes:
    try:
        text = base64.b64decode("".join(message.split()), validate=True)
    except binascii.Error:
        raise Refused("the message is not base64") from None
    if len(text) > MESSAGE_BYTES_MAX:
        raise Refused(f"the message has more than {MESSAGE_BYTES_MAX:,} bytes")
    return text


def _parsed(text: bytes) -> etree._Element:
    """Return a message; raise Refused for comments, which no signature covers, and other markup.

    In UTF-8 only, as markup of another encoding has other bytes.
    """
    opening = _OPENING.match(text)
    if opening is None or b"\0" in text:
        raise Refused("the message is not XML in UTF-8")
    if b"<!" in text:
        raise Refused("the message has comments, a document type or other declarations")
    if b"<?" in text[opening.end() :]:
        # The parser would leave them out.
        raise Refused("the message has processing instructions")
    return OneLogin_Saml2_XML.to_etree(text)


def _only(found: list[etree._Element], what: str) -> etree._Element:
    if len(found) != 1:
        raise Refused(f"there is not exactly one {what}")
    return found[0]


def _time(text: str | None) -> float:
    """Return a time as seconds; 0 if there is none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
