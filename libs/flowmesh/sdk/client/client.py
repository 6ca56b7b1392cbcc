"""The client: registers workflows, starts executions and finds them again, over gRPC."""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

from flowmesh import errors
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.sdk.client.alias import Alias
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.client.parts.approval_links import ApprovalLinkCalls
from flowmesh.sdk.client.parts.archive import ArchiveCalls
from flowmesh.sdk.client.parts.broker import BrokerCalls
from flowmesh.sdk.client.parts.bulks import BulkCalls
from flowmesh.sdk.client.parts.dispatch import DispatchCalls
from flowmesh.sdk.client.parts.event_store import (
    EventGroupCalls,
    EventStoreCalls,
    ProjectionCalls,
)
from flowmesh.sdk.client.parts.executions import ExecutionCalls
from flowmesh.sdk.client.parts.insights import InsightCalls
from flowmesh.sdk.client.parts.messages import MessageCalls
from flowmesh.sdk.client.parts.registry import RegistryCalls
from flowmesh.sdk.client.parts.subscriptions import SubscriptionCalls
from flowmesh.sdk.client.parts.tasks import TaskCalls
from flowmesh.sdk.client.parts.templates import TemplateCalls
from flowmesh.sdk.client.parts.triggers import TriggerCalls
from flowmesh.sdk.client.parts.versions import Version, VersionCalls, version_fields
from flowmesh.sdk.client.parts.workflows import WorkflowCalls
from flowmesh.sdk.client.session import Session
from flowmesh.sdk.client.stubs import ExecutionStubs
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.transport.credentials import TokenSource
from flowmesh.sdk.transport.endpoint import Tls
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.ids import new_request_id
from flowmesh.sdk.values.sealing import Codec

if TYPE_CHECKING:
    from flowmesh.sdk_sync import SyncClient


