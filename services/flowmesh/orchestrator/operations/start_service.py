"""Starts of executions: prepared, admitted and submitted, here or at the owner of their partition.

A start is a value on its way: a request becomes a `PlannedStart`, which knows its plan and place,
and that becomes the command of the owner, a `PendingStart`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Breakpoints, Start
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.commit.starts import Starts, start_key
from flowmesh.orchestrator.model.commands import (
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


class PlannedStart(NamedTuple):
    """A checked start: its plan, its partition, and the input with defaults.

    `key` is the concurrency key; empty if starts of the workflow are not ordered.
    """

    request: pb.StartExecutionRequest
    plan: Plan
    partition: int
    input: payload_pb2.Payload
    key: str = ""

    def command(
        self,
        search: Values,
        reply: Reply = no_reply,
        *,
        known: payload_pb2.Payload | None = None,
    ) -> PendingStart:
        """Return the command for the owner of the partition.

        `known` is the input for the digest, if that is not the given one.
        """
        request = self.request
        traceparent = current_traceparent()
        command = Start(
            self.input, request.request_id, request.actor, traceparent, search=search, key=self.key
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
        return PendingStart(
            self.partition,
            command,
            reply,
            plan=self.plan,
            start_digest=digest_of(known or request.input),
            digest_of=digest_of,
        )


class StartService:
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

    # --- prepare ---

    async def prepare(self, request: pb.StartExecutionRequest) -> PlannedStart:
        """Fetch the plan and place the start; refuse an invalid request.

        A start without request id gets one: it may be repeated after a lost response, or elsewhere,
        and still creates one execution.
        """
        plan = await self._plan_of(request)
        given = await whole_input(self._payloads, plan, request.input)
        partition, key = await self.partition_and_key(request, plan, given)
        return PlannedStart(request, plan, partition, given, key)

    async def _plan_of(self, request: pb.StartExecutionRequest) -> Plan:
        plans = self._plans
        name = name_of(request)
        plan = None
        if request.plan_digest:
            plan = await plans.stored(request.plan_digest, self._store)
        plan = plan or plans.cached(name) or await plans.resolve(name)
        self.check_keys(plan.namespace)
        check_start(request)
        if request.plan_digest:
            # The run before this one has checked its input.
            return plan
        if request.breakpoints:
            check_breakpoints(plan, request.breakpoints)
        plans.check_input(plan, await self._payloads.given(plan.namespace, request.input))
        return plan

    def check_keys(self, namespace: str) -> None:
        """Raise DATA_UNREADABLE if the data keys of a namespace were destroyed."""
        self._payloads.require_keys(namespace)

    def partition_for(
        self, request: pb.StartExecutionRequest | control_pb.RerunExecutionRequest, plan: Plan
    ) -> int:
        """Return the partition of a start without concurrency key: by its request id.

        A start without request id gets one that belongs to an owned partition.
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

    async def partition_and_key(
        self,
        request: pb.StartExecutionRequest | control_pb.RerunExecutionRequest,
        plan: Plan,
        given: payload_pb2.Payload,
    ) -> tuple[int, str]:
        """Return the partition of a start, and its key if starts of the workflow are ordered.

        A start without request id gets one, as in `partition_for`.
        """
        if plan.start is None or not plan.start_shared:
            return self.partition_for(request, plan), ""
        data = await self._data(plan, given) if plan.start.key is not None else given.data
        key = start_key(plan.start, data, plan.input_schema.sensitive)
        partition = partition_of_key(plan.namespace, plan.workflow_id, key)
        request.request_id = request.request_id or self._new_id(partition)
        return partition, key

    async def search_values(
        self, plan: Plan, given: payload_pb2.Payload, labels: Mapping[str, str]
    ) -> Values:
        """Return the search values of an execution with this input."""
        if not plan.search and not labels:
            return ()
        data = await self._data(plan, given) if plan.search else given.data
        return start_values(labels, plan, data)

    async def _data(self, plan: Plan, given: payload_pb2.Payload) -> bytes:
        if given.HasField("reference"):
            return await self._payloads.read(plan.namespace, given.reference.digest)
        return given.data

    # --- start ---

    async def start(self, planned: PlannedStart, *, forwarded: bool) -> Started:
        """Start an execution at the owner of its partition, or return the one that answers it."""
        return await self._router.at_owner(
            planned.partition,
            partial(self._start_here, planned),
            partial(self._start_at, planned.request),
            forwarded=forwarded,
        )

    async def _start_here(self, planned: PlannedStart) -> Started:
        plan, request = planned.plan, planned.request
        search = await self.search_values(plan, planned.input, request.labels)
        known = await known_input(self._payloads, plan, request.input)
        start = planned.command(search, known=known)
        return await self.begin(start, linked=request.HasField("link"))

    async def _start_at(self, request: pb.StartExecutionRequest, address: str) -> Started:
        forwarded = pb.StartExecutionRequest()
        forwarded.CopyFrom(request)
        forwarded.wait_ms = 0
        if not current_traceparent():
            return await self._router.peers.at(address).start(forwarded)
        call = self._router.stub_at(address).StartExecution(forwarded, metadata=FORWARDED)
        response = await self._router.peers.call(address, call)
        return Started(response.execution_id, response.created)

    async def begin(self, start: PendingStart, *, linked: bool = False) -> Started:
        """Start an execution here, or return the one that answers it.

        Raises QUEUE_FULL or QUOTA_EXCEEDED, unless the start is a repeat.
        """
        try:
            known = await self._starts.known(start) if start.plan.start_shared else None
            return known or await self._submit(start, linked)
        except Overloaded as refused:
            if refused.reason != "QUOTA_EXCEEDED":
                raise
            known = await self._starts.known(start)
            if known is None:
                raise
            return known
        except RequestReused as reused:
            return await answer_of(self._reader, self._payloads, start, reused)

    async def _submit(self, start: PendingStart, linked: bool) -> Started:
        start.reservation = self._admission.reserve(start.plan, linked=linked)
        answer = await self._router.submit_and_wait(start)
        assert isinstance(answer, Started)
        return answer
