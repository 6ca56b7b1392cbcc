"""The definitions, applications and identity providers that use a plugin."""

from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, Final

import msgspec

from flowmesh.api.apphost.v1.app_service_pb2 import (
    CheckPluginUpgradeRequest,
    ListAppsOfPluginRequest,
    PluginApp,
    PluginMisfit,
)
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.identity.v1.provider_service_pb2 import ListProvidersOfPluginRequest
from flowmesh.contract.json_value import Json
from flowmesh.contract.plugin_functions import reference_to
from flowmesh.fleet.plugins.specs import EVERYWHERE
from flowmesh.plugins.manifest import Manifest

if TYPE_CHECKING:
    from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceAsyncStub
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.identity.v1.provider_service_pb2_grpc import ProviderServiceAsyncStub

_PAGE: Final = 1_000
UPGRADE_S: Final = 60.0
"""For the checks of all applications that use a plugin; each takes about a second."""

# Members that hold a task type or a function in the formats of definitions.
_MEMBERS: Final = frozenset({"type", "action", "taskType", "task_type", "call", "function"})
LABELS: Final = {"format": "flowmesh.io/format", "panel": "flowmesh.io/panel"}
"""Labels of definitions that name a plugin, by its kind."""

Definition = definition_pb2.Task | definition_pb2.Workflow
Uses = Callable[[Definition], bool]


class Usage:
    """Asks the definition service, the application host and the identity service."""

    def __init__(
        self,
        definitions: "DefinitionServiceAsyncStub",
        providers: "ProviderServiceAsyncStub",
        apps: "AppServiceAsyncStub",
    ) -> None:
        self._definitions, self._providers, self._apps = definitions, providers, apps

    async def of(self, namespace: str, manifest: Manifest) -> list[str]:
        """Return what uses a plugin, such as `task note`."""
        if manifest.login:
            request = ListProvidersOfPluginRequest(plugin=manifest.name)
            found = await self._providers.ListProvidersOfPlugin(request)
            return [f"identity provider {each}" for each in found.provider_ids]
        if manifest.module:
            return await self._applications(namespace, manifest.name)
        uses = _uses(manifest)
        if namespace != EVERYWHERE:
            return await self._of(namespace, uses)
        answer = await self._definitions.ListNamespaces(pb.ListNamespacesRequest())
        return [
            f"{found} of {each}"
            for each in sorted(answer.namespaces)
            for found in await self._of(each, uses)
        ]

    async def misfits(self, namespace: str, manifest: Manifest) -> list[str]:
        """Return the applications that a version of a plugin does not fit, with the reason."""
        if not manifest.module:
            return []
        shared = namespace == EVERYWHERE
        request = CheckPluginUpgradeRequest(
            namespace="" if shared else namespace,
            plugin=manifest.name,
            all_projects=shared,
            config_schema=msgspec.json.encode(manifest.module.config).decode(),
        )
        found = (await self._apps.CheckPluginUpgrade(request, timeout=UPGRADE_S)).misfits
        return [f"{_application(each, shared)} ({each.problem})" for each in found]

    async def _applications(self, namespace: str, plugin: str) -> list[str]:
        shared = namespace == EVERYWHERE
        request = ListAppsOfPluginRequest(
            namespace="" if shared else namespace, plugin=plugin, all_projects=shared
        )
        found = (await self._apps.ListAppsOfPlugin(request)).apps
        return [_application(each, shared) for each in found]

    async def _of(self, namespace: str, uses: Uses) -> list[str]:
        tasks = [each async for each in self._tasks(namespace, uses)]
        workflows = [each async for each in self._workflows(namespace, uses)]
        for each in tasks:
            request = pb.ListTaskUsagesRequest(namespace=namespace, name=each, page_size=_PAGE)
            answer = await self._definitions.ListTaskUsages(request)
            workflows += [found.name for found in answer.workflows]
        return [
            *(f"task {each}" for each in tasks),
            *(f"workflow {each}" for each in dict.fromkeys(workflows)),
        ]

    async def _tasks(self, namespace: str, uses: Uses) -> AsyncIterator[str]:
        token = ""
        while True:
            request = pb.ListTasksRequest(namespace=namespace, page_size=_PAGE, page_token=token)
            answer = await self._definitions.ListTasks(request)
            for each in filter(uses, answer.tasks):
                yield each.name
            token = answer.next_page_token
            if not token:
                return

    async def _workflows(self, namespace: str, uses: Uses) -> AsyncIterator[str]:
        token = ""
        while True:
            request = pb.ListWorkflowsRequest(
                namespace=namespace, page_size=_PAGE, page_token=token
            )
            answer = await self._definitions.ListWorkflows(request)
            for each in filter(uses, answer.workflows):
                yield each.name
            token = answer.next_page_token
            if not token:
                return


def _application(found: PluginApp | PluginMisfit, shared: bool) -> str:
    return f"application {found.app} of {found.namespace}" if shared else f"application {found.app}"


def _uses(manifest: Manifest) -> Uses:
    """Return the test whether a definition uses a plugin."""
    label = LABELS.get(manifest.kind)
    if label is not None:
        return lambda found: found.labels.get(label) == manifest.name
    words = frozenset({*manifest.tasks, reference_to(manifest.name)})
    return lambda found: _names(msgspec.json.decode(found.definition), words)


def _names(value: Json, words: Collection[str]) -> bool:
    """Return whether a definition names one of the types or functions."""
    if isinstance(value, dict):
        return any(
            (name in _MEMBERS and isinstance(each, str) and each in words) or _names(each, words)
            for name, each in value.items()
        )
    return isinstance(value, list) and any(_names(each, words) for each in value)
