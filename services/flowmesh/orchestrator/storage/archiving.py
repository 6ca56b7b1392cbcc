"""Executions as documents of the archive, and back."""

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Protocol, TypeVar

import orjson
from google.protobuf import json_format

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.engine import replay
from flowmesh.errors import WrongState
from flowmesh.orchestrator.model.messages import execution_message, status_name
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.storage.archive import Archive, ArchiveInput, Vanished
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.redacted_events import without_values
from flowmesh.orchestrator.storage.stores.archive_store import ArchivedRow, ArchiveStore
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.orchestrator.storage.stores.payload_store import PayloadStore
from flowmesh.plan import Plan
from flowmesh.rpc import last_of_token, list_key, page_token

LISTED_MAX = 1_000
PAGE_EVENTS_MAX = 10_000

PIECE_BYTES = 3 << 18
"""Size of the pieces in which a value is written: a multiple of three, as base64 requires."""

T = TypeVar("T")


class Ask(Protocol):
    """Runs a coroutine on the event loop from another thread and returns its result."""

    def __call__(self, question: Coroutine[Any, Any, T]) -> T: ...


_PAYLOAD = b'{"kind":"payload"'


class Archiving:
    """Archives executions and reads them back; `archive` is None if the archive is off."""

    def __init__(
        self,
        *,
        store: ArchiveStore,
        executions: ExecutionStore,
        payloads: PayloadStore,
        plans: PlanCache,
        archive: Archive | None,
    ) -> None:
        self._store = store
        self._executions = executions
        self._payloads = payloads
        self._plans = plans
        self._archive = archive

    @property
    def on(self) -> bool:
        return self._archive is not None

    # --- in ---

    async def take(self, execution_ids: Sequence[str]) -> None:
        """Write ended executions to files; return when the files are on disk.

        Only one value of one execution and a page of its history are in memory at a time.
        """
        if self._archive is None:
            return
        rows = await self._store.rows(execution_ids)
        loop = asyncio.get_running_loop()

        def ask(question: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(question, loop).result()

        def key(row: ArchivedRow) -> tuple[str, int]:
            return row.namespace, row.start_day

        for (namespace, day), group in groupby(sorted(rows, key=key), key):
            members = list(group)
            await asyncio.to_thread(
                self._archive.write,
                namespace,
                day * DAY_US,
                [row.id for row in members],
                (ArchiveInput(_summary(row), self._lines(row, ask)) for row in members),
            )

    def _lines(self, row: ArchivedRow, ask: Ask) -> Iterator[bytes]:
        """Yield the document of an execution while it is read. Raises Vanished at the end if
        deleted.
        """
        yield _line("execution", **_about(row))
        for body in ask(self._executions.plan_bodies([row.plan_digest])).values():
            plan = plan_pb2.Plan.FromString(body)
            yield _line("plan", plan=json_format.MessageToDict(plan))
        after = 0
        while events := ask(self._history(row, after)):
            for event in events:
                yield _line("event", event=json_format.MessageToDict(event))
            after = events[-1].sequence
        for digest in ask(self._store.payload_digests(row.id)):
            found = ask(self._payloads.get(row.namespace, digest))
            if found is not None:
                yield from _payload_line(digest, found.encoding, found.data)
        if ask(self._executions.find(row.namespace, row.id)) is None:
            raise Vanished

    async def _history(self, row: ArchivedRow, after: int) -> list[history_event_pb2.HistoryEvent]:
        """Return the next events of an execution behind a sequence."""
        return [
            event
            for stored in await self._executions.history_after(row.id, row.start_day, after)
            for event in history_event_pb2.HistoryEvents.FromString(stored).events
            if event.sequence > after
        ]

    # --- back ---

    async def document(self, namespace: str, execution_id: str) -> AsyncIterator[bytes] | None:
        """Return the document of an execution as stored, in pieces of up to 1 MiB."""
        if self._archive is None:
            return None
        found = await asyncio.to_thread(self._archive.find, namespace, execution_id)
        return _in_thread(found) if found is not None else None

    async def execution(self, namespace: str, execution_id: str) -> execution_pb2.Execution | None:
        """Return an archived execution as callers see it, marked as archived."""
        found = await self.replayable(namespace, execution_id)
        if found is None:
            return None
        plan, events = found
        message = execution_message(replay(execution_id, plan, events))
        message.archived = True
        return message

    async def replayable(
        self, namespace: str, execution_id: str
    ) -> tuple[Plan, list[history_event_pb2.HistoryEvent]] | None:
        """Return the plan and the events of an archived execution."""
        if self._archive is None:
            return None
        found = await asyncio.to_thread(self._archive.find, namespace, execution_id)
        if found is None:
            return None
        plan, events = await asyncio.to_thread(_recorded, found)
        return self._plans.remember(plan), events

    async def history(
        self, request: history_service_pb2.ListHistoryEventsRequest, namespace: str
    ) -> history_service_pb2.ListHistoryEventsResponse | None:
        """Return a page of the events of an archived execution."""
        found = await self.replayable(namespace, request.execution_id)
        if found is None:
            return None
        size = min(request.page_size or PAGE_EVENTS_MAX, PAGE_EVENTS_MAX)
        events = [event for event in found[1] if event.sequence > request.after]
        page = events[:size]
        response = history_service_pb2.ListHistoryEventsResponse(
            events=page, ended=len(page) == len(events)
        )
        if len(page) < len(events):
            response.next_after = page[-1].sequence
        return response

    async def list(
        self, request: pb.ListArchivedRequest, namespace: str
    ) -> pb.ListArchivedResponse:
        """Return a page of the archived executions. Raises ARCHIVE_OFF, PAGE_TOKEN_INVALID."""
        wanted, list_name = request.workflow_id, list_key(request)
        last = last_of_token(request.page_token, list_name)
        archive = self.required()
        size = min(request.page_size or LISTED_MAX, LISTED_MAX)
        found = await asyncio.to_thread(
            archive.summaries,
            namespace,
            request.started_after_us,
            request.started_before_us,
            size + 1,
            lambda entry: not wanted or entry["workflow"] == wanted,
            last,
        )
        page = found[:size]
        response = pb.ListArchivedResponse(capped=len(found) > size)
        if response.capped:
            response.next_page_token = page_token(list_name, page[-1]["executionId"])
        for each in page:
            response.executions.add(
                namespace=namespace,
                execution_id=each["executionId"],
                workflow_id=each["workflow"],
                workflow_name=each["workflow"],
                workflow_version=each["version"],
                status=execution_pb2.ExecutionStatus.Value(f"EXECUTION_STATUS_{each['status']}"),
                started_at_us=each["startedAtUs"],
                ended_at_us=each["endedAtUs"],
                archived=True,
            )
        return response

    async def erase(
        self, namespace: str, execution_id: str, tombstone: history_event_pb2.HistoryEvent
    ) -> bool:
        """Remove the values from the document of an execution; return False if there is none."""
        if self._archive is None:
            return False
        return await asyncio.to_thread(
            self._archive.replace,
            namespace,
            execution_id,
            partial(_without_values, tombstone=tombstone),
        )

    async def delete(self, namespace: str, execution_id: str) -> bool:
        if self._archive is None:
            return False
        return await asyncio.to_thread(
            self._archive.replace, namespace, execution_id, lambda _document: None
        )

    def required(self) -> Archive:
        if self._archive is None:
            text = "the archive is off; set FLOWMESH_ARCHIVE_DIR to a folder or a bucket"
            raise WrongState("ARCHIVE_OFF", text)
        return self._archive


def _summary(row: ArchivedRow) -> dict[str, Any]:
    return {
        "executionId": row.id,
        "workflow": row.workflow_id,
        "version": row.workflow_version,
        "status": status_name(execution_pb2.ExecutionStatus.ValueType(row.status)).upper(),
        "startedAtUs": row.started_at,
        "endedAtUs": row.ended_at,
    }


def _about(row: ArchivedRow) -> dict[str, Any]:
    return {
        "namespace": row.namespace,
        **_summary(row),
        "planDigest": row.plan_digest,
        "requestId": row.request_id or "",
    }


def _line(kind: str, **of: Any) -> bytes:
    return orjson.dumps({"kind": kind, **of}) + b"\n"


def _payload_line(digest: str, encoding: str, data: bytes) -> Iterator[bytes]:
    """Yield in pieces: a value as one text needs many times its size in memory."""
    about = orjson.dumps({"kind": "payload", "digest": digest, "encoding": encoding, "data": ""})
    yield about.removesuffix(b'"}')
    for begin in range(0, len(data), PIECE_BYTES):
        yield base64.b64encode(data[begin : begin + PIECE_BYTES])
    yield b'"}\n'


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read from a disk in a thread."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _recorded(
    pieces: Iterator[bytes],
) -> tuple[plan_pb2.Plan, list[history_event_pb2.HistoryEvent]]:
    """Return the plan and the events of a document."""
    plan, events = plan_pb2.Plan(), []
    for line in _read(pieces):
        if line["kind"] == "plan":
            json_format.ParseDict(line["plan"], plan)
        elif line["kind"] == "event":
            events.append(json_format.ParseDict(line["event"], history_event_pb2.HistoryEvent()))
    return plan, events


def _read(pieces: Iterator[bytes]) -> list[dict[str, Any]]:
    """Return the lines of a document up to its payloads, which come last and may be large.

    The checksum of a document is at its end, so lines are parsed after the whole was read.
    """
    read: list[bytes] = []
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        of_payload = next((n for n, line in enumerate(lines) if line.startswith(_PAYLOAD)), None)
        read += lines[:of_payload]
        if of_payload is not None or rest.startswith(_PAYLOAD):
            for _ in pieces:
                pass
    return [orjson.loads(line) for line in read]


def _without_values(
    pieces: Iterator[bytes], tombstone: history_event_pb2.HistoryEvent
) -> Iterator[bytes]:
    """Yield the document of an erased execution; one that was erased before is not changed."""
    before = _read(pieces)
    for line in before:
        if line["kind"] != "event":
            yield orjson.dumps(line) + b"\n"
    events = [
        json_format.ParseDict(line["event"], history_event_pb2.HistoryEvent())
        for line in before
        if line["kind"] == "event"
    ]
    if not events[-1].HasField("payloads_erased"):
        tombstone.sequence = events[-1].sequence + 1
        events = [*map(without_values, events), tombstone]
    for event in events:
        yield _line("event", event=json_format.MessageToDict(event))
