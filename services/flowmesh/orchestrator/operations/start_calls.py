"""Starts of executions: their plan, partition, search values and command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Breakpoints, Start
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.commit.starts import Starts, start_key
from flowmesh.orchestrator.model.commands import (
    Answer,
    PendingStart,
    Reply,
    Started,
    no_reply,
    start_digest,
)
from flowmesh.orchestrator.model.errors import RequestReused, partition_unavailable
from flowmesh.orchestrator.model.ids import NewId, partition_of_key, partition_of_request
from flowmesh.orchestrator.model.plans import PlanCache, check_breakpoints, name_of
from flowmesh.orchestrator.model.request_checks import check_start
from flowmesh.orchestrator.model.search_attributes import Values, start_values
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter
from flowmesh.orchestrator.operations.repeats import answer_of, known_input, whole_input
from flowmesh.orchestrator.operations.start_admission import StartAdmission
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.plan import Plan
from flowmesh.telemetry import current_traceparent


class StartCalls:
    """Starts executions, here or at the owner of their partition."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        plans: PlanCache,
        payloads: Payloads,
        ownership: Ownership,
        starts: Starts,
        admission: StartAdmission,
        router: OwnerRouter,
        reader: ExecutionReader,
        new_id: NewId,
    ) -> None:
        self._store = store
        self._plans = plans
        self._payloads = payloads
        self._ownership = ownership
        self._starts = starts
        self._admission = admission
        self._router = router
        self._reader = reader
        self._new_id = new_id

    async def plan_for(self, request: pb.StartExecutionRequest) -> Plan:
        """Return the plan of a start; refuse an invalid request."""
        plans = self._plans
        name = name_of(request)
        plan = None
        if request.plan_digest:
            plan = await plans.stored(request.plan_digest, self._store)
        plan = plan or plans.cached(name) or await plans.resolve(name)
        check_start(request)
        if request.plan_digest:
            # The run before this one has checked its input.
            return plan
        if request.breakpoints:
            check_breakpoints(plan, request.breakpoints)
        plans.check_input(plan, await self._payloads.given(plan.namespace, request.input))
        return plan

    async def start_planned(
        self, request: pb.StartExecutionRequest, plan: Plan, *, forwarded: bool
    ) -> Started:
        whole = await whole_input(self._payloads, plan, request.input)
        partition, key = await self.place_for(request, plan, whole)

        async def local() -> Started:
            search: Values = ()
            if plan.search or request.labels:
                search = await self.search_values(request.labels, plan, whole)
            known = await known_input(self._payloads, plan, request.input)
            return await self.start_local(
                plan,
                lambda reply: self.build_command(
                    request, whole, plan, partition, reply, search, key, known
                ),
                linked=request.HasField("link"),
            )

        async def remote(address: str) -> Started:
            forwarded_request = pb.StartExecutionRequest()
            forwarded_request.CopyFrom(request)
            forwarded_request.wait_ms = 0
            if not current_traceparent():
                return await self._router.peers.at(address).start(forwarded_request)
            call = self._router.stub_at(address).StartExecution(
                forwarded_request, metadata=FORWARDED
            )
            response = await self._router.peers.call(address, call)
            return Started(response.execution_id, response.created)

        return await self._router.at_owner(partition, local, remote, forwarded=forwarded)

    def partition_for(self, request: Any, plan: Plan) -> int:
        """Return the partition of a start without concurrency key: by its request id.

        A start without request id gets one that belongs to an owned partition: it may be repeated
        after a lost response, or elsewhere, and still creates one execution.
        """
        if not request.request_id:
            request.request_id = self._request_id_in_owned_partition(plan.namespace)
        return partition_of_request(plan.namespace, request.request_id)

    def _request_id_in_owned_partition(self, namespace: str) -> str:
        owned = self._ownership.epochs
        if not owned:
            raise partition_unavailable(0)
        while True:
            request_id = self._new_id(0)
            if partition_of_request(namespace, request_id) in owned:
                return request_id

    async def place_for(
        self, request: Any, plan: Plan, given: payload_pb2.Payload
    ) -> tuple[int, str]:
        """Return the partition of a start, and its key if starts of the workflow are ordered.

        A start without request id gets one, as in `partition_for`.
        """
        if plan.start is None or not plan.start_shared:
            return self.partition_for(request, plan), ""
        data = given.data
        if plan.start.key is not None and given.HasField("reference"):
            data = await self._payloads.read(plan.namespace, given.reference.digest)
        key = start_key(plan.start, data)
        partition = partition_of_key(plan.namespace, plan.workflow_id, key)
        request.request_id = request.request_id or self._new_id(partition)
        return partition, key

    async def start_local(
        self, plan: Plan, build: Callable[[Reply], PendingStart], *, linked: bool = False
    ) -> Started:
        """Start an execution here, or return the one that answers it.

        Raises QUEUE_FULL or QUOTA_EXCEEDED, unless the start is a repeat.
        """
        try:
            return await self._submit_start(plan, build, linked)
        except Overloaded as refused:
            if refused.reason != "QUOTA_EXCEEDED":
                raise
            known = await self._starts.known(build(no_reply))
            if known is None:
                raise
            return known
        except RequestReused as reused:
            return await answer_of(self._reader, self._payloads, build(no_reply), reused)

    async def _submit_start(
        self, plan: Plan, build: Callable[[Reply], PendingStart], linked: bool
    ) -> Started:
        answer: Answer | None = None
        epoch = 0
        if plan.start_shared:
            request = build(no_reply)
            answer, epoch = await self._starts.known(request), request.epoch

        def build_admitted(reply: Reply) -> PendingStart:
            start = build(self._admission.admitted(plan, reply, linked=linked))
            start.epoch = epoch
            return start

        answer = answer or await self._router.submitted(build_admitted)
        assert isinstance(answer, Started)
        return answer

    async def search_values(
        self, labels: Mapping[str, str], plan: Plan, given: payload_pb2.Payload
    ) -> Values:
        """Return the search values of an execution with this input."""
        data = given.data
        if plan.search and given.HasField("reference"):
            data = await self._payloads.read(plan.namespace, given.reference.digest)
        return start_values(labels, plan, data)

    def build_command(
        self,
        request: pb.StartExecutionRequest,
        given: payload_pb2.Payload,
        plan: Plan,
        partition: int,
        reply: Reply,
        search: Values,
        key: str = "",
        known: payload_pb2.Payload | None = None,
    ) -> PendingStart:
        traceparent = current_traceparent()
        command = Start(
            given, request.request_id, request.actor, traceparent, search=search, key=key
        )
        if request.permissions:
            command.permissions = tuple(sorted(set(request.permissions)))
        if request.HasField("link"):
            command.link, command.signals = request.link, request.signals
        if request.stop_everywhere or request.breakpoints:
            command.breakpoints = Breakpoints(
                request.stop_everywhere, frozenset(request.breakpoints), actor=request.actor
            )
        digest_of = partial(start_digest, request)
        digest = digest_of(known or request.input)
        return PendingStart(
            partition, command, reply, plan=plan, start_digest=digest, digest_of=digest_of
        )
