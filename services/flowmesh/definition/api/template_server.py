"""TemplateService over gRPC: messages to arguments and back."""

from typing import Any

import grpc

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2_grpc
from flowmesh.definition.api.messages import applied_message, problem_message, template_message
from flowmesh.definition.api.requests import author_of, request_id_of
from flowmesh.definition.templates import Templates
from flowmesh.rpc import namespace_of, valid_id

Context = grpc.aio.ServicerContext[Any, Any]


class TemplateServer(template_service_pb2_grpc.TemplateServiceServicer):
    """Turns messages into calls on the templates and back; decides nothing."""

    def __init__(self, *, templates: Templates) -> None:
        self._templates = templates

    async def GetTemplate(
        self, request: pb.GetTemplateRequest, context: Context
    ) -> pb.GetTemplateResponse:
        found = await self._templates.template(
            namespace_of(request), valid_id(request.name, "name"), request.version
        )
        return pb.GetTemplateResponse(template=template_message(found, whole=True))

    async def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        page, token = await self._templates.templates(
            namespace_of(request), size=request.page_size, token=request.page_token
        )
        templates = [template_message(each, whole=False) for each in page]
        return pb.ListTemplatesResponse(templates=templates, next_page_token=token)

    async def DeleteTemplate(
        self, request: pb.DeleteTemplateRequest, context: Context
    ) -> pb.DeleteTemplateResponse:
        await self._templates.delete(
            namespace_of(request),
            valid_id(request.name, "name"),
            author_of(request),
            request_id_of(request),
        )
        return pb.DeleteTemplateResponse()

    async def InstantiateTemplate(
        self, request: pb.InstantiateTemplateRequest, context: Context
    ) -> pb.InstantiateTemplateResponse:
        applied, warnings, source = await self._templates.instantiate(
            namespace_of(request),
            valid_id(request.name, "name"),
            request.version,
            valid_id(request.target, "target"),
            request.parameters,
            author_of(request),
            request_id_of(request),
            dry_run=request.dry_run,
        )
        return pb.InstantiateTemplateResponse(
            resources=map(applied_message, applied),
            warnings=map(problem_message, warnings),
            source=source,
        )

    async def GetTemplateStats(
        self, request: pb.GetTemplateStatsRequest, context: Context
    ) -> pb.GetTemplateStatsResponse:
        use = await self._templates.use(namespace_of(request))
        return pb.GetTemplateStatsResponse(
            workflow_count=use.workflows,
            from_template_count=use.made,
            templates=[
                pb.TemplateCount(name=name, workflow_count=count)
                for name, count in use.by_template.items()
            ],
        )
