"""Identity providers of companies: created, changed, tested and deleted by their administrators."""

import ipaddress
import re
import secrets
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from flowmesh.access.roles import MANAGE, Role
from flowmesh.access.sealing import Sealer
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Invalid, NotFound, Violation, WrongState
from flowmesh.identity.limits import (
    NAME_CHARS_MAX,
    PROVIDER_CERTIFICATE_CHARS_MAX,
    PROVIDER_CERTIFICATES_MAX,
    PROVIDER_RULES_MAX,
    PROVIDER_TEXT_MAX,
    PROVIDERS_MAX,
)
from flowmesh.identity.openid.client import OpenIdConnect
from flowmesh.identity.openid.errors import LoginRefused, ProviderUnavailable
from flowmesh.identity.openid.hooks import LoginHooks
from flowmesh.identity.openid.mapping import Claims, Profile, Rule, profile_of, rules_text
from flowmesh.identity.openid.provider_sessions import ProviderSessions, secret_place
from flowmesh.identity.permissions import Permissions
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.saml.client import problem_of
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import Company, Level, Provider
from flowmesh.identity.tenants import etag_number

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
_SECRET_BYTES_MAX = 4_096
_SNAKE = {"ssoUrl": "sso_url", "sloUrl": "slo_url", "certificates": "certificates"}


class Providers:
    """Changes of providers on behalf of the caller."""

    def __init__(
        self,
        *,
        store: LoginStore,
        permissions: Permissions,
        sessions: ProviderSessions,
        oidc: OpenIdConnect,
        hooks: LoginHooks,
        sealer: Sealer,
        revocations: Revocations,
    ) -> None:
        self._store, self._permissions = store, permissions
        self._sessions, self._oidc, self._hooks = sessions, oidc, hooks
        self._sealer, self._revocations = sealer, revocations

    async def create(self, provider: Provider, rules: list[Rule], secret: str) -> Provider:
        await self._permissions.tenant(Company, provider.company, MANAGE)
        if len(await self._store.of_company(provider.company)) >= PROVIDERS_MAX:
            raise _wrong("companyId", f"the company has {PROVIDERS_MAX} providers; delete one")
        made = replace(provider, id=f"idp_{secrets.token_hex(8)}")
        return await self._store.insert(await self._checked(made, rules, secret))

    async def provider(self, id: str) -> Provider:
        """Return a provider of a company that the caller manages."""
        found = await self._store.provider(id)
        missing = NotFound("IDENTITY_PROVIDER_NOT_FOUND", f"there is no identity provider `{id}`")
        if found is None:
            raise missing
        try:
            await self._permissions.tenant(Company, found.company, MANAGE)
        except NotFound:
            raise missing from None
        return found

    async def of_company(self, company: str) -> list[Provider]:
        await self._permissions.tenant(Company, company, MANAGE)
        return await self._store.of_company(company)

    async def of_plugin(self, hook: str) -> list[str]:
        """Return the ids of the providers, of all companies, that call a plugin."""
        return await self._store.of_plugin(hook)

    async def update(
        self, provider: Provider, rules: list[Rule], secret: str, etag: str
    ) -> Provider:
        """Replace the settings of a provider; an empty secret keeps the former one."""
        found = await self.provider(provider.id)
        moved = (provider.issuer, provider.kind) != (found.issuer, found.kind)
        if moved and found.sealed_secret is not None and not secret:
            raise _wrong("clientSecret", "a new issuer gets no former secret; state one")
        changed = await self._checked(replace(provider, company=found.company), rules, secret)
        updated = await self._store.update(changed, etag_number(etag))
        if updated is None:
            raise _mismatch(found)
        return updated

    async def delete(self, id: str, etag: str) -> None:
        """Delete a provider, the roles that it gave, and its sessions."""
        found = await self.provider(id)
        async with self._store.changing() as store:
            if not await store.delete(id, etag_number(etag)):
                raise _mismatch(found)
            users = await store.unmap(id)
        await self._sessions.end_all(id)
        await self._revocations.announce(*users)

    async def test(self, id: str, claims_text: str) -> tuple[Profile, str]:
        """Return what a login with these claims maps to, and a problem of the provider."""
        provider = await self.provider(id)
        claims = _claims(claims_text)
        problem = ""
        try:
            if provider.kind == "oidc":
                await self._oidc.check(provider)
            else:
                problem = problem_of(provider)
        except ProviderUnavailable as error:
            problem = str(error)
        try:
            return profile_of(provider, await self._hooks.applied(provider, claims)), problem
        except (LoginRefused, ProviderUnavailable) as error:
            return profile_of(replace(provider, rules="[]"), claims), error.message

    async def _checked(self, provider: Provider, rules: list[Rule], secret: str) -> Provider:
        """Return a provider as it is stored. Raise PROVIDER_INVALID and ROLE_TOO_WIDE."""
        _check(provider, secret)
        await self._check_hook(provider.hook)
        if len(rules) > PROVIDER_RULES_MAX:
            raise _wrong("rules", f"a provider has at most {PROVIDER_RULES_MAX} rules")
        placed = [await self._placed(provider.company, rule) for rule in rules]
        sealed = self._sealer.seal(secret.encode(), secret_place(provider.id)) if secret else None
        return replace(provider, rules=rules_text(placed), sealed_secret=sealed)

    async def _check_hook(self, hook: str) -> None:
        """Raise PROVIDER_INVALID for a plugin that is not installed."""
        if not hook:
            return
        _check_texts(("hook", hook))
        try:
            await self._hooks.check(hook)
        except (NotFound, Invalid):
            text = f"no login plugin `{hook[:50]}` is installed for all projects"
            raise _wrong("hook", text) from None

    async def _placed(self, company: str, rule: Rule) -> Rule:
        """Return a rule with its level; it gives no more than the caller has."""
        _check_texts(("rules.claim", rule.claim), ("rules.equals", rule.equals))
        if rule.role is Role.WORKER:
            raise _wrong("rules.role", "users have no role `worker`")
        level = Level(rule.level or Level.COMPANY)
        level_id = company if level is Level.COMPANY else rule.level_id
        place = await self._permissions.place(level, level_id, MANAGE)
        if place.company != company:
            text = f"`{rule.level_id[:100]}` is not of the company of the provider"
            raise _wrong("rules.levelId", text)
        await self._permissions.check_grant(place, rule.role)
        return Rule(rule.claim, rule.equals, rule.role, int(level), level_id)


