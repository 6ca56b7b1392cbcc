"""SAML 2.0 service provider: requests to a provider by redirects, and its verified answers.

Messages of a provider are read by a child process of the sandbox only. Requests are not signed.
"""

import base64
import importlib.util
import zlib
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit
from xml.sax.saxutils import escape, quoteattr

import msgspec
from cryptography import x509

from flowmesh.contract.json_value import Json
from flowmesh.errors import Overloaded
from flowmesh.extras import install_command
from flowmesh.identity.openid.errors import LoginRefused, ProviderUnavailable
from flowmesh.identity.openid.mapping import Claims
from flowmesh.identity.storage.records import Provider
from flowmesh.runtime import Clock
from flowmesh.saml.messages import Expected, LogoutRequest, Subject
from flowmesh.sandbox import Sandbox, SandboxFailure

_NAMES = "urn:oasis:names:tc:SAML:2.0"
_PROTOCOL = f"{_NAMES}:protocol"
_EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
_TRANSIENT = f"{_NAMES}:nameid-format:transient"
# Names of one attribute at Keycloak, Okta, Entra ID and in LDAP, the first that is there counts.
_XMLSOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_EMAIL = ("email", "mail", "urn:oid:0.9.2342.19200300.100.1.3", f"{_XMLSOAP}/emailaddress")
_NAME = ("name", "displayName", "urn:oid:2.16.840.1.113730.3.1.241", f"{_XMLSOAP}/name")


