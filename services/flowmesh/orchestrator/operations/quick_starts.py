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
from flowmesh.orchestrator.operations.start_calls import StartCalls
from flowmesh.orchestrator.ownership.ownership import Ownership


class QuickStarts:
    """Submits a start at once if its plan is cached and its partition is owned here."""

    def __init__(
        self,
        *,
        starts: StartCalls,
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
        """Return False if the start must go through `StartCalls`; raise its errors.

        `reply_in` makes the reply for the namespace of the plan.
        """
        # A text that is not an id is never cached; `StartCalls` rejects it.
        chosen = request.version_label or request.version
        name = (request.namespace or "default", request.workflow_id, chosen)
        plan = self._plans.cached(name)
        if plan is None or plan.start_shared or plan.input_defaults:
            return False
        if request.HasField("link") or request.input.HasField("reference"):
            return False
        check_start(request)
        self._plans.check_input(plan, request.input.data)
        repeatable = bool(request.request_id)
        partition = self._starts.partition_for(request, plan)
        search = start_values(request.labels, plan, request.input.data)
        if partition not in self._ownership.epochs:
            return False
        try:
            reply = self._admission.admitted(plan, reply_in(plan.namespace))
        except Overloaded as refused:
            if repeatable and refused.reason == "QUOTA_EXCEEDED":
                # `StartCalls` answers a repeat with its execution.
                return False
            raise
        command = self._starts.build_command(request, request.input, plan, partition, reply, search)
        self._inbox.submit(command)
        return True
