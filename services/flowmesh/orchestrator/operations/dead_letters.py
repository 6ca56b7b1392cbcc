"""Dead letters: tasks that failed for good, with their queue and number of attempts."""

from collections.abc import Iterator

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.engine import State, tries
from flowmesh.errors import Invalid, Violation
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import given_up
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.storage.states import States
from flowmesh.orchestrator.storage.stores.dead_letter_store import DeadLetterStore
from flowmesh.rpc import list_key, namespace_of

PAGE_DEFAULT = 50
PAGE_MAX = 200
_LISTED = "dead_letter = null"


class DeadLetters:
    """Reads dead letters from failed executions; only the marks of discarded ones are stored."""

    def __init__(self, *, listing: Listing, states: States, store: DeadLetterStore) -> None:
        self._listing = listing
        self._states = states
        self._store = store

    async def page(
        self, request: limits_pb.ListDeadLettersRequest
    ) -> limits_pb.ListDeadLettersResponse:
        """Return the dead letters of one page of failed executions, newest first."""
        listed = await self._listing.list(
            pb.ListExecutionsRequest(
                namespace=namespace_of(request),
                statuses=[execution_pb2.EXECUTION_STATUS_FAILED],
                filter=f"({request.filter}) AND {_LISTED}" if request.filter.strip() else _LISTED,
                page_size=min(request.page_size or PAGE_DEFAULT, PAGE_MAX),
                page_token=request.page_token,
            ),
            list_key(request),
        )
        ids = [each.execution_id for each in listed.executions]
        found = await self._states.load(ids)
        return limits_pb.ListDeadLettersResponse(
            letters=[
                letter
                for execution_id in ids
                if execution_id in found
                for letter in _dead_letters(found[execution_id].state)
            ],
            next_page_token=listed.next_page_token,
        )

    async def discard(
        self, request: limits_pb.DiscardDeadLettersRequest
    ) -> limits_pb.DiscardDeadLettersResponse:
        """Take the dead letters of executions off the list, or put them back."""
        ids = list(dict.fromkeys(request.execution_ids))
        if not 0 < len(ids) <= PAGE_MAX:
            what = f"must be from 1 to {PAGE_MAX} ids of failed executions, not {len(ids)}"
            violation = Violation("execution_ids", what, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", f"execution_ids: {what}.", violations=(violation,))
        change = self._store.restore if request.restore else self._store.discard
        return limits_pb.DiscardDeadLettersResponse(
            changed=await change(namespace_of(request), ids)
        )


def _dead_letters(state: State) -> Iterator[limits_pb.DeadLetter]:
    for node in given_up(state):
        assert node.planned.spec is not None
        yield limits_pb.DeadLetter(
            execution_id=state.execution_id,
            workflow_id=state.plan.workflow_id,
            node=node.id,
            queue=node.planned.queue,
            task_type=node.planned.spec.task_type,
            attempts=tries(node),
            failure=node.failure,
            failed_at_us=node.ended_at_us,
        )
