"""The built-in saga that provisions an agent."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flowmesh.api.identity.v1 import tenant_service_pb2, tenant_service_pb2_grpc
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.rpc import is_id
from flowmesh.sdk.sagas.agents import AgentMaker, ProcessAgents
from flowmesh.sdk.sagas.saga import NO_EFFECT, Command, Saga, SagaCall, Step, invalid
from flowmesh.sdk.values.event_streams import NewEvent
from flowmesh.sdk.values.failures import TaskFailure
from flowmesh.sdk.values.services import Service, ServiceEndpoint, ServiceType
from flowmesh.sdk.workflows.declarations import Retry
from flowmesh.sdk.workflows.flow import Workflow

PERMISSIONS_MAX = 50
RETRY = Retry(attempts=3, initial="200ms")


async def validate_tenant(call: SagaCall) -> Json:
    """Refuse a tenant that the caller cannot see; an open installation has no tenants."""
    tenant = call.data["tenantId"]
    if not is_id(tenant):
        raise TaskFailure("InvalidTenant", f"{tenant!r} is not the id of a tenant")
    if not call.client.caller.has_credential:
        return {"tenantId": tenant, "checked": False}
    stub = tenant_service_pb2_grpc.TenantServiceStub(call.client.caller.channel)
    request = tenant_service_pb2.ListProjectsRequest()
    while True:
        response = await call.client.caller.call(stub.ListProjects, request)
        if any(tenant in (each.id, each.namespace) for each in response.projects):
            return {"tenantId": tenant, "checked": True}
        if not response.next_page_token:
            raise TaskFailure("UnknownTenant", f"there is no tenant {tenant!r}")
        request.page_token = response.next_page_token


async def create_identity(call: SagaCall) -> Json:
    agent = _agent(call)
    data = {"tenantId": call.data["tenantId"], "type": call.data["agent"]["type"]}
    await _append(call, "AgentIdentityCreated", data)
    return {"agentId": agent}


async def revoke_identity(call: SagaCall) -> None:
    await _append(call, "AgentIdentityRevoked", {})


async def grant_permission(call: SagaCall) -> Json:
    await _append(call, "PermissionGranted", {"permission": call.input})
    return {"permission": call.input}


async def revoke_permission(call: SagaCall) -> None:
    await _append(call, "PermissionRevoked", {"permission": call.input})


async def spawn_agent(call: SagaCall) -> Json:
    config = call.data["agent"]
    return await AgentProvisioningSaga.maker.spawn(
        call.client, _agent(call), config["initial_task"]["name"], config.get("handler", "")
    )


async def stop_agent(call: SagaCall) -> None:
    await AgentProvisioningSaga.maker.stop(_agent(call))


async def register_agent(call: SagaCall) -> Json:
    config = call.data["agent"]
    instance = await call.client.registry.register(
        Service(
            id=_agent(call),
            name=config["type"],
            type=ServiceType.AGENT,
            # An agent is called through Flowmesh, by its queue.
            endpoint=ServiceEndpoint.parse(call.client.address),
            capabilities=[config["initial_task"]["name"]],
            metadata={"tenant": call.data["tenantId"]},
        )
    )
    return {"serviceId": instance.id}


async def deregister_agent(call: SagaCall) -> None:
    try:
        await call.client.registry.deregister(_agent(call))
    except NotFound:
        return  # its registration has expired


async def start_initial_task(call: SagaCall) -> Json:
    """Start the task on the queue of the agent, with the permissions that were granted."""
    config = call.data["agent"]
    task = config["initial_task"]
    flow = Workflow(f"{_agent(call)}-task")
    flow.task("task", task["name"], queue=_agent(call))
    await call.client.register(flow)
    handle = await call.client.start(
        flow.name,
        task.get("input"),
        request_id=f"{call.saga_id}-task",
        permissions=config["permissions"],
    )
    return {"executionId": handle.id}


async def cancel_initial_task(call: SagaCall) -> None:
    try:
        await call.client.handle(call.output["executionId"]).cancel("the agent is deprovisioned")
    except FlowmeshError as error:
        if error.reason != "EXECUTION_ENDED":
            raise


def _agent(call: SagaCall) -> str:
    return f"agent-{call.saga_id}"


async def _append(call: SagaCall, type: str, data: Mapping[str, Json]) -> None:
    """Append an event of the agent; a repeated attempt stores it once."""
    event = NewEvent(type, dict(data), id=f"{call.step}:{type}")
    await call.client.event_store.append(_agent(call), event)


def _check(config: Mapping[str, Any]) -> None:
    permissions, task = config.get("permissions"), config.get("initial_task")
    if not isinstance(config.get("type"), str) or not config["type"]:
        raise invalid("agent_config.type must be the type of the agent")
    if not isinstance(permissions, list | tuple) or not all(
        isinstance(each, str) and each for each in permissions
    ):
        raise invalid("agent_config.permissions must be a list of names")
    if len(permissions) > PERMISSIONS_MAX or len(set(permissions)) != len(permissions):
        raise invalid(f"agent_config.permissions must be at most {PERMISSIONS_MAX}, each once")
    if not isinstance(task, Mapping) or not is_id(str(task.get("name", ""))):
        raise invalid("agent_config.initial_task must have a name, such as process_data")


class AgentProvisioningSaga(Saga):
    """Provisions an agent of a tenant; if a step fails, the former ones are undone in reverse.

    Steps: validate the tenant, create the identity of the agent, grant each permission, spawn the
    agent, register it in discovery, start its initial task. `agent_config` has `type`,
    `permissions`, `initial_task` with its `name` and `input`, and `handler`, the function
    `module:function` that serves the task.

    Identity and permissions are events of the stream `agent-<saga id>`. `maker` starts the agents;
    by default they are processes of this machine.
    """

    maker: ClassVar[AgentMaker] = ProcessAgents()
    functions: ClassVar[Sequence[Command]] = (
        validate_tenant,
        create_identity,
        revoke_identity,
        grant_permission,
        revoke_permission,
        spawn_agent,
        stop_agent,
        register_agent,
        deregister_agent,
        start_initial_task,
        cancel_initial_task,
    )

    def __init__(self, tenant_id: str, agent_config: Mapping[str, Json], *, id: str = "") -> None:
        self.tenant_id = tenant_id
        self.agent_config = dict(agent_config)
        _check(self.agent_config)
        super().__init__({"tenantId": tenant_id, "agent": self.agent_config}, id=id)

    @property
    def agent_id(self) -> str:
        """The id of the agent: its service, its queue, its worker."""
        return f"agent-{self.id}"

    def plan(self) -> Sequence[Step]:
        grants = [
            Step(f"grant-{number}", grant_permission, revoke_permission, permission, RETRY)
            for number, permission in enumerate(self.agent_config["permissions"], 1)
        ]
        return [
            Step("validate-tenant", validate_tenant, NO_EFFECT),
            Step("create-identity", create_identity, revoke_identity, retry=RETRY),
            *grants,
            Step("spawn-agent", spawn_agent, stop_agent, retry=RETRY),
            Step("register", register_agent, deregister_agent, retry=RETRY),
            Step("start-initial-task", start_initial_task, cancel_initial_task, retry=RETRY),
        ]
