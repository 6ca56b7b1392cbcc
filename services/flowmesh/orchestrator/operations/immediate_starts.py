"""Starts without fetch and without other process: checked and submitted without awaiting."""

from __future__ import annotations

from collections.abc import Callable

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.model.commands import Reply
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.model.request_checks import check_start
from flowmesh.orchestrator.model.search_attributes import start_values
from flowmesh.orchestrator.operations.start_admission import StartAdmission
from flowmesh.orchestrator.operations.start_service import PlannedStart, StartService
from flowmesh.orchestrator.ownership.ownership import Ownership


class ImmediateStarts:
    """Submits a start at once if its plan is cached and its partition is owned here."""

    def __init__(
        self,
        *,
        starts: StartService,
        plans: PlanCache,
        ownership: Ownership,
        admission: StartAdmission,
        inbox: Inbox,
    ) -> None:
        self._starts = starts
        self._plans = plans
        self._ownership = ownership
        self._admission = admission
        self._inbox = inbox

    def refusal(self) -> Overloaded | None:
        """Return the error for starts while earlier ones wait too long for their commit."""
        return self._inbox.refusal()

    def submit(self, request: pb.StartExecutionRequest, reply_in: Callable[[str], Reply]) -> bool:
        """Return False if the start must go through `StartService`; raise its errors.

        `reply_in` makes the reply for the namespace of the plan.
        """
        repeatable = bool(request.request_id)
        planned = self._prepare(request)
        if planned is None:
            return False
        plan = planned.plan
        try:
            reservation = self._admission.reserve(plan)
        except Overloaded as refused:
            if repeatable and refused.reason == "QUOTA_EXCEEDED":
                # `StartService` answers a repeat with its execution.
                return False
            raise
        search = start_values(request.labels, plan, request.input.data)
        start = planned.command(search, reply_in(plan.namespace))
        start.reservation = reservation
        self._inbox.submit(start)
        return True

    def _prepare(self, request: pb.StartExecutionRequest) -> PlannedStart | None:
        # A text that is not an id is never cached; `StartService` rejects it.
        chosen = request.version_label or request.version
        name = (request.namespace or "default", request.workflow_id, chosen)
        plan = self._plans.cached(name)
        if plan is None or plan.start_shared or plan.input_defaults:
            return None
        if request.HasField("link") or request.input.HasField("reference"):
            return None
        self._starts.check_keys(plan.namespace)
        check_start(request)
        self._plans.check_input(plan, request.input.data)
        partition = self._starts.partition_for(request, plan)
        if partition not in self._ownership.epochs:
            return None
        return PlannedStart(request, plan, partition, request.input)
