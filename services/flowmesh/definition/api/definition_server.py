"""DefinitionService over gRPC: messages to arguments and back."""

from typing import Any

import grpc

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.definition.api.messages import (
    affected_messages,
    applied_message,
    problem_message,
    task_message,
    usage_message,
    workflow_message,
)
from flowmesh.definition.api.requests import author_of, durations_of, request_id_of
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.dry_runs import DryRuns
from flowmesh.definition.optimizing.optimizer import Optimizer
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.texts import WorkflowTexts
from flowmesh.definitions import errors_in, warnings_in
from flowmesh.rpc import namespace_of, valid_id

Context = grpc.aio.ServicerContext[Any, Any]


class DefinitionServer(definition_service_pb2_grpc.DefinitionServiceServicer):
    """Turns messages into calls on the catalog and back; decides nothing."""

    def __init__(
        self,
        *,
        catalog: DefinitionCatalog,
        texts: WorkflowTexts,
        dry_runs: DryRuns,
        optimizer: Optimizer,
        store: DefinitionStore,
    ) -> None:
        self._catalog = catalog
        self._texts = texts
        self._dry_runs = dry_runs
        self._optimizer = optimizer
        self._store = store

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        applied, checked = await self._catalog.apply(
            namespace_of(request),
            request.source,
            request.content_type,
            request_id_of(request),
            author_of(request),
            expected_digest=_expected_digest(request),
        )
        return pb.ApplyResponse(
            resources=map(applied_message, applied),
            warnings=map(problem_message, warnings_in(checked.problems)),
            affected=affected_messages(checked),
            affected_count=len(checked.affected),
        )

    async def RegisterWorkflow(
        self, request: pb.RegisterWorkflowRequest, context: Context
    ) -> pb.RegisterWorkflowResponse:
        (applied,), checked = await self._catalog.apply(
            namespace_of(request),
            request.source,
            request.content_type,
            request_id_of(request),
            author_of(request),
            one_workflow=True,
        )
        return pb.RegisterWorkflowResponse(
            workflow_id=applied.name,
            version=applied.version,
            digest=applied.digest,
            created=applied.created,
            warnings=map(problem_message, warnings_in(checked.problems)),
        )

    async def ValidateWorkflow(
        self, request: pb.ValidateWorkflowRequest, context: Context
    ) -> pb.ValidateWorkflowResponse:
        checked = await self._catalog.validate(
            namespace_of(request),
            request.source,
            request.content_type,
            linted=request.lint,
            strictly=request.strict,
        )
        return pb.ValidateWorkflowResponse(
            valid=not errors_in(checked.problems),
            problems=map(problem_message, checked.problems),
            affected=affected_messages(checked),
            affected_count=len(checked.affected),
        )

    async def DryRunWorkflow(
        self, request: pb.DryRunWorkflowRequest, context: Context
    ) -> pb.DryRunWorkflowResponse:
        return pb.DryRunWorkflowResponse(report=await self._dry_runs.run(request))

    async def OptimizeWorkflow(
        self, request: pb.OptimizeWorkflowRequest, context: Context
    ) -> pb.OptimizeWorkflowResponse:
        return pb.OptimizeWorkflowResponse(report=await self._optimizer.run(request))

    async def GetWorkflow(
        self, request: pb.GetWorkflowRequest, context: Context
    ) -> pb.GetWorkflowResponse:
        workflow = await self._catalog.workflow(
            namespace_of(request), _workflow_id(request), request.version, _label(request)
        )
        return pb.GetWorkflowResponse(workflow=workflow_message(workflow))

    async def GetWorkflowSource(
        self, request: pb.GetWorkflowSourceRequest, context: Context
    ) -> pb.GetWorkflowSourceResponse:
        workflow, source = await self._texts.source(
            namespace_of(request), _workflow_id(request), request.version, _label(request)
        )
        return pb.GetWorkflowSourceResponse(
            version=workflow.version,
            digest=workflow.digest,
            source=source.text,
            content_type=source.content_type,
        )

    async def ListWorkflows(
        self, request: pb.ListWorkflowsRequest, context: Context
    ) -> pb.ListWorkflowsResponse:
        page, token = await self._catalog.workflows(
            namespace_of(request),
            filter_text=request.filter,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListWorkflowsResponse(
            workflows=map(workflow_message, page), next_page_token=token
        )

    async def CountWorkflows(
        self, request: pb.CountWorkflowsRequest, context: Context
    ) -> pb.CountWorkflowsResponse:
        count = await self._catalog.workflow_count(namespace_of(request))
        return pb.CountWorkflowsResponse(count=count)

    async def ListWorkflowVersions(
        self, request: pb.ListWorkflowVersionsRequest, context: Context
    ) -> pb.ListWorkflowVersionsResponse:
        page, token = await self._catalog.versions(
            namespace_of(request),
            _workflow_id(request),
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListWorkflowVersionsResponse(
            versions=map(workflow_message, page), next_page_token=token
        )

    async def DeleteWorkflow(
        self, request: pb.DeleteWorkflowRequest, context: Context
    ) -> pb.DeleteWorkflowResponse:
        await self._catalog.delete_workflow(
            namespace_of(request),
            _workflow_id(request),
            request_id_of(request),
            author_of(request),
        )
        return pb.DeleteWorkflowResponse()

    async def AnalyzeWorkflow(
        self, request: pb.AnalyzeWorkflowRequest, context: Context
    ) -> pb.AnalyzeWorkflowResponse:
        if request.source:
            workflow_id, analysis = await self._texts.analysis(
                request.source, request.content_type, request.path_count_max, durations_of(request)
            )
            return pb.AnalyzeWorkflowResponse(workflow_id=workflow_id, analysis=analysis)
        version, analysis = await self._catalog.analysis(
            namespace_of(request),
            _workflow_id(request),
            request.version,
            request.path_count_max,
            durations_of(request),
        )
        return pb.AnalyzeWorkflowResponse(
            workflow_id=request.workflow_id, version=version, analysis=analysis
        )

    async def ListPublicNodes(
        self, request: pb.ListPublicNodesRequest, context: Context
    ) -> pb.ListPublicNodesResponse:
        page, token = await self._catalog.public_nodes(
            namespace_of(request), size=request.page_size, token=request.page_token
        )
        nodes = [
            pb.PublicNode(
                workflow_id=each.workflow_id, version=each.version, node=each.node.encode()
            )
            for each in page
        ]
        return pb.ListPublicNodesResponse(nodes=nodes, next_page_token=token)

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task = await self._catalog.task(
            namespace_of(request), valid_id(request.name, "name"), request.version
        )
        return pb.GetTaskResponse(task=task_message(task))

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        page, token = await self._catalog.tasks(
            namespace_of(request),
            shared=request.shared,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListTasksResponse(tasks=map(task_message, page), next_page_token=token)

    async def ListTaskVersions(
        self, request: pb.ListTaskVersionsRequest, context: Context
    ) -> pb.ListTaskVersionsResponse:
        page, token = await self._catalog.task_versions(
            namespace_of(request),
            valid_id(request.name, "name"),
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListTaskVersionsResponse(versions=map(task_message, page), next_page_token=token)

    async def ListNamespaces(
        self, request: pb.ListNamespacesRequest, context: Context
    ) -> pb.ListNamespacesResponse:
        return pb.ListNamespacesResponse(namespaces=await self._store.namespaces())

    async def ListTaskUsages(
        self, request: pb.ListTaskUsagesRequest, context: Context
    ) -> pb.ListTaskUsagesResponse:
        usages, token = await self._catalog.usages(
            namespace_of(request),
            valid_id(request.name, "name"),
            request.version,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListTaskUsagesResponse(
            workflows=map(usage_message, usages), next_page_token=token
        )

    async def DeleteTask(
        self, request: pb.DeleteTaskRequest, context: Context
    ) -> pb.DeleteTaskResponse:
        await self._catalog.delete_task(
            namespace_of(request),
            valid_id(request.name, "name"),
            request_id_of(request),
            author_of(request),
            version=request.version,
        )
        return pb.DeleteTaskResponse()

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        plan = await self._catalog.plan(
            namespace_of(request), _workflow_id(request), request.version, _label(request)
        )
        return pb.GetPlanResponse(plan=plan)


def _workflow_id(request: Any) -> str:
    return valid_id(request.workflow_id, "workflow_id")


def _label(request: Any) -> str:
    return valid_id(request.version_label, "version_label") if request.version_label else ""


def _expected_digest(request: pb.ApplyRequest) -> str | None:
    return request.expected_digest if request.HasField("expected_digest") else None
