"""Pages of executions as callers see them: their columns, or whole."""

from collections.abc import Awaitable, Callable, Sequence

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import State
from flowmesh.orchestrator.model.messages import execution_message, listed_message
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.orchestrator.storage.states import States
from flowmesh.rpc import namespace_of

WHOLE_PAGE_BYTES_MAX = 4 << 20
EXECUTION_FAILED = execution_pb2.EXECUTION_STATUS_FAILED


class Listing:
    """Lists executions; `state_of` returns one of a namespace as last committed."""

    def __init__(
        self,
        *,
        searches: Searches,
        states: States,
        state_of: Callable[[str, str], Awaitable[State]],
    ) -> None:
        self._searches = searches
        self._states = states
        self._state_of = state_of

    async def list(
        self, request: pb.ListExecutionsRequest, list_name: str = ""
    ) -> pb.ListExecutionsResponse:
        """Return a page; `list_name` keeps its tokens apart from those of other lists."""
        namespace = namespace_of(request)
        page = await self._searches.page(request, list_name)
        response = pb.ListExecutionsResponse(warnings=page.warnings)
        if request.with_nodes:
            await self._add_whole(namespace, response, [row["id"] for row in page.rows])
        else:
            failed = [row["id"] for row in page.rows if row["status"] == EXECUTION_FAILED]
            failures = await self._searches.failures(failed)
            shown = [row["id"] for row in page.rows] if request.with_search else []
            values = await self._searches.values(namespace, shown)
            response.executions.extend(
                listed_message(
                    row, namespace, failures.get(row["id"]), search=values.get(row["id"], ())
                )
                for row in page.rows
            )
        listed = len(response.executions)
        if page.more or len(page.rows) > listed:
            response.next_page_token = page.token(listed - 1)
        return response

    async def _add_whole(
        self, namespace: str, response: pb.ListExecutionsResponse, ids: Sequence[str]
    ) -> None:
        """Add executions with their nodes, in order, until the page is full; at least one."""
        states = self._states
        loaded = await states.load([i for i in ids if states.get(i) is None])
        weight = 0
        for execution_id in ids:
            entry = loaded.get(execution_id)
            found = entry.state if entry is not None else None
            message = execution_message(found or await self._state_of(namespace, execution_id))
            weight += message.ByteSize()
            if weight > WHOLE_PAGE_BYTES_MAX and response.executions:
                return
            response.executions.append(message)
