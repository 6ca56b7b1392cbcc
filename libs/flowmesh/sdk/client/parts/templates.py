"""Calls about templates: read, list, delete and instantiate them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.client.parts.workflows import Problem, Resource, problems_of, resources_of
from flowmesh.sdk.payloads import Json, decode_bytes, encode


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
    source: str


@dataclass(frozen=True, slots=True)
class TemplateStats:
    """Counts of all workflows, of those created from templates, and by template."""

    workflows: int
    from_templates: int
    templates: dict[str, int]

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
        request = pb.ListTemplatesRequest(namespace=self._connection.namespace, page_size=page_size)
        async for item in self._connection.pages(self._stub.ListTemplates, request, "templates"):
            yield _template(item)

    def __call__(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Template]:
        """Same as `list`."""
        return self.list(page_size=page_size)

    async def get(self, name: str, *, version: int = 0) -> Template:
        """Return one version of a template, by default the newest."""
        request = pb.GetTemplateRequest(
            namespace=self._connection.namespace, name=name, version=version
        )
        response = await self._connection.caller.call(self._stub.GetTemplate, request)
        return _template(response.template)

    async def delete(self, name: str, *, request_id: str = "") -> None:
        """Delete all versions of a template; workflows created from it stay."""
        request = pb.DeleteTemplateRequest(
            namespace=self._connection.namespace,
            name=name,
            actor=self._connection.actor,
            request_id=request_id or self._connection.new_id(),
        )
        await self._connection.caller.call(self._stub.DeleteTemplate, request)

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
            namespace=self._connection.namespace,
            name=template,
            version=version,
            target=name,
            parameters=encode(parameters or {}),
            dry_run=dry_run,
            actor=self._connection.actor,
            request_id=request_id or self._connection.new_id(),
        )
        response = await self._connection.caller.call(self._stub.InstantiateTemplate, request)
        return Instantiated(
            resources_of(response.resources),
            problems_of(response.warnings),
            response.source.decode(),
        )

    async def stats(self) -> TemplateStats:
        """Return the counts of workflows created from templates."""
        request = pb.GetTemplateStatsRequest(namespace=self._connection.namespace)
        response = await self._connection.caller.call(self._stub.GetTemplateStats, request)
        return TemplateStats(
            response.workflow_count,
            response.from_template_count,
            {each.name: each.workflow_count for each in response.templates},
        )


def _template(message: pb.Template) -> Template:
    return Template(
        message.name,
        message.version,
        message.description,
        decode_bytes(message.parameters),
        decode_bytes(message.definition),
    )
