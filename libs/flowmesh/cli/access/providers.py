"""`identity provider`: identity providers at which the users of a company log in."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.api.identity.v1 import provider_service_pb2 as pb
from flowmesh.api.identity.v1.provider_service_pb2_grpc import ProviderServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.sources import file_text
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

_LEVELS = {
    "prj": principal_pb2.LEVEL_PROJECT,
    "org": principal_pb2.LEVEL_ORGANIZATION,
}


@Parameter(name="*")
@dataclass(frozen=True)
class Settings:
    """Settings of a provider."""

    name: Annotated[str, Parameter(help="Name on the login page.")] = ""
    issuer: Annotated[str, Parameter(help="URL of the issuer; SAML: entity id.")] = ""
    client_id: Annotated[
        str, Parameter(help="Id of Flowmesh as a client of the provider; SAML: as its audience.")
    ] = ""
    sso_url: Annotated[str, Parameter(help="SAML: page that takes login requests.")] = ""
    slo_url: Annotated[str, Parameter(help="SAML: page that takes logout requests.")] = ""
    certificate: Annotated[
        tuple[Path, ...],
        Parameter(negative="", help="SAML: file in PEM that signs the answers; repeatable."),
    ] = ()
    link_by_email: Annotated[
        bool | None,
        Parameter(
            negative="--no-link-by-email",
            help="Let users with a password and the same verified address move here.",
        ),
    ] = None
    hook: Annotated[str | None, Parameter(help="Login plugin that adds claims; empty is none.")] = (
        None
    )
    scope: Annotated[
        tuple[str, ...], Parameter(negative="", help="Scope besides openid; repeatable.")
    ] = ()
    rule: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="`CLAIM=VALUE:ROLE`, or `:ROLE` for all users; `@prj_…` or `@org_…` at the end"
            " gives the role there instead of on the company; repeatable.",
        ),
    ] = ()


SETTINGS = Settings()
Flag = Annotated[bool, Parameter(negative="")]


@command
async def list_providers(*, company: str = "", common: Common = COMMON) -> int:
    """List the identity providers of a company.

    Args:
        company: Id or slug of the company; not needed if there is one only.
    """
    async with connected(common) as client:
        request = pb.ListProvidersRequest(company_id=(await Tenants(client).company(company)).id)
        found = (await client.caller.call(_stub(client).ListProviders, request)).providers
        output.table(
            found,
            document_of,
            "ID NAME ISSUER STATE RULES",
            none="The company has no identity provider.",
            ID=lambda each: each.id,
            NAME=lambda each: each.settings.name,
            ISSUER=lambda each: each.settings.issuer,
            STATE=lambda each: "disabled" if each.settings.disabled else "enabled",
            RULES=lambda each: str(len(each.settings.rules)),
        )
        return exit_codes.DONE


@command
async def create_provider(
    *,
    kind: Literal["oidc", "saml"] = "oidc",
    settings: Settings = SETTINGS,
    company: str = "",
    common: Common = COMMON,
) -> int:
    """Create an identity provider; the secret of an OIDC client is read from standard input.

    Args:
        kind: Protocol of the provider.
        company: Id or slug of the company; not needed if there is one only.
    """
    async with connected(common) as client:
        secret = _secret(client) if kind == "oidc" else ""
        made = pb.ProviderSettings(kind=kind)
        _change(made, settings)
        request = pb.CreateProviderRequest(
            company_id=(await Tenants(client).company(company)).id,
            settings=made,
            client_secret=secret,
        )
        answer = await client.caller.call(_stub(client).CreateProvider, request)
        return _shown(answer.provider, f"created {answer.provider.id}")


@command
async def update_provider(
    provider: str,
    /,
    *,
    settings: Settings = SETTINGS,
    secret: Flag = False,
    disable: Flag = False,
    enable: Flag = False,
    common: Common = COMMON,
) -> int:
    """Change settings of an identity provider; those that are not given stay.

    Args:
        provider: Id of the provider.
        secret: Read a new secret of the client from standard input.
        disable: Offer it no longer; its sessions end when they are refreshed.
        enable: Offer it again.
    """
    async with connected(common) as client:
        read = pb.GetProviderRequest(provider_id=provider)
        found = (await client.caller.call(_stub(client).GetProvider, read)).provider
        _change(found.settings, settings)
        found.settings.disabled = (found.settings.disabled or disable) and not enable
        request = pb.UpdateProviderRequest(
            provider_id=provider,
            settings=found.settings,
            client_secret=_secret(client) if secret else "",
            etag=found.etag,
        )
        answer = await client.caller.call(_stub(client).UpdateProvider, request)
        return _shown(answer.provider, f"changed {provider}")


@command
async def check_provider(provider: str, /, *, claims: str = "{}", common: Common = COMMON) -> int:
    """Show whether a provider responds, and what a login with given claims would map to.

    Args:
        provider: Id of the provider.
        claims: Claims of a user as JSON.
    """
    async with connected(common) as client:
        request = pb.TestProviderRequest(provider_id=provider, claims_json=claims)
        found = await client.caller.call(_stub(client).TestProvider, request)
        if common.structured:
            output.document(document_of(found))
        else:
            given = [f"{each.role} on {each.level_id}" for each in found.grants]
            rows = [
                ("provider", "responds" if found.reachable else found.problem),
                ("email", found.email),
                ("name", found.name or "-"),
                ("roles", ", ".join(given) or "none: the login is refused"),
            ]
            output.columns(("", ""), rows)
        return exit_codes.DONE if found.reachable else exit_codes.FAILED


@command
async def delete_provider(provider: str, /, *, common: Common = COMMON) -> int:
    """Delete an identity provider, the roles that its rules gave, and its sessions.

    Args:
        provider: Id of the provider.
    """
    async with connected(common) as client:
        request = pb.DeleteProviderRequest(provider_id=provider)
        await client.caller.call(_stub(client).DeleteProvider, request)
        output.result({"deleted": True}, f"deleted {provider}")
        return exit_codes.DONE


def _change(settings: pb.ProviderSettings, given: Settings) -> None:
    """Set what is given."""
    for name in ("name", "issuer", "client_id", "sso_url", "slo_url"):
        if value := getattr(given, name):
            setattr(settings, name, value)
    if given.certificate:
        settings.certificates[:] = map(file_text, given.certificate)
    if given.link_by_email is not None:
        settings.link_by_email = given.link_by_email
    if given.hook is not None:
        settings.hook = given.hook
    if given.scope:
        settings.scopes[:] = given.scope
    if given.rule:
        del settings.rules[:]
        settings.rules.extend(map(_rule, given.rule))


def _rule(text: str) -> pb.RoleRule:
    condition, colon, rest = text.rpartition(":")
    role, _, level_id = rest.partition("@")
    claim, _, equals = condition.partition("=")
    if not colon or (condition and not equals):
        raise Refused(f"--rule {text} is not CLAIM=VALUE:ROLE", code=exit_codes.USAGE)
    level = _LEVELS.get(level_id[:3], principal_pb2.LEVEL_COMPANY)
    return pb.RoleRule(claim=claim, equals=equals, role=role, level=level, level_id=level_id)


def _secret(client: "Client") -> str:
    client.caller.endpoint.check_credential("the secret")
    if sys.stdin.isatty():
        hint = "an empty standard input, as of `< /dev/null`, is for a client without a secret"
        raise Refused("the secret is read from standard input", hint, exit_codes.USAGE)
    return sys.stdin.readline().rstrip("\r\n")


def _stub(client: "Client") -> Any:
    return ProviderServiceStub(client.caller.channel)


def _shown(provider: pb.Provider, text: str) -> int:
    output.result(document_of(provider), text)
    return exit_codes.DONE
