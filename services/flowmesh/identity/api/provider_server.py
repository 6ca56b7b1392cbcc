"""Translates ProviderService messages."""

from typing import Any

from flowmesh.access.roles import Role
from flowmesh.api.identity.v1 import provider_service_pb2 as pb
from flowmesh.api.identity.v1 import provider_service_pb2_grpc
from flowmesh.errors import Invalid, Violation
from flowmesh.identity.api.messages import grant_message, level_of
from flowmesh.identity.login.providers import Providers
from flowmesh.identity.openid.mapping import Rule, rules_of
from flowmesh.identity.storage.records import Provider
from flowmesh.records import message_of


class ProviderServer(provider_service_pb2_grpc.ProviderServiceServicer):
    """Identity providers of companies."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    async def CreateProvider(
        self, request: pb.CreateProviderRequest, context: Any
    ) -> pb.CreateProviderResponse:
        made = await self._providers.create(
            _provider("", request.company_id, request.settings),
            _rules(request.settings),
            request.client_secret,
        )
        return pb.CreateProviderResponse(provider=_message(made))

    async def GetProvider(
        self, request: pb.GetProviderRequest, context: Any
    ) -> pb.GetProviderResponse:
        found = await self._providers.provider(request.provider_id)
        return pb.GetProviderResponse(provider=_message(found))

    async def ListProviders(
        self, request: pb.ListProvidersRequest, context: Any
    ) -> pb.ListProvidersResponse:
        found = await self._providers.of_company(request.company_id)
        return pb.ListProvidersResponse(providers=map(_message, found))

    async def UpdateProvider(
        self, request: pb.UpdateProviderRequest, context: Any
    ) -> pb.UpdateProviderResponse:
        changed = await self._providers.update(
            _provider(request.provider_id, "", request.settings),
            _rules(request.settings),
            request.client_secret,
            request.etag,
        )
        return pb.UpdateProviderResponse(provider=_message(changed))

    async def DeleteProvider(
        self, request: pb.DeleteProviderRequest, context: Any
    ) -> pb.DeleteProviderResponse:
        await self._providers.delete(request.provider_id, request.etag)
        return pb.DeleteProviderResponse()

    async def ListProvidersOfPlugin(
        self, request: pb.ListProvidersOfPluginRequest, context: Any
    ) -> pb.ListProvidersOfPluginResponse:
        found = await self._providers.of_plugin(request.plugin)
        return pb.ListProvidersOfPluginResponse(provider_ids=found)

    async def TestProvider(
        self, request: pb.TestProviderRequest, context: Any
    ) -> pb.TestProviderResponse:
        profile, problem = await self._providers.test(request.provider_id, request.claims_json)
        return pb.TestProviderResponse(
            reachable=not problem,
            problem=problem,
            email=profile.email,
            name=profile.name,
            grants=map(grant_message, profile.grants),
        )


def _provider(id: str, company: str, settings: pb.ProviderSettings) -> Provider:
    return Provider(
        id=id,
        company=company,
        name=settings.name,
        kind=settings.kind,
        disabled=settings.disabled,
        issuer=settings.issuer,
        client_id=settings.client_id,
        scopes=tuple(settings.scopes),
        rules="[]",
        sso_url=settings.sso_url,
        slo_url=settings.slo_url,
        certificates=tuple(settings.certificates),
        link_by_email=settings.link_by_email,
        hook=settings.hook,
        sealed_secret=None,
    )


def _rules(settings: pb.ProviderSettings) -> list[Rule]:
    levels = [int(level_of(rule.level)) for rule in settings.rules]
    return [
        Rule(rule.claim, rule.equals, _role(rule.role), level, rule.level_id)
        for rule, level in zip(settings.rules, levels, strict=True)
    ]


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        message = f"the role {text[:50]!r} does not exist"
        violation = Violation("rules.role", message, "PROVIDER_INVALID")
        raise Invalid("PROVIDER_INVALID", message, violations=(violation,)) from None


def _message(provider: Provider) -> pb.Provider:
    rules = [message_of(pb.RoleRule, rule) for rule in rules_of(provider)]
    return message_of(
        pb.Provider,
        provider,
        company_id=provider.company,
        settings=message_of(pb.ProviderSettings, provider, rules=rules),
        has_secret=provider.sealed_secret is not None,
        etag=str(provider.etag),
    )