class Saml:
    """The service provider of all SAML providers of an installation."""

    def __init__(self, sandbox: Sandbox, clock: Clock) -> None:
        self._sandbox, self._clock = sandbox, clock

    def login_url(self, provider: Provider, request_id: str, address: str, state: str) -> str:
        """Return the page of a provider that answers a login request to an address."""
        binding = f"{_NAMES}:bindings:HTTP-POST"
        request = self._message(
            "AuthnRequest",
            provider,
            provider.sso_url,
            f" ID={quoteattr(request_id)} AssertionConsumerServiceURL={quoteattr(address)}"
            f' ProtocolBinding="{binding}"',
            "",
        )
        return _redirect(provider.sso_url, SAMLRequest=_packed(request), RelayState=state)

    def logout_url(
        self, provider: Provider, request_id: str, subject: str, provider_session: str
    ) -> str:
        """Return the page of a provider that ends a session; empty if it has none."""
        if not provider.slo_url:
            return ""
        session = f"<p:SessionIndex>{escape(provider_session)}</p:SessionIndex>"
        request = self._message(
            "LogoutRequest",
            provider,
            provider.slo_url,
            f" ID={quoteattr(request_id)}",
            f"<a:NameID>{escape(subject)}</a:NameID>{session if provider_session else ''}",
        )
        return _redirect(provider.slo_url, SAMLRequest=_packed(request))

    def logout_answer_url(self, provider: Provider, id: str, answered: str, state: str) -> str:
        """Return the page of a provider that learns of an ended session; empty if it has none."""
        if not provider.slo_url:
            return ""
        status = f'<p:Status><p:StatusCode Value="{_NAMES}:status:Success"/></p:Status>'
        answer = self._message(
            "LogoutResponse",
            provider,
            provider.slo_url,
            f" ID={quoteattr(id)} InResponseTo={quoteattr(answered)}",
            status,
        )
        more = {"RelayState": state} if state else {}
        return _redirect(provider.slo_url, SAMLResponse=_packed(answer), **more)

    async def subject(
        self, provider: Provider, request_id: str, address: str, message: str
    ) -> Subject:
        """Return the user of a verified answer; raise LoginRefused and ProviderUnavailable."""
        expected = _expected(provider, address, request_id)
        answer = await self._verified("response", provider, expected, message)
        found = msgspec.convert(answer, Subject)
        if not found.subject.strip() or found.format == _TRANSIENT:
            raise LoginRefused("the name of the user is missing, or another one at each login")
        return found

    async def logout_request(self, provider: Provider, address: str, message: str) -> LogoutRequest:
        """Return a verified logout request; raise LoginRefused and ProviderUnavailable."""
        expected = _expected(provider, address, "")
        found = await self._verified("logout", provider, expected, message)
        return msgspec.convert(found, LogoutRequest)

    async def _verified(
        self, kind: str, provider: Provider, expected: Expected, message: str
    ) -> Json:
        if not _is_installed():
            raise ProviderUnavailable(problem_of(provider))
        try:
            return await self._sandbox.verify(kind, msgspec.to_builtins(expected), message)
        except SandboxFailure as error:
            raise LoginRefused(f"the answer of the provider is refused: {error}") from error
        except Overloaded as error:
            raise ProviderUnavailable("too many logins are verified at once") from error

    def _message(
        self, kind: str, provider: Provider, address: str, attributes: str, content: str
    ) -> str:
        now = datetime.fromtimestamp(self._clock.now_us() // 1_000_000, UTC)
        return (
            f'<p:{kind} xmlns:p="{_PROTOCOL}" xmlns:a="{_NAMES}:assertion" Version="2.0"'
            f' IssueInstant="{now:%Y-%m-%dT%H:%M:%SZ}" Destination={quoteattr(address)}'
            f"{attributes}>"
            f"<a:Issuer>{escape(provider.client_id)}</a:Issuer>{content}</p:{kind}>"
        )


def _is_installed() -> bool:
    return importlib.util.find_spec("onelogin") is not None


def problem_of(provider: Provider) -> str:
    """Return why no login at a SAML provider can succeed now; empty if it can."""
    if not _is_installed():
        return f"SAML needs the extra `saml`: {install_command('saml')}"
    now = datetime.now(UTC)
    found = [x509.load_pem_x509_certificate(each.encode()) for each in provider.certificates]
    if not any(each.not_valid_before_utc <= now < each.not_valid_after_utc for each in found):
        return "no certificate of the provider is valid today"
    return ""


def metadata(provider: Provider, base: str) -> str:
    """Return the description of this service provider that a SAML provider imports."""
    at = f"{base}/login/{provider.id}"
    logouts = "".join(
        f'<SingleLogoutService Binding="{_NAMES}:bindings:HTTP-{binding}"'
        f" Location={quoteattr(f'{at}/logout')}/>"
        for binding in ("Redirect", "POST")
    )
    return (
        '<?xml version="1.0"?>\n'
        f'<EntityDescriptor xmlns="{_NAMES}:metadata" entityID={quoteattr(provider.client_id)}>'
        '<SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true"'
        f' protocolSupportEnumeration="{_PROTOCOL}">{logouts}'
        f'<AssertionConsumerService Binding="{_NAMES}:bindings:HTTP-POST"'
        f' Location={quoteattr(f"{at}/acs")} index="0" isDefault="true"/>'
        "</SPSSODescriptor></EntityDescriptor>\n"
    )


def claims_of(subject: Subject) -> Claims:
    """Return the attributes of a user as claims; those with one value are texts.

    The provider vouches for the addresses of its users, so one that it states is verified.
    """
    many = {name: [each for each in values if each] for name, values in subject.attributes.items()}
    claims: dict[str, Json] = {
        name: values[0] if len(values) == 1 else [*values] for name, values in many.items()
    }
    email = next((many[name][0] for name in _EMAIL if many.get(name)), "")
    if not email and subject.format == _EMAIL_FORMAT:
        email = subject.subject
    name = next((many[name][0] for name in _NAME if many.get(name)), "")
    own: dict[str, Json] = {"sub": subject.subject, "email": email, "email_verified": bool(email)}
    return {**claims, **own, "name": name}


def _expected(provider: Provider, address: str, request_id: str) -> Expected:
    return Expected(
        issuer=provider.issuer,
        audience=provider.client_id,
        address=address,
        certificates=provider.certificates,
        request_id=request_id,
    )


def _packed(message: str) -> str:
    deflating = zlib.compressobj(wbits=-15)
    return base64.b64encode(deflating.compress(message.encode()) + deflating.flush()).decode()


def _redirect(address: str, **query: str) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
