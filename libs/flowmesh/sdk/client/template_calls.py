"""The client's calls about templates: what there is, and workflows made of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.client.definition_calls import Problem, Resource, problems_of, resources_of
from flowmesh.sdk.payloads import Json, decode_bytes, encode


@dataclass(frozen=True, slots=True)
class Template:
    """A template; version 0 comes with Flowmesh. Lists leave the definition out."""

    name: str
    version: int
    description: str
    parameters: Json
    definition: Json


@dataclass(frozen=True, slots=True)
class Instantiated:
    """What was made of a template; `source` is what it became, as YAML."""

    resources: tuple[Resource, ...]
    warnings: tuple[Problem, ...]
    source: str


@dataclass(frozen=True, slots=True)
class TemplateStats:
    """Workflows there are, those made of templates, and how many of each template."""

    workflows: int
    from_templates: int
    templates: dict[str, int]

    @property
    def share(self) -> float:
        """Of the workflows, those made of templates; 0 where there are none."""
        return self.from_templates / self.workflows if self.workflows else 0.0


class TemplateCalls(Connection):
    """Templates, to make workflows from."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.template_service = rpc.TemplateServiceStub(self.caller.channel)

    async def templates(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Template]:
        """Newest versions of all templates, by name."""
        request = pb.ListTemplatesRequest(namespace=self.namespace, page_size=page_size)
        async for item in self.pages(self.template_service.ListTemplates, request, "templates"):
            yield _template(item)

    async def get_template(self, name: str, *, version: int = 0) -> Template:
        """One version of a template, the newest unless named."""
        request = pb.GetTemplateRequest(namespace=self.namespace, name=name, version=version)
        response = await self.caller.call(self.template_service.GetTemplate, request)
        return _template(response.template)

    async def delete_template(self, name: str, *, request_id: str = "") -> None:
        """Deletes all versions; what was made of it stays."""
        request = pb.DeleteTemplateRequest(
            namespace=self.namespace,
            name=name,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        await self.caller.call(self.template_service.DeleteTemplate, request)

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
        """Makes the workflow `name` of a template; with `dry_run` nothing is stored.

        Raises Invalid with one violation per problem of the parameters or of what it became.
        """
        request = pb.InstantiateTemplateRequest(
            namespace=self.namespace,
            name=template,
            version=version,
            target=name,
            parameters=encode(parameters or {}),
            dry_run=dry_run,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        response = await self.caller.call(self.template_service.InstantiateTemplate, request)
        return Instantiated(
            resources_of(response.resources),
            problems_of(response.warnings),
            response.source.decode(),
        )

    async def template_stats(self) -> TemplateStats:
        """How many workflows of the namespace were made of templates."""
        request = pb.GetTemplateStatsRequest(namespace=self.namespace)
        response = await self.caller.call(self.template_service.GetTemplateStats, request)
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
