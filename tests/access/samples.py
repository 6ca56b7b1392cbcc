"""A request of every method about the objects of one tenant, valid apart from whose they are."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.execution.v1 import execution_pb2, limits_service_pb2
from flowmesh.api.identity.v1 import principal_pb2
from tests.access.contracts import Field, Method, fill
from tests.access.tenants import SAME, Tenant

DEFINITION = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "sample"},
    "spec": {"tasks": [{"id": "a", "taskRef": "noop"}]},
}
SOURCE = yaml.safe_dump(DEFINITION).encode()
EMPTY = json.dumps({}).encode()
# Values of fields by their name, in whichever request they are.
USUAL: Mapping[str, Any] = {
    "source": SOURCE,
    "content_type": "application/yaml",
    "kind": "workflow",
    "by": "ida",
    "action": execution_pb2.NODE_ACTION_SKIP,
    "from_us": 1,
    "to_us": 3_600_000_000,
    "from_version": "1",
    "to_version": "1",
    "timeout_ms": 1,
    "retention_ms": 86_400_000,
    "chunk": EMPTY,
    "data": EMPTY,
    "value": EMPTY,
    "slug": "sample",
    "email": "sample@example.com",
    "password": "a sample of a password",
    "role": "viewer",
    "level": principal_pb2.LEVEL_PROJECT,
    "etag": "999",
    "sequence": 1,
}


def sample(method: Method, tenant: Tenant) -> Any:
    """Return a request that names only what the tenant has."""
    request = method.request()
    for field in method.descriptor.input_type.fields:
        if field.name in USUAL and field.message_type is None and not field.is_repeated:
            usual = USUAL[field.name]
            if isinstance(getattr(request, field.name), type(usual)):
                setattr(request, field.name, usual)
    for path in method.rule.namespaces:
        fill(request, path, tenant.namespace)
    for name in method.fields:
        fill(request, name.path, value_of(name, tenant))
    if method.name in NEEDED:
        NEEDED[method.name](request, tenant)
    return request


def value_of(field: Field, tenant: Tenant) -> str:
    """Return the name of the tenant's object that the field names."""
    if field.kind:
        return tenant.ids.get(field.kind, f"{tenant.canary}-id")
    return tenant.names.get(field.path[-1], f"{tenant.canary}-name")


def _payload(payload: Any) -> None:
    payload.data = EMPTY


def _node(request: Any, node: str) -> None:
    request.node = node


def _named(request: Any, value: str, name: str = "name") -> None:
    setattr(request, name, value)


def _link(request: Any, tenant: Tenant) -> None:
    request.token = tenant.names.get("link", "")


def _bulk(request: Any) -> None:
    request.filter, request.action.name = f"workflow = '{SAME}'", "pause"


def _session(request: Any) -> None:
    request.starts[0].call_id, request.watches[0].call_id = 1, 2


def _limit(limit: Any, tenant: Tenant) -> None:
    limit.kind, limit.concurrency = limits_service_pb2.LIMIT_KIND_QUEUE, 5
    limit.subject = tenant.names.get("subject", tenant.canary)


def _limit_kind(request: Any) -> None:
    request.kind = limits_service_pb2.LIMIT_KIND_QUEUE


def _grant(grant: Any) -> None:
    grant.level, grant.role = principal_pb2.LEVEL_PROJECT, "viewer"


def _instance(instance: Any) -> None:
    instance.name, instance.type = SAME, "service"
    instance.endpoint = "http://sample.example"


def _event(event: Any) -> None:
    event.type = "sample"
    event.data.data = EMPTY


def _subscription(subscription: Any) -> None:
    subscription.webhook.url = "http://sample.example"
    subscription.ClearField("queue")


def _exchange(exchange: Any) -> None:
    exchange.type = topology_pb2.EXCHANGE_TYPE_TOPIC


def _hello(request: Any, tenant: Tenant) -> None:
    request.results.clear()
    hello = request.hello
    hello.task_types.append(f"{tenant.canary}.toil")
    hello.queues.append(tenant.canary)
    hello.slots = 1


def _dashboard(request: Any) -> None:
    series = [{"metric": "flowmesh_tasks_ready"}]
    panels = [{"title": "Tasks", "series": series}]
    request.source = json.dumps({"name": request.name, "panels": panels}).encode()


# Values that one method needs, by `Service.Method`.
NEEDED: Mapping[str, Callable[[Any, Tenant], None]] = {
    "BrokerService.DeclareExchange": lambda request, _: _exchange(request.exchange),
    "BulkService.StartBulk": lambda request, _: _bulk(request),
    "ControlService.SetVariable": lambda request, _: _payload(request.value),
    "ControlService.SteerNode": lambda request, _: _node(request, "work"),
    "ControlService.DecideApproval": lambda request, _: _node(request, "ask"),
    "ControlService.CreateApprovalLink": lambda request, _: _node(request, "ask"),
    "ControlService.ReadApprovalLink": _link,
    "ControlService.DecideByLink": _link,
    "ControlService.RerunExecution": lambda request, _: request.from_nodes.append("work"),
    "ControlService.PlanRerun": lambda request, _: request.from_nodes.append("work"),
    "DashboardService.PutDashboard": lambda request, _: _dashboard(request),
    "ExecutionService.Session": lambda request, _: _session(request),
    "ExecutionService.SignalExecution": lambda request, _: _named(request, "paid"),
    "ExecutionService.SignalByKey": lambda request, _: _named(request, "paid"),
    "SearchService.CountExecutions": lambda request, _: request.group_by.append("status"),
    "InsightService.WatchVariable": lambda request, _: _named(request, "input", "path"),
    "LimitService.SetLimit": lambda request, tenant: _limit(request.limit, tenant),
    "LimitService.DeleteLimit": lambda request, _: _limit_kind(request),
    "MemberService.SetMember": lambda request, _: _grant(request.grant),
    "MemberService.CreateInvitation": lambda request, _: _grant(request.grant),
    "ObserveService.ListSpans": lambda request, _: request.ClearField("trace_id"),
    "ObserveService.SetSlo": lambda request, _: setattr(request, "target", 99.0),
    "RegistryService.RegisterInstance": lambda request, _: _instance(request.instance),
    "SearchService.SetSearchAttributes": lambda request, _: request.values.add(
        name="region", text="north"
    ),
    "SubscriptionService.PutSubscription": lambda request, _: _subscription(request.subscription),
    "TriggerService.PublishEvent": lambda request, _: _event(request.event),
    "WorkerService.Work": _hello,
}
