"""Tenants with the same names of everything, each with a canary in all that it stores."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from flowmesh.access import Role
from flowmesh.api.apphost.v1 import app_service_pb2, app_service_pb2_grpc
from flowmesh.api.broker.v1 import (
    broker_service_pb2,
    broker_service_pb2_grpc,
    message_pb2,
    message_service_pb2,
    message_service_pb2_grpc,
    topology_pb2,
)
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.event.v1 import (
    subscription_service_pb2,
    subscription_service_pb2_grpc,
    trigger_service_pb2,
    trigger_service_pb2_grpc,
)
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2,
    event_group_service_pb2_grpc,
    event_store_service_pb2,
    event_store_service_pb2_grpc,
    projection_service_pb2,
    projection_service_pb2_grpc,
    stored_event_pb2,
)
from flowmesh.api.execution.v1 import (
    bulk_service_pb2,
    bulk_service_pb2_grpc,
    control_service_pb2,
    control_service_pb2_grpc,
    execution_service_pb2,
    execution_service_pb2_grpc,
    limits_service_pb2,
    limits_service_pb2_grpc,
)
from flowmesh.api.fleet.v1 import agent_pb2, fleet_service_pb2, fleet_service_pb2_grpc
from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    file_service_pb2,
    file_service_pb2_grpc,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
    provider_service_pb2,
    provider_service_pb2_grpc,
    provisioning_service_pb2,
    provisioning_service_pb2_grpc,
    tenant_service_pb2,
)
from flowmesh.api.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from tests.features.closed import PASSWORD, Caller, Closed

PATIENCE_S = 30.0
# The name of one workflow, task, template and hook in every tenant.
SAME = "orders"
NODES = ("ask", "hook", "pay", "work")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company with one project, its credentials, and the names of what it stores."""

    canary: str
    namespace: str
    keys: dict[Role, Caller]
    ids: dict[int, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def admin(self) -> Caller:
        return self.keys[Role.ADMIN]

    @property
    def private(self) -> str:
        """Return a text that stands in inputs only: nothing but an answer to its tenant has it."""
        return f"{self.canary}-input"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no other tenant may see."""
        return (self.canary, *self.ids.values(), *self.names.values())


def twin(tenant: Tenant, canary: str) -> Tenant:
    """Return a tenant that never was: names of the same form, none of which exist."""
    names = {kind: _unknown(name, tenant, canary) for kind, name in tenant.names.items()}
    ids = {kind: _unknown(name, tenant, canary) for kind, name in tenant.ids.items()}
    return Tenant(canary, _unknown(tenant.namespace, tenant, canary), {}, ids, names)


def _unknown(name: str, tenant: Tenant, canary: str) -> str:
    """Return a name of the same form that is not in use."""
    if tenant.canary in name:
        return name.replace(tenant.canary, canary)
    # Ids of executions end with their partition, and tokens with their key or their text.
    middle = len(name) // 2
    digits = {"0": "1", "a": "b"}
    drawn = digits.get(name[middle], "0" if name[middle].isdigit() else "a")
    return f"{name[:middle]}{drawn}{name[middle + 1 :]}"


async def tenant(closed: Closed, canary: str) -> Tenant:
    """Create a company as `founded` does, and objects of every kind in it."""
    made = await founded(closed, canary)
    await asyncio.gather(
        *(
            seed(closed, made)
            for seed in (_people, _work, _files, _messages, _streams, _apps, _agents)
        )
    )
    await _others(closed, made)
    return made


async def _work(closed: Closed, tenant: Tenant) -> None:
    """Definitions, executions of them, and links to these."""
    for seed in (_definitions, _executions, _links):
        await seed(closed, tenant)


async def founded(closed: Closed, canary: str) -> Tenant:
    """Create a company with a project and keys of every role."""
    admin_of = closed.owner.tenants
    company = (
        await admin_of.CreateCompany(
            tenant_service_pb2.CreateCompanyRequest(slug=f"{canary}-co", name=canary)
        )
    ).company
    organization = (
        await admin_of.CreateOrganization(
            tenant_service_pb2.CreateOrganizationRequest(
                company_id=company.id, slug=f"{canary}-org", name=canary
            )
        )
    ).organization
    project = (
        await admin_of.CreateProject(
            tenant_service_pb2.CreateProjectRequest(
                organization_id=organization.id, slug=f"{canary}-ns", name=canary
            )
        )
    ).project
    # API keys cannot be owners.
    owner = await member(
        closed, f"owner@{canary}.example", principal_pb2.LEVEL_COMPANY, company.id, Role.OWNER
    )
    keys: dict[Role, Caller] = {Role.OWNER: closed.caller(owner.tokens.access_token)}
    for role in (Role.VIEWER, Role.EDITOR, Role.ADMIN, Role.WORKER):
        keys[role] = await closed.key(project.id, role.value)
    made = Tenant(canary, project.namespace, keys)
    made.ids.update(
        {
            IdKind.ID_KIND_COMPANY: company.id,
            IdKind.ID_KIND_ORGANIZATION: organization.id,
            IdKind.ID_KIND_PROJECT: project.id,
        }
    )
    return made


async def member(closed: Closed, email: str, level: int, id: str, role: Role) -> Any:
    """Register a user with a role on a level; return the answer with the user and its tokens."""
    grant = principal_pb2.Grant(
        level=principal_pb2.Level.ValueType(level), level_id=id, role=role.value
    )
    invited = await closed.owner.members.CreateInvitation(
        member_service_pb2.CreateInvitationRequest(email=email, grant=grant)
    )
    return await closed.caller("").auth.Register(
        auth_service_pb2.RegisterRequest(email=email, password=PASSWORD, invitation=invited.token)
    )


async def _people(closed: Closed, tenant: Tenant) -> None:
    """A member, an invitation and a key."""
    project = tenant.ids[IdKind.ID_KIND_PROJECT]
    grant = principal_pb2.Grant(
        level=principal_pb2.LEVEL_PROJECT, level_id=project, role=Role.EDITOR.value
    )
    invited = await closed.owner.members.CreateInvitation(
        member_service_pb2.CreateInvitationRequest(
            email=f"invited@{tenant.canary}.example", grant=grant
        )
    )
    registered = await member(
        closed,
        f"member@{tenant.canary}.example",
        principal_pb2.LEVEL_PROJECT,
        project,
        Role.EDITOR,
    )
    made = await closed.owner.keys.CreateApiKey(
        key_service_pb2.CreateApiKeyRequest(
            project_id=project, name=tenant.canary, role=Role.VIEWER.value
        )
    )
    settings = provider_service_pb2.ProviderSettings(
        name=tenant.canary, kind="oidc", issuer=f"https://{tenant.canary}.example", client_id="c"
    )
    provider = await provider_service_pb2_grpc.ProviderServiceStub(
        closed.owner.channel
    ).CreateProvider(
        provider_service_pb2.CreateProviderRequest(
            company_id=tenant.ids[IdKind.ID_KIND_COMPANY], settings=settings
        )
    )
    tenant.ids[IdKind.ID_KIND_IDENTITY_PROVIDER] = provider.provider.id
    provisioner = await closed.key(project, "viewer", permissions=[f"scim:{provider.provider.id}"])
    provisioned = await provisioning_service_pb2_grpc.ProvisioningServiceStub(
        provisioner.channel
    ).CreateScimGroup(provisioning_service_pb2.CreateScimGroupRequest(display_name=tenant.canary))
    tenant.ids[IdKind.ID_KIND_USER_GROUP] = provisioned.group.id
    tenant.ids[IdKind.ID_KIND_USER] = registered.user.id
    tenant.ids[IdKind.ID_KIND_INVITATION] = invited.invitation.id
    tenant.ids[IdKind.ID_KIND_API_KEY] = made.key.id


def _resource(kind: str, name: str, **spec: Json) -> Json:
    head = {"apiVersion": "workflow.io/v1", "kind": kind, "metadata": {"name": name}}
    return {**head, "spec": spec}


def definitions(tenant: Tenant) -> list[Json]:
    """Return the same resources under the same names, and some under names of the tenant."""
    canary = tenant.canary
    found = []
    for name in (SAME, canary):
        triggers = [
            {"id": name, "cron": {"expression": "0 2 * * *", "input": {"at": canary}}},
            {"id": "paid", "event": {"type": "paid", "input": {"at": canary}}},
            {"id": "hook", "webhook": {"path": name, "input": {"at": canary}}},
        ]
        text = {"type": "log", "log": {"message": canary}, "visibility": "public"}
        parameters = {"type": "object", "properties": {canary: {"type": "string"}}}
        made = _resource("Workflow", name, tasks=[{"id": "a", "taskRef": "noop"}])
        found += [
            _resource("WorkflowTask", name, description=canary, **text),
            _resource("WorkflowTemplate", name, parameters=parameters, resources=[made]),
            _resource(
                "Workflow",
                name,
                description=canary,
                triggers=triggers,
                tasks=[{"id": "done", "taskRef": name}],
                output="{{input}}",
            ),
        ]
    found.append(_resource("WorkflowTask", "toil", type=f"{canary}.toil", queue=canary))
    approval = {"title": canary, "assignees": [canary, "ida"]}
    tasks = [
        {"id": "ask", "approval": approval},
        {"id": "hook", "taskRef": "webhook.receive"},
        {"id": "pay", "wait": {"event": "paid", "correlate": "{{input.key}}"}},
        {"id": "work", "taskRef": "toil", "input": {"secret": tenant.private}},
    ]
    found.append(_resource("Workflow", "waiting", tasks=tasks))
    return found


async def _definitions(closed: Closed, tenant: Tenant) -> None:
    headers = {"flowmesh_namespace": tenant.namespace}
    for each in definitions(tenant):
        status, body = await tenant.admin.rest("POST", "/api/v1/workflows", each, **headers)
        assert status == 201, body
    label = f"/api/v1/workflows/{tenant.canary}/labels/{tenant.canary}"
    status, body = await tenant.admin.rest("PUT", label, {"version": 1}, **headers)
    assert status in (200, 201), body
    tenant.ids[IdKind.ID_KIND_WORKFLOW] = tenant.canary
    tenant.ids[IdKind.ID_KIND_TRIGGER] = tenant.canary
    tenant.names["name"] = tenant.names["label"] = tenant.names["hook"] = tenant.canary


async def _executions(closed: Closed, tenant: Tenant) -> None:
    """One that has ended, and one that waits for everything that is waited for."""
    stub = execution_service_pb2_grpc.ExecutionServiceStub(tenant.admin.channel)
    key = f"{tenant.canary}-key"
    for number, workflow in enumerate((tenant.canary, "waiting")):
        request = execution_service_pb2.StartExecutionRequest(
            namespace=tenant.namespace,
            workflow_id=workflow,
            request_id=f"request-{number}",
            wait_ms=5_000 if workflow != "waiting" else 0,
            labels={"tenant": tenant.canary},
        )
        request.input.data = json.dumps({"canary": tenant.private, "key": key}).encode()
        started = await stub.StartExecution(request)
        tenant.ids[IdKind.ID_KIND_EXECUTION] = started.execution_id
        tenant.names[f"execution of {workflow}"] = started.execution_id
    tenant.names["key"] = key
    get = execution_service_pb2.GetExecutionRequest(
        namespace=tenant.namespace, execution_id=tenant.ids[IdKind.ID_KIND_EXECUTION]
    )

    async def waits() -> bool:
        nodes = (await stub.GetExecution(get)).execution.nodes
        return {node.id for node in nodes if node.started_at_us} >= set(NODES[:3])

    await until("an execution that waits", waits, within_s=PATIENCE_S)


async def _links(closed: Closed, tenant: Tenant) -> None:
    """An approval link, the URL of a waiting node, and a payload."""
    execution = tenant.ids[IdKind.ID_KIND_EXECUTION]
    channel = tenant.admin.channel
    link = await control_service_pb2_grpc.ControlServiceStub(channel).CreateApprovalLink(
        control_service_pb2.CreateApprovalLinkRequest(
            namespace=tenant.namespace, execution_id=execution, node="ask", by=tenant.canary
        )
    )
    tenant.names["link"] = link.token
    hooks = await trigger_service_pb2_grpc.TriggerServiceStub(channel).ListHooks(
        trigger_service_pb2.ListHooksRequest(namespace=tenant.namespace, execution_id=execution)
    )
    tenant.names["token"] = hooks.hooks[0].token

    async def chunks() -> AsyncIterator[Any]:
        yield execution_service_pb2.PutPayloadRequest(
            namespace=tenant.namespace, chunk=json.dumps(tenant.canary).encode()
        )

    payloads = execution_service_pb2_grpc.PayloadServiceStub(channel)
    tenant.names["digest"] = (await payloads.PutPayload(chunks())).payload.reference.digest


async def _files(closed: Closed, tenant: Tenant) -> None:
    tenant.names["path"] = f"{tenant.canary}/file.txt"

    async def chunks() -> AsyncIterator[Any]:
        yield file_service_pb2.PutFileRequest(
            project_id=tenant.ids[IdKind.ID_KIND_PROJECT],
            path=tenant.names["path"],
            data=tenant.canary.encode(),
        )

    files = file_service_pb2_grpc.FileServiceStub(tenant.admin.channel)
    await files.PutFile(chunks())


async def _messages(closed: Closed, tenant: Tenant) -> None:
    """An exchange, a queue bound to it, and a message in it."""
    canary, namespace = tenant.canary, tenant.namespace
    broker = broker_service_pb2_grpc.BrokerServiceStub(tenant.admin.channel)
    exchange = topology_pb2.Exchange(exchange=canary, type=topology_pb2.EXCHANGE_TYPE_TOPIC)
    await broker.DeclareExchange(
        broker_service_pb2.DeclareExchangeRequest(namespace=namespace, exchange=exchange)
    )
    await broker.DeclareQueue(
        broker_service_pb2.DeclareQueueRequest(
            namespace=namespace, queue=topology_pb2.Queue(queue=canary)
        )
    )
    binding = topology_pb2.Binding(source=canary, queue=canary, key=canary)
    await broker.Bind(broker_service_pb2.BindRequest(namespace=namespace, binding=binding))
    message = message_pb2.Message(
        message_id=canary, body=json.dumps(tenant.private).encode(), routing_key=canary
    )
    await message_service_pb2_grpc.MessageServiceStub(tenant.admin.channel).Publish(
        message_service_pb2.PublishRequest(namespace=namespace, exchange=canary, messages=[message])
    )
    tenant.ids[IdKind.ID_KIND_QUEUE] = tenant.ids[IdKind.ID_KIND_EXCHANGE] = canary
    subscription = subscription_service_pb2.Subscription(subscription=canary, types=[canary])
    subscription.queue.routing_key = canary
    await subscription_service_pb2_grpc.SubscriptionServiceStub(
        tenant.admin.channel
    ).PutSubscription(
        subscription_service_pb2.PutSubscriptionRequest(
            namespace=namespace, subscription=subscription
        )
    )
    tenant.ids[IdKind.ID_KIND_SUBSCRIPTION] = canary


async def _streams(closed: Closed, tenant: Tenant) -> None:
    """A stream with an event, a group with a delivery, and a projection with a state."""
    canary, namespace, channel = tenant.canary, tenant.namespace, tenant.admin.channel
    data = json.dumps(tenant.private).encode()
    event = stored_event_pb2.NewEvent(event_id=canary, type=canary, data=data)
    await event_store_service_pb2_grpc.EventStoreServiceStub(channel).AppendEvents(
        event_store_service_pb2.AppendEventsRequest(
            namespace=namespace, stream=canary, events=[event]
        )
    )
    groups = event_group_service_pb2_grpc.EventGroupServiceStub(channel)
    group = event_group_service_pb2.EventGroup(event_group=canary, lease_ms=3_600_000)
    await groups.PutEventGroup(
        event_group_service_pb2.PutEventGroupRequest(namespace=namespace, group=group)
    )
    projections = projection_service_pb2_grpc.ProjectionServiceStub(channel)
    projection = projection_service_pb2.Projection(projection=canary)
    await projections.PutProjection(
        projection_service_pb2.PutProjectionRequest(namespace=namespace, projection=projection)
    )
    state = projection_service_pb2.ProjectionState(key=canary, state=data)
    await projections.CommitProjection(
        projection_service_pb2.CommitProjectionRequest(
            namespace=namespace, projection=canary, generation=1, to_checkpoint=1, states=[state]
        )
    )
    for kind in (
        IdKind.ID_KIND_STREAM,
        IdKind.ID_KIND_EVENT_GROUP,
        IdKind.ID_KIND_PROJECTION,
    ):
        tenant.ids[kind] = canary


async def _apps(closed: Closed, tenant: Tenant) -> None:
    """An application without a server; its process logs its name."""
    stub = app_service_pb2_grpc.AppServiceStub(tenant.admin.channel)
    await stub.DeployApp(
        app_service_pb2.DeployAppRequest(
            namespace=tenant.namespace,
            app=tenant.canary,
            document=f"name: {tenant.canary}\nmodules: [{{name: a, type: http.handler}}]\n",
            environment={"NAME": tenant.private},
        )
    )
    tenant.ids[IdKind.ID_KIND_APP] = tenant.canary


async def _agents(closed: Closed, tenant: Tenant) -> None:
    """A spec without agents that shall run, an agent of it, and a policy."""
    stub = fleet_service_pb2_grpc.FleetServiceStub(tenant.admin.channel)
    spec = agent_pb2.AgentSpec(
        spec=tenant.canary,
        command=["python", "-c", "import signal; signal.pause()"],
        environment={"NAME": tenant.private},
        health=agent_pb2.AGENT_HEALTH_PROCESS,
    )
    namespace = tenant.namespace
    await stub.ApplyAgentSpec(
        fleet_service_pb2.ApplyAgentSpecRequest(namespace=namespace, spec=spec)
    )
    spawned = await stub.SpawnAgents(
        fleet_service_pb2.SpawnAgentsRequest(namespace=namespace, spec=tenant.canary)
    )
    policy = agent_pb2.ScalingPolicy(
        policy=tenant.canary, spec=tenant.canary, strategy=agent_pb2.SCALING_STRATEGY_FIXED
    )
    await stub.ApplyScalingPolicy(
        fleet_service_pb2.ApplyScalingPolicyRequest(namespace=namespace, policy=policy)
    )
    tenant.ids[IdKind.ID_KIND_AGENT] = spawned.agents[0].agent_id
    for kind in (IdKind.ID_KIND_AGENT_SPEC, IdKind.ID_KIND_SCALING_POLICY):
        tenant.ids[kind] = tenant.canary


async def _others(closed: Closed, tenant: Tenant) -> None:
    """A bulk operation, a limit, and an instance."""
    channel = tenant.admin.channel
    bulk = await bulk_service_pb2_grpc.BulkServiceStub(channel).StartBulk(
        bulk_service_pb2.StartBulkRequest(
            namespace=tenant.namespace,
            filter=f"workflow = '{tenant.canary}' and status = running",
            action=bulk_service_pb2.BulkAction(name="pause", reason=tenant.canary),
            request_id=SAME,
        )
    )
    tenant.ids[IdKind.ID_KIND_BULK] = bulk.bulk.bulk_id
    limit = limits_service_pb2.SetLimitRequest(reason=tenant.canary)
    limit.limit.namespace, limit.limit.subject = tenant.namespace, tenant.canary
    limit.limit.kind, limit.limit.concurrency = limits_service_pb2.LIMIT_KIND_QUEUE, 5
    await limits_service_pb2_grpc.LimitServiceStub(channel).SetLimit(limit)
    tenant.names["subject"] = tenant.canary
    instance = registry_service_pb2.RegisterInstanceRequest(heartbeat_interval_ms=300_000)
    instance.instance.namespace, instance.instance.id = tenant.namespace, f"{tenant.canary}-inst"
    instance.instance.name, instance.instance.type = tenant.canary, "service"
    instance.instance.endpoint = f"http://{tenant.canary}.example"
    instance.instance.metadata["canary"] = tenant.canary
    registered = await registry_service_pb2_grpc.RegistryServiceStub(channel).RegisterInstance(
        instance
    )
    tenant.ids[IdKind.ID_KIND_INSTANCE] = registered.instance.id
