"""Histories of executions and changes of definitions, read as streams."""

import orjson
import pytest

from flowmesh.api.definition.v1 import version_pb2, version_service_pb2
from flowmesh.api.eventstore.v1.stored_event_pb2 import EventFilter
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.errors import FlowmeshError, NotFound, WrongState
from flowmesh.eventstore.checks import checked_filter
from flowmesh.eventstore.virtual import VirtualStreams


class Histories:
    """The events of an execution; the first is of a newer version of the suite."""

    def __init__(self, count: int) -> None:
        self._events = [history_event_pb2.HistoryEvent(sequence=n + 1) for n in range(count)]
        for event in self._events[1:]:
            event.task_completed.SetInParent()

    async def ListHistoryEvents(
        self, request: history_service_pb2.ListHistoryEventsRequest
    ) -> history_service_pb2.ListHistoryEventsResponse:
        later = [each for each in self._events if each.sequence > request.after]
        page = later[: request.page_size]
        return history_service_pb2.ListHistoryEventsResponse(
            events=page, next_after=page[-1].sequence if len(later) > len(page) else 0
        )


class Versions:
    """The changes of a definition, the newest first, two a page."""

    def __init__(self, count: int) -> None:
        self._numbers = list(range(count, 0, -1))

    async def ListChanges(
        self, request: version_service_pb2.ListChangesRequest
    ) -> version_service_pb2.ListChangesResponse:
        first = int(request.page_token or 0)
        action = version_pb2.CHANGE_ACTION_LABEL_SET
        changes = [
            version_pb2.Change(number=number, action=action, label="live", actor="ada")
            for number in self._numbers[first : first + 2]
        ]
        token = str(first + 2) if len(self._numbers) > first + 2 else ""
        return version_service_pb2.ListChangesResponse(changes=changes, next_page_token=token)


def streams(*, events: int = 0, changes: int = 0) -> VirtualStreams:
    executions = object()
    return VirtualStreams(
        histories=Histories(events),
        versions=Versions(changes),
        executions=executions,  # type: ignore[arg-type]  # nothing is followed
    )


async def test_the_history_of_an_execution_is_read_by_pages() -> None:
    """Its sequences are the versions; an event that this version does not know has a type too."""
    given = streams(events=3)
    first, following = await given.read("n", "execution", "exec-1", 0, 2)
    rest, end = await given.read("n", "execution", "exec-1", following, 2)
    assert (following, end) == (3, 0)
    assert [(each.version, each.type) for each in (*first, *rest)] == [
        (1, "Unknown"),
        (2, "TaskCompleted"),
        (3, "TaskCompleted"),
    ]
    assert {each.stream for each in first} == {"execution/exec-1"}
    assert first[1].event_id == "exec-1:2"


async def test_the_changes_of_a_definition_are_read_by_pages() -> None:
    """The oldest first, however they are listed."""
    given = streams(changes=5)
    first, following = await given.read("n", "definition", "order", 0, 2)
    assert ([each.version for each in first], following) == ([1, 2], 3)
    rest, end = await given.read("n", "definition", "order", following, 3)
    assert ([each.version for each in rest], end) == ([3, 4, 5], 0)
    assert (first[0].type, first[0].event_id) == ("DefinitionLabelSet", "order:1")
    assert orjson.loads(first[0].data)["label"] == "live"
    with pytest.raises(NotFound):
        await streams().read("n", "definition", "order", 0, 2)


async def test_changes_of_a_definition_are_not_followed() -> None:
    """The refusal says so."""
    with pytest.raises(WrongState, match="not subscribed to"):
        await anext(aiter(streams(changes=1).follow("n", "definition", "order", 0)))


def test_only_subscriptions_select_a_virtual_stream() -> None:
    """Elsewhere the filter names one that is stored; a malformed name is refused everywhere."""
    chosen = EventFilter(stream="execution/exec-1")
    assert checked_filter(chosen, virtual=True) == chosen
    with pytest.raises(WrongState) as refused:
        checked_filter(chosen)
    assert refused.value.reason == "STREAM_VIRTUAL"
    for stream in ("other/x", "execution/", "a b"):
        with pytest.raises(FlowmeshError):
            checked_filter(EventFilter(stream=stream), virtual=True)
