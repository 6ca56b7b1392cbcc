"""The client with blocking calls. Every call runs on one private loop; nothing else differs."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from flowmesh.dryrun.report import Report
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.reports import Comparison, NodeInputs, Watch
from flowmesh.insight.states import StateAt
from flowmesh.insight.traces import Trace
from flowmesh.sdk import limits
from flowmesh.sdk.client.background_loop import Portal
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.definition_calls import Applied, Definition, Registered, Stored, Validation
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.client.node_control import UNSET, RerunPlan
from flowmesh.sdk.client.search_calls import Count, SearchValue
from flowmesh.sdk.client.template_calls import Instantiated, Template
from flowmesh.sdk.client.trigger_calls import Fired, Hook, Published, Trigger
from flowmesh.sdk.client.version_calls import Change, Compatibility, Diff, Label, Version
from flowmesh.sdk.events import Event
from flowmesh.sdk.executions import Execution, Status, StoredValue
from flowmesh.sdk.histories import History
from flowmesh.sdk.payloads import Json
from flowmesh.sdk.services import Service, ServiceInstance

T = TypeVar("T")


class SyncHandle:
    """One execution by its id."""

    def __init__(self, portal: Portal, handle: Handle) -> None:
        self._portal = portal
        self._handle = handle
        self.id = handle.id
        self.created = handle.created

    def __repr__(self) -> str:
        return f"SyncHandle({self.id!r})"

    def wait(self, timeout: float | None = None) -> Execution:
        return self._portal.call(self._handle.wait(timeout))

    def result(self, timeout: float | None = None) -> Json:
        return self._portal.call(self._handle.result(timeout))

    def describe(self) -> Execution:
        return self._portal.call(self._handle.describe())

    def outputs(self) -> dict[str, Json]:
        return self._portal.call(self._handle.outputs())

    def status(self) -> Status:
        return self._portal.call(self._handle.status())

    def signal(self, name: str, payload: Json = None, *, request_id: str = "") -> int:
        return self._portal.call(self._handle.signal(name, payload, request_id=request_id))

    def cancel(self, reason: str = "", *, request_id: str = "") -> None:
        self._portal.call(self._handle.cancel(reason, request_id=request_id))

    def pause(self, reason: str = "", *, request_id: str = "") -> None:
        self._portal.call(self._handle.pause(reason, request_id=request_id))

    def resume(self, reason: str = "", *, request_id: str = "") -> None:
        self._portal.call(self._handle.resume(reason, request_id=request_id))

    def terminate(self, reason: str = "", *, request_id: str = "") -> None:
        self._portal.call(self._handle.terminate(reason, request_id=request_id))

    def plan_rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        newest_version: bool = False,
    ) -> RerunPlan:
        planned = self._handle.plan_rerun(
            from_nodes, from_failed=from_failed, newest_version=newest_version
        )
        return self._portal.call(planned)

    def rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        input: Json = UNSET,
        node_inputs: Mapping[str, Json] | None = None,
        newest_version: bool = False,
        reason: str = "",
        request_id: str = "",
    ) -> "SyncHandle":
        started = self._handle.rerun(
            from_nodes,
            from_failed=from_failed,
            input=input,
            node_inputs=node_inputs,
            newest_version=newest_version,
            reason=reason,
            request_id=request_id,
        )
        return SyncHandle(self._portal, self._portal.call(started))

    def events(self, *, after: int = 0, types: Collection[str] = ()) -> Iterator[Event]:
        return self._portal.iterate(lambda: self._handle.events(after=after, types=types))


class SyncClient:
    """`with Client.sync() as client: client.run("workflow", input)`."""

    def __init__(
        self,
        address: str = "",
        namespace: str = "",
    ) -> None:
        self._portal = Portal()
        self._client = self._portal.call(_client(address, namespace))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is open; once it is closed, nothing happens."""
        if self._portal.closed:
            return
        self._portal.call(self._client.close())
        self._portal.close()

    def call(self, do: Callable[[Client], Awaitable[T]]) -> T:
        """Whatever has no method here: `client.call(lambda c: c.handle(id).skip_node("a"))`."""

        async def done() -> T:
            return await do(self._client)

        return self._portal.call(done())

    def iterate(self, over: Callable[[Client], AsyncIterator[T]]) -> Iterator[T]:
        """The same for what is iterated: `client.iterate(lambda c: c.approvals())`."""
        return self._portal.iterate(lambda: over(self._client))

    def ready(self, timeout: float = limits.CONNECT_TIMEOUT_S) -> None:
        self._portal.call(self._client.ready(timeout))

    def register(self, definition: Definition, *, request_id: str = "") -> Registered:
        return self._portal.call(self._client.register(definition, request_id=request_id))

    def apply(self, definition: Definition, *, request_id: str = "") -> Applied:
        return self._portal.call(self._client.apply(definition, request_id=request_id))

    def validate(
        self, definition: Definition, *, lint: bool = False, strict: bool = False
    ) -> Validation:
        return self._portal.call(self._client.validate(definition, lint=lint, strict=strict))

    def dry_run(
        self,
        workflow_id: str = "",
        given: Json = None,
        *,
        definition: Definition | None = None,
        mocks: Mapping[str, Json] | None = None,
        signals: Sequence[Json] = (),
        version: Version = 0,
    ) -> Report:
        return self._portal.call(
            self._client.dry_run(
                workflow_id,
                given,
                definition=definition,
                mocks=mocks,
                signals=signals,
                version=version,
            )
        )

    def get_workflow(self, workflow_id: str, *, version: Version = 0) -> Stored:
        return self._portal.call(self._client.get_workflow(workflow_id, version=version))

    def get_task(self, name: str, *, version: int = 0) -> Stored:
        return self._portal.call(self._client.get_task(name, version=version))

    def triggers(self, workflow_id: str = "") -> Iterator[Trigger]:
        return self._portal.iterate(lambda: self._client.triggers(workflow_id))

    def pause_trigger(self, workflow_id: str, trigger_id: str) -> Trigger:
        return self._portal.call(self._client.pause_trigger(workflow_id, trigger_id))

    def resume_trigger(self, workflow_id: str, trigger_id: str) -> Trigger:
        return self._portal.call(self._client.resume_trigger(workflow_id, trigger_id))

    def fire_trigger(
        self, workflow_id: str, trigger_id: str, input: Json = None, *, request_id: str = ""
    ) -> Fired:
        return self._portal.call(
            self._client.fire_trigger(workflow_id, trigger_id, input, request_id=request_id)
        )

    def publish(
        self,
        type: str,
        data: Json = None,
        *,
        source: str = "",
        id: str = "",
        subject: str = "",
        extensions: Mapping[str, str | int | bool] | None = None,
    ) -> Published:
        return self._portal.call(
            self._client.publish(
                type, data, source=source, id=id, subject=subject, extensions=extensions
            )
        )

    def hooks(self, execution_id: str) -> tuple[Hook, ...]:
        return self._portal.call(self._client.hooks(execution_id))

    def set_label(
        self, workflow_id: str, label: str, version: Version, *, reason: str = ""
    ) -> Label:
        return self._portal.call(self._client.set_label(workflow_id, label, version, reason=reason))

    def rollback(self, workflow_id: str, label: str, *, reason: str = "") -> Label:
        return self._portal.call(self._client.rollback(workflow_id, label, reason=reason))

    def delete_label(self, workflow_id: str, label: str, *, reason: str = "") -> None:
        self._portal.call(self._client.delete_label(workflow_id, label, reason=reason))

    def labels(self, workflow_id: str) -> tuple[Label, ...]:
        return self._portal.call(self._client.labels(workflow_id))

    def changes(self, name: str, *, kind: str = "Workflow", label: str = "") -> Iterator[Change]:
        return self._portal.iterate(lambda: self._client.changes(name, kind=kind, label=label))

    def diff(self, workflow_id: str, before: Version, after: Version = 0) -> Diff:
        return self._portal.call(self._client.diff(workflow_id, before, after))

    def compatibility(
        self, workflow_id: str, before: Version = 0, after: Version = 0, *, source: bytes = b""
    ) -> Compatibility:
        return self._portal.call(
            self._client.compatibility(workflow_id, before, after, source=source)
        )

    def templates(self) -> Iterator[Template]:
        return self._portal.iterate(self._client.templates)

    def get_template(self, name: str, *, version: int = 0) -> Template:
        return self._portal.call(self._client.get_template(name, version=version))

    def instantiate(
        self,
        template: str,
        name: str,
        parameters: dict[str, Json] | None = None,
        *,
        dry_run: bool = False,
    ) -> Instantiated:
        return self._portal.call(
            self._client.instantiate(template, name, parameters, dry_run=dry_run)
        )

    def delete_workflow(self, workflow_id: str, *, request_id: str = "") -> None:
        self._portal.call(self._client.delete_workflow(workflow_id, request_id=request_id))

    def list_workflows(self, *, where: str = "") -> Iterator[Stored]:
        return self._portal.iterate(lambda: self._client.list_workflows(where=where))

    def list_tasks(self) -> Iterator[Stored]:
        return self._portal.iterate(self._client.list_tasks)

    def start(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        wait: float = 0,
        labels: Mapping[str, str] | None = None,
        permissions: Collection[str] = (),
    ) -> SyncHandle:
        handle = self._portal.call(
            self._client.start(
                workflow_id,
                input,
                request_id=request_id,
                version=version,
                wait=wait,
                labels=labels,
                permissions=permissions,
            )
        )
        return SyncHandle(self._portal, handle)

    def run(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        timeout: float = limits.RUN_TIMEOUT_S,
    ) -> Json:
        return self._portal.call(
            self._client.run(
                workflow_id, input, request_id=request_id, version=version, timeout=timeout
            )
        )

    def signal_by_key(
        self, name: str, key: str, payload: Json = None, *, request_id: str = ""
    ) -> dict[str, int]:
        return self._portal.call(
            self._client.signal_by_key(name, key, payload, request_id=request_id)
        )

    def handle(self, execution_id: str) -> SyncHandle:
        return SyncHandle(self._portal, self._client.handle(execution_id))

    def get_execution(
        self, execution_id: str, *, ended_items: bool = False, node: str = ""
    ) -> Execution:
        return self._portal.call(
            self._client.get_execution(execution_id, ended_items=ended_items, node=node)
        )

    def list_executions(
        self,
        *,
        workflow_id: str = "",
        statuses: Collection[Status | str] = (),
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        filter: str = "",
        order_by: str = "",
    ) -> Iterator[Execution]:
        return self._portal.iterate(
            lambda: self._client.list_executions(
                workflow_id=workflow_id,
                statuses=statuses,
                started_after=started_after,
                started_before=started_before,
                filter=filter,
                order_by=order_by,
            )
        )

    def count_executions(self, filter: str = "", *, group_by: Sequence[str] = ()) -> Count:
        return self._portal.call(self._client.count_executions(filter, group_by=group_by))

    def set_search_attributes(
        self,
        execution_id: str,
        values: Mapping[str, SearchValue | None],
        *,
        request_id: str = "",
    ) -> int:
        return self._portal.call(
            self._client.set_search_attributes(execution_id, values, request_id=request_id)
        )

    def download_history(self, execution_id: str) -> History:
        return self._portal.call(self._client.download_history(execution_id))

    def history(self, execution_id: str, *, after: int = 0) -> Iterator[Event]:
        return self._portal.iterate(lambda: self._client.history(execution_id, after=after))

    def state_at(self, execution_id: str, at: int | datetime = 0) -> StateAt:
        return self._portal.call(self._client.state_at(execution_id, at))

    def trace(self, execution_id: str) -> Trace:
        return self._portal.call(self._client.trace(execution_id))

    def compare(self, execution_id: str, other_id: str) -> Comparison:
        return self._portal.call(self._client.compare(execution_id, other_id))

    def watch_variable(self, execution_id: str, path: str) -> Watch:
        return self._portal.call(self._client.watch_variable(execution_id, path))

    def node_inputs(self, execution_id: str, *nodes: str) -> NodeInputs:
        return self._portal.call(self._client.node_inputs(execution_id, *nodes))

    def explain(self, execution_id: str, task_id: str = "") -> Explanation:
        return self._portal.call(self._client.explain(execution_id, task_id))

    def explain_workflow(self, workflow_id: str, *, version: int = 0) -> Diagnosis:
        return self._portal.call(self._client.explain_workflow(workflow_id, version=version))

    def bottlenecks(self, workflow_id: str, *, executions: int = 0) -> Bottlenecks:
        return self._portal.call(self._client.bottlenecks(workflow_id, executions=executions))

    def services(
        self, *, name: str = "", type: str = "", capability: str = ""
    ) -> Iterator[ServiceInstance]:
        return self._portal.iterate(
            lambda: self._client.services(name=name, type=type, capability=capability)
        )

    def register_service(self, service: Service) -> ServiceInstance:
        return self._portal.call(self._client.register_service(service))

    def heartbeat_service(self, service_id: str, status: str = "HEALTHY") -> None:
        self._portal.call(self._client.heartbeat_service(service_id, status))

    def deregister_service(self, service_id: str) -> None:
        self._portal.call(self._client.deregister_service(service_id))

    def fetch(self, value: StoredValue) -> Json:
        return self._portal.call(self._client.fetch(value))


async def _client(address: str, namespace: str) -> Client:
    return Client(address, namespace)  # its channel belongs to the loop it is made on