class Client:
    """`async with Client("127.0.0.1:7450") as client: await client.run("workflow", input)`.

    Starts executions itself; all other calls are grouped in parts, such as `client.workflows` and
    `client.executions`. The most used ones have a name of the client too: `client.register` is
    `client.workflows.register`.

    `address` defaults to FLOWMESH_ADDRESS or 127.0.0.1:7450, `namespace` to FLOWMESH_NAMESPACE, the
    only one of the credential or `default`, and `actor`, which is recorded with each change, to
    FLOWMESH_ACTOR.

    A closed installation asks for `api_key` (FLOWMESH_API_KEY), or for `token` (FLOWMESH_TOKEN):
    an access token, a function that returns one when the former expires, a `Login`, or an empty
    text for none. An address `grpcs://host:port` uses TLS; `tls` is a `Tls` with other files than
    those of FLOWMESH_CA, FLOWMESH_CLIENT_CERT and FLOWMESH_CLIENT_KEY, or False, which sends the
    credential without TLS. `codec` seals values before they leave, such as `SealingKeys`.
    """

    def __init__(
        self,
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
        actor: str = "",
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        connection = Connection(
            address,
            namespace,
            token=token,
            api_key=api_key,
            tls=tls,
            codec=codec,
            actor=actor,
            new_id=new_id,
        )
        stubs = ExecutionStubs(connection.caller.channel)
        self._connection = connection
        self._stubs = stubs
        self.address = connection.address
        self.namespace = connection.namespace
        self.actor = connection.actor
        self.caller = connection.caller
        self.codec = codec
        self.payloads = connection.payloads
        self.workflows = WorkflowCalls(connection)
        self.versions = VersionCalls(connection)
        self.tasks = TaskCalls(connection)
        self.templates = TemplateCalls(connection)
        self.triggers = TriggerCalls(connection)
        self.executions = ExecutionCalls(connection, stubs)
        self.bulks = BulkCalls(connection)
        self.archive = ArchiveCalls(connection)
        self.approval_links = ApprovalLinkCalls(connection, stubs)
        self.dispatch = DispatchCalls(connection)
        self.insights = InsightCalls(connection)
        self.registry = RegistryCalls(connection)
        self.broker = BrokerCalls(connection)
        self.messages = MessageCalls(connection, self.broker)
        self.event_store = EventStoreCalls(connection)
        self.event_groups = EventGroupCalls(connection)
        self.projections = ProjectionCalls(connection)
        self.subscriptions = SubscriptionCalls(connection)

    @classmethod
    async def connect(
        cls,
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
        timeout: float = limits.CONNECT_TIMEOUT_S,
    ) -> Self:
        """Create a client and wait for its server.

        Raises Unavailable if the server does not respond within `timeout` seconds.
        """
        client = cls(address, namespace, token=token, api_key=api_key, tls=tls, codec=codec)
        try:
            await client.ready(timeout)
        except errors.FlowmeshError:
            await client.close()
            raise
        return client

    @staticmethod
    def sync(
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
    ) -> "SyncClient":
        """Create a client with blocking calls, for code without an event loop."""
        from flowmesh.sdk_sync import SyncClient  # which is built on this class

        return SyncClient(address, namespace, token=token, api_key=api_key, tls=tls, codec=codec)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ready(self, timeout: float = limits.CONNECT_TIMEOUT_S) -> None:
        """Wait for the server; raise Unavailable if it does not respond within `timeout` s."""
        await self._connection.ready(timeout)

    async def close(self) -> None:
        """Close the connections and cancel open calls."""
        await self._connection.close()

    def session(self) -> Session:
        """Return a session: one stream for many starts and their results."""
        return Session(
            caller=self.caller,
            payloads=self.payloads,
            namespace=self.namespace,
            new_id=self._connection.new_id,
        )

    def handle(self, execution_id: str) -> Handle:
        """Return a handle of an existing execution, without a call."""
        return Handle(self._connection, self._stubs, execution_id)

    async def start(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        wait: float = 0,
        stop_everywhere: bool = False,
        breakpoints: Collection[str] = (),
        labels: Mapping[str, str] | None = None,
        permissions: Collection[str] = (),
    ) -> Handle:
        """Start an execution; it is durable once this returns.

        A repeated `request_id` returns the execution that it started first. With `wait` (seconds)
        the call waits at most this long for the end; the handle then has the result. The execution
        pauses before each node of `breakpoints`, or before every node with `stop_everywhere`,
        until it is continued. Tasks that declare permissions run only if `permissions` contains
        all of them.
        """
        return await self._start(
            workflow_id,
            input,
            request_id,
            version,
            wait,
            nodes=True,
            stop_everywhere=stop_everywhere,
            breakpoints=sorted(breakpoints),
            labels=labels,
            permissions=sorted(permissions),
        )

    async def run(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        timeout: float = limits.RUN_TIMEOUT_S,
    ) -> Json:
        """Start an execution, wait for the end and return the output.

        Raises ExecutionFailed if it does not complete, Timeout if it still runs after `timeout`
        seconds.
        """
        until = asyncio.get_running_loop().time() + timeout
        wait = min(timeout, limits.RUN_TIMEOUT_S)
        handle = await self._start(
            workflow_id, input, request_id, version, wait, nodes=False, within_s=timeout
        )
        return await handle.result(max(0.0, until - asyncio.get_running_loop().time()))

    async def _start(
        self,
        workflow_id: str,
        input: Json,
        request_id: str,
        version: Version,
        wait: float,
        *,
        nodes: bool,
        within_s: float = math.inf,
        **options: Any,
    ) -> Handle:
        request = pb.StartExecutionRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            **version_fields(version),
            actor=self.actor,
            input=await self.payloads.pack(input),
            request_id=request_id or self._connection.new_id(),
            wait_ms=int(wait * 1000),
            without_nodes=not nodes,
            **options,
        )
        response = await self.caller.call(
            self._stubs.executions.StartExecution,
            request,
            timeout_s=wait + limits.CALL_TIMEOUT_S,
            within_s=within_s,
        )
        return Handle(
            self._connection,
            self._stubs,
            response.execution_id,
            created=response.created,
            ended=response.execution if response.HasField("execution") else None,
        )

    register = Alias(WorkflowCalls.register, of="workflows")
    apply = Alias(WorkflowCalls.apply, of="workflows")
    validate = Alias(WorkflowCalls.validate, of="workflows")
    dry_run = Alias(WorkflowCalls.dry_run, of="workflows")
    get_workflow = Alias(WorkflowCalls.get, of="workflows")
    list_workflows = Alias(WorkflowCalls.list, of="workflows")
    list_versions = Alias(WorkflowCalls.versions, of="workflows")
    delete_workflow = Alias(WorkflowCalls.delete, of="workflows")
    analyze = Alias(WorkflowCalls.analyze, of="workflows")

    set_label = Alias(VersionCalls.set_label, of="versions")
    rollback = Alias(VersionCalls.rollback, of="versions")
    delete_label = Alias(VersionCalls.delete_label, of="versions")
    labels = Alias(VersionCalls.labels, of="versions")
    changes = Alias(VersionCalls.changes, of="versions")
    diff = Alias(VersionCalls.diff, of="versions")
    compatibility = Alias(VersionCalls.compatibility, of="versions")

    get_task = Alias(TaskCalls.get, of="tasks")
    list_tasks = Alias(TaskCalls.list, of="tasks")
    task_users = Alias(TaskCalls.users, of="tasks")
    delete_task = Alias(TaskCalls.delete, of="tasks")

    get_template = Alias(TemplateCalls.get, of="templates")
    delete_template = Alias(TemplateCalls.delete, of="templates")
    instantiate = Alias(TemplateCalls.instantiate, of="templates")
    template_stats = Alias(TemplateCalls.stats, of="templates")

    pause_trigger = Alias(TriggerCalls.pause, of="triggers")
    resume_trigger = Alias(TriggerCalls.resume, of="triggers")
    fire_trigger = Alias(TriggerCalls.fire, of="triggers")
    publish = Alias(TriggerCalls.publish, of="triggers")
    causes = Alias(TriggerCalls.causes, of="triggers")
    count_causes = Alias(TriggerCalls.count_causes, of="triggers")
    hooks = Alias(TriggerCalls.hooks, of="triggers")

    get_execution = Alias(ExecutionCalls.get, of="executions")
    list_executions = Alias(ExecutionCalls.list, of="executions")
    count_executions = Alias(ExecutionCalls.count, of="executions")
    set_search_attributes = Alias(ExecutionCalls.set_search_attributes, of="executions")
    signal_by_key = Alias(ExecutionCalls.signal_by_key, of="executions")
    approvals = Alias(ExecutionCalls.approvals, of="executions")
    history = Alias(ExecutionCalls.history, of="executions")
    download_history = Alias(ExecutionCalls.download_history, of="executions")
    events = Alias(ExecutionCalls.events, of="executions")
    stats = Alias(ExecutionCalls.stats, of="executions")
    fetch = Alias(ExecutionCalls.fetch, of="executions")

    preview_bulk = Alias(BulkCalls.preview, of="bulks")
    start_bulk = Alias(BulkCalls.start, of="bulks")
    get_bulk = Alias(BulkCalls.get, of="bulks")
    list_bulks = Alias(BulkCalls.list, of="bulks")
    cancel_bulk = Alias(BulkCalls.cancel, of="bulks")

    retention = Alias(ArchiveCalls.retention, of="archive")
    set_retention = Alias(ArchiveCalls.set_retention, of="archive")
    delete_execution = Alias(ArchiveCalls.delete, of="archive")
    erase_execution = Alias(ArchiveCalls.erase, of="archive")
    list_archived = Alias(ArchiveCalls.list, of="archive")
    archived_document = Alias(ArchiveCalls.document, of="archive")

    rotate_link_key = Alias(ApprovalLinkCalls.rotate_key, of="approval_links")
    link_keys = Alias(ApprovalLinkCalls.keys, of="approval_links")

    set_limit = Alias(DispatchCalls.set_limit, of="dispatch")
    delete_limit = Alias(DispatchCalls.delete_limit, of="dispatch")
    limits = Alias(DispatchCalls.limits, of="dispatch")
    limit_changes = Alias(DispatchCalls.limit_changes, of="dispatch")
    stop_dispatch = Alias(DispatchCalls.stop, of="dispatch")
    start_dispatch = Alias(DispatchCalls.start, of="dispatch")
    queues = Alias(DispatchCalls.queues, of="dispatch")
    dead_letters = Alias(DispatchCalls.dead_letters, of="dispatch")
    discard_dead_letters = Alias(DispatchCalls.discard_dead_letters, of="dispatch")
    restore_dead_letters = Alias(DispatchCalls.restore_dead_letters, of="dispatch")
    workers = Alias(DispatchCalls.workers, of="dispatch")
    breakers = Alias(DispatchCalls.breakers, of="dispatch")

    state_at = Alias(InsightCalls.state_at, of="insights")
    trace = Alias(InsightCalls.trace, of="insights")
    compare = Alias(InsightCalls.compare, of="insights")
    watch_variable = Alias(InsightCalls.watch_variable, of="insights")
    node_inputs = Alias(InsightCalls.node_inputs, of="insights")
    explain = Alias(InsightCalls.explain, of="insights")
    explain_workflow = Alias(InsightCalls.explain_workflow, of="insights")
    bottlenecks = Alias(InsightCalls.bottlenecks, of="insights")

    services = Alias(RegistryCalls.list, of="registry")
    register_service = Alias(RegistryCalls.register, of="registry")
    heartbeat_service = Alias(RegistryCalls.heartbeat, of="registry")
    deregister_service = Alias(RegistryCalls.deregister, of="registry")
    registered = Alias(RegistryCalls.registered, of="registry")
