"""Calls about templates: read, list, delete and instantiate them."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Annotated

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.records import Source, value_from
from flowmesh.sdk.client.parts.workflows import Problem, Resource
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import encode


@dataclass(frozen=True, slots=True)
class Template:
    """A template; version 0 is built into Flowmesh. Lists omit the definition."""

    name: str
    version: int
    description: str
    parameters: Json
    definition: Json


@dataclass(frozen=True, slots=True)
class Instantiated:
    """The resources created from a template; `source` is the result as YAML."""

    resources: tuple[Resource, ...]
    warnings: tuple[Problem, ...]
    source: Annotated[str, Source(read=bytes.decode)]


def _counts_of(templates: Iterable[pb.TemplateCount]) -> dict[str, int]:
    return {each.name: each.workflow_count for each in templates}


@dataclass(frozen=True, slots=True)
class TemplateStats:
    """Counts of all workflows, of those created from templates, and by template."""

    workflows: Annotated[int, Source("workflow_count")]
    from_templates: Annotated[int, Source("from_template_count")]
    templates: Annotated[dict[str, int], Source(read=_counts_of)]

    @property
    def share(self) -> float:
        """The share of workflows created from templates; 0 without workflows."""
        return self.from_templates / self.workflows if self.workflows else 0.0


class TemplateCalls:
    """Templates of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.TemplateServiceStub(connection.caller.channel)

    async def list(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Template]:
        """Iterate over the newest versions of all templates, by name."""
        request = pb.ListTemplatesRequest(page_size=page_size)
        async for item in self._connection.pages(self._stub.ListTemplates, request, "templates"):
            yield value_from(Template, item)

    def __call__(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Template]:
        """Same as `list`."""
        return self.list(page_size=page_size)

    async def get(self, name: str, *, version: int = 0) -> Template:
        """Return one version of a template, by default the newest."""
        request = pb.GetTemplateRequest(name=name, version=version)
        response = await self._connection.call(self._stub.GetTemplate, request)
        return value_from(Template, response.template)

    async def delete(self, name: str, *, request_id: str = "") -> None:
        """Delete all versions of a template; workflows created from it stay."""
        request = pb.DeleteTemplateRequest(name=name)
        await self._connection.change(self._stub.DeleteTemplate, request, request_id)

    async def instantiate(
        self,
        template: str,
        name: str,
        parameters: dict[str, Json] | None = None,
        *,
        version: int = 0,
        dry_run: bool = False,
        request_id: str = "",
    ) -> Instantiated:
        """Create the workflow `name` from a template; with `dry_run` nothing is stored.

        Raises Invalid with one violation per problem of the parameters or of the result.
        """
        request = pb.InstantiateTemplateRequest(
            name=template,
            version=version,
            target=name,
            parameters=encode(parameters or {}),
            dry_run=dry_run,
        )
        response = await self._connection.change(
            self._stub.InstantiateTemplate, request, request_id
        )
        return value_from(Instantiated, response)

    async def stats(self) -> TemplateStats:
        """Return the counts of workflows created from templates."""
        request = pb.GetTemplateStatsRequest()
        response = await self._connection.call(self._stub.GetTemplateStats, request)
        return value_from(TemplateStats, response)