def _check(provider: Provider, secret: str) -> None:
    """Raise PROVIDER_INVALID for settings with which no login can succeed."""
    if not 1 <= len(provider.name) <= NAME_CHARS_MAX:
        raise _wrong("name", f"the name has not 1 to {NAME_CHARS_MAX} characters")
    if provider.kind == "oidc":
        _check_issuer(provider.issuer)
        for field in ("ssoUrl", "sloUrl", "certificates"):
            if getattr(provider, _SNAKE[field]):
                raise _wrong(field, "only providers of the kind `saml` have this setting")
    elif provider.kind == "saml":
        _check_saml(provider, secret)
    else:
        raise _wrong("kind", f"the kind {provider.kind[:20]!r} is not `oidc` or `saml`")
    if not provider.client_id:
        raise _wrong("clientId", "the id of Flowmesh as a client of the provider is missing")
    _check_texts(("clientId", provider.client_id))
    if len(provider.scopes) > 20 or not all(map(_SCOPE.fullmatch, provider.scopes)):
        raise _wrong("scopes", "at most 20 scopes without spaces, such as `groups`")
    if len(secret.encode()) > _SECRET_BYTES_MAX:
        raise _wrong("clientSecret", f"the secret has more than {_SECRET_BYTES_MAX:,} bytes")


def _check_saml(provider: Provider, secret: str) -> None:
    """Raise PROVIDER_INVALID for settings of a SAML provider that cannot be meant."""
    if secret or provider.scopes:
        field = "clientSecret" if secret else "scopes"
        raise _wrong(field, "only providers of the kind `oidc` have this setting")
    _check_texts(("issuer", provider.issuer))
    if not provider.issuer:
        raise _wrong("issuer", "the entity id of the provider is missing")
    _check_address("ssoUrl", provider.sso_url, with_query=True)
    if provider.slo_url:
        _check_address("sloUrl", provider.slo_url, with_query=True)
    if not 1 <= len(provider.certificates) <= PROVIDER_CERTIFICATES_MAX:
        text = f"a SAML provider has 1 to {PROVIDER_CERTIFICATES_MAX} certificates"
        raise _wrong("certificates", text)
    for each in provider.certificates:
        if len(each) > PROVIDER_CERTIFICATE_CHARS_MAX or not _is_certificate(each):
            raise _wrong("certificates", "a certificate is not one in PEM with an RSA key")


def _is_certificate(text: str) -> bool:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return False
    return len(found) == 1 and isinstance(found[0].public_key(), RSAPublicKey)


def _check_issuer(issuer: str) -> None:
    """Raise PROVIDER_INVALID unless the issuer is an https URL, or one of this machine."""
    _check_address("issuer", issuer, with_query=False)


def _check_address(field: str, address: str, *, with_query: bool) -> None:
    _check_texts((field, address))
    try:
        url = urlsplit(address)
        host = url.hostname or ""
    except ValueError:
        host = ""
    else:
        plain = url.scheme == "http" and _is_loopback(host)
        short = with_query or not url.query
        if host and short and not url.fragment and (url.scheme == "https" or plain):
            return
    without = "" if with_query else " without a query"
    raise _wrong(field, f"`{address[:100]}` is no https:// address{without}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_texts(*texts: tuple[str, str]) -> None:
    for field, text in texts:
        if len(text) > PROVIDER_TEXT_MAX or not text.isprintable():
            raise _wrong(field, f"a text of more than {PROVIDER_TEXT_MAX} printable characters")


def _claims(text: str) -> Claims:
    try:
        found: Json = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("REQUEST_INVALID", "the claims are not a JSON object")
    return found


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "PROVIDER_INVALID", message, violations=(Violation(field, message, "PROVIDER_INVALID"),)
    )


def _mismatch(found: Provider) -> FlowmeshError:
    text = f"the provider changed since it was read: its etag is {found.etag}"
    return WrongState("ETAG_MISMATCH", text)
