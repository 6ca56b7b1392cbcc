"""Plugins that add claims to those of a provider, for its rules to read."""

from typing import Final

from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.identity.limits import PROVIDER_HOOK_MS
from flowmesh.identity.openid.errors import LoginRefused, ProviderUnavailable
from flowmesh.identity.openid.mapping import Claims
from flowmesh.identity.storage.records import Provider
from flowmesh.plugins.calling import PluginFunctions
from flowmesh.sandbox import SandboxFailure

CLAIM: Final = "hook"
"""The claim with the result of a plugin; no other claim is changed by it."""
# Plugins of logins are those of all projects, which each namespace has.
_NAMESPACE: Final = ""
_TEXT_MAX: Final = 200


class LoginHooks:
    """Calls the plugins of providers."""

    def __init__(self, functions: PluginFunctions) -> None:
        self._functions = functions

    async def check(self, hook: str) -> None:
        """Raise PLUGIN_NOT_FOUND unless the plugin is installed."""
        await self._functions.function(_NAMESPACE, hook)

    async def applied(self, provider: Provider, claims: Claims) -> Claims:
        """Return claims with the result of the plugin of a provider.

        Raises LoginRefused for an error of the plugin, and ProviderUnavailable.
        """
        if not provider.hook:
            return claims
        title = f"the plugin {provider.hook} of the provider"
        try:
            found = await self._functions.call(
                _NAMESPACE, provider.hook, dict(claims), PROVIDER_HOOK_MS
            )
        except SandboxFailure as failure:
            raise LoginRefused(f"{title} refused it: {failure.message[:_TEXT_MAX]}") from None
        except NotFound:
            raise LoginRefused(f"{title} is not installed") from None
        except FlowmeshError as error:
            raise ProviderUnavailable(f"{title} cannot be called: {error.message}") from error
        if not isinstance(found, dict):
            raise LoginRefused(f"{title} returned no object")
        return {**claims, CLAIM: found}
