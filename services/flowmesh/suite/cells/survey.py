"""Data of a project that a move to another cell does not copy."""

from dataclasses import dataclass
from typing import Any

from flowmesh.api.event.v1.subscription_service_pb2 import ListSubscriptionsRequest
from flowmesh.api.event.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from flowmesh.api.event.v1.trigger_service_pb2 import ListTriggersRequest
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.identity.v1.encryption_service_pb2 import EncryptionState, GetEncryptionRequest
from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from flowmesh.api.identity.v1.key_service_pb2 import ListApiKeysRequest
from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceStub
from flowmesh.api.identity.v1.tenant_service_pb2 import (
    ListCompaniesRequest,
    ListOrganizationsRequest,
    ListProjectsRequest,
)
from flowmesh.api.identity.v1.tenant_service_pb2_grpc import TenantServiceStub
from flowmesh.suite.cells.calls import CellCalls


@dataclass(frozen=True, slots=True)
class _Kind:
    """Data of a project, and the call that lists it."""

    name: str
    stub: Any
    method: str
    request: Any
    items: str


_KINDS = (
    _Kind(
        "subscriptions",
        SubscriptionServiceStub,
        "ListSubscriptions",
        ListSubscriptionsRequest,
        "subscriptions",
    ),
)


async def refused_data(calls: CellCalls) -> list[str]:
    """Return what a project has that cannot be moved, with the number of each."""
    found = []
    for kind in _KINDS:
        items = await _items(calls, kind)
        if items:
            found.append(f"{len(items)} {kind.name}")
    triggers = await listed_triggers(calls)
    changes = [each for each in triggers if each.trigger.WhichOneof("kind") == "change"]
    if changes:
        found.append(f"{len(changes)} triggers of changes")
    encryption = EncryptionServiceStub(calls.channel)
    state = await calls.call(encryption.GetEncryption, GetEncryptionRequest())
    if state.encryption.state > EncryptionState.ENCRYPTION_STATE_OFF:
        found.append("encryption with keys of its own")
    return found


async def left_behind(calls: CellCalls) -> list[str]:
    """Return what a project has in its cell that its users make again in another one."""
    stub = KeyServiceStub(calls.channel)
    found = []
    for project_id in await project_ids(calls):
        request = ListApiKeysRequest(project_id=project_id)
        keys = await calls.listed(stub.ListApiKeys, request, "keys")
        found.append(f"members and quota, and {len(keys)} API keys")
    return found


async def listed_triggers(calls: CellCalls) -> Any:
    """Return the states of the triggers of a project."""
    stub = TriggerServiceStub(calls.channel)
    return await calls.listed(stub.ListTriggers, ListTriggersRequest(), "triggers")


async def _items(calls: CellCalls, kind: _Kind) -> list[Any]:
    method = getattr(kind.stub(calls.channel), kind.method)
    items = await calls.listed(method, kind.request(), kind.items)
    # Lists that show those of the installation name their namespace.
    return [each for each in items if getattr(each, "namespace", calls.project) == calls.project]


async def project_ids(calls: CellCalls) -> list[str]:
    """Return the id of the project of the namespace; none in an installation without tenants."""
    stub = TenantServiceStub(calls.channel)
    companies = await calls.listed(stub.ListCompanies, ListCompaniesRequest(), "companies")
    found: list[str] = []
    for company in companies:
        request = ListOrganizationsRequest(company_id=company.id)
        for organization in await calls.listed(stub.ListOrganizations, request, "organizations"):
            projects = ListProjectsRequest(organization_id=organization.id)
            listed = await calls.listed(stub.ListProjects, projects, "projects")
            found += [each.id for each in listed if each.namespace == calls.project]
    return found
