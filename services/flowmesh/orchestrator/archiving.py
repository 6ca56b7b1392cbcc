"""Executions as documents of the archive, and back."""

import asyncio
import base64
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import orjson
from google.protobuf import json_format

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.engine import replay
from flowmesh.errors import WrongState
from flowmesh.orchestrator.archive import Archive, Filed
from flowmesh.orchestrator.bare import without_values
from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.plans import PlanCache
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.orchestrator.views import execution_message, status_name
from flowmesh.plan import Plan

LISTED_MAX = 1_000
PAGE_EVENTS_MAX = 10_000


class Archiving:
    """Takes executions into the archive and gives them back; `archive` is None where it is off."""

    def __init__(
        self, *, store: OrchestratorStore, plans: PlanCache, archive: Archive | None
    ) -> None:
        self._store = store
        self._plans = plans
        self._archive = archive

    @property
    def on(self) -> bool:
        return self._archive is not None

    # --- in ---

    async def take(self, execution_ids: Sequence[str]) -> None:
        """Writes ended executions to files, which are on disk when this returns."""
        if self._archive is None:
            return
        rows = await self._store.rows("archived_columns", ids=list(execution_ids))
        stored = {one.execution_id: one for one in await self._store.load(execution_ids, {})}
        payloads = await self._payloads(rows)

        def key(row: Any) -> tuple[str, int]:
            return row["namespace"], row["started_at"] // DAY_US

        for (namespace, _), group in groupby(sorted(rows, key=key), key):
            members = [
                Filed(_summary(row), _lines(row, stored[row["id"]], payloads.get(row["id"], [])))
                for row in group
                if row["id"] in stored
            ]
            at_us = members[0].summary["startedAtUs"]
            await asyncio.to_thread(self._archive.write, namespace, at_us, members)

    async def _payloads(self, rows: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        namespaces = {row["id"]: row["namespace"] for row in rows}
        for row in await self._store.rows("payloads_of", ids=list(namespaces)):
            execution_id = row["execution_id"]
            stored = await self._store.one(
                "get_payload", namespace=namespaces[execution_id], digest=row["digest"]
            )
            if stored is not None:
                found.setdefault(execution_id, []).append(
                    {
                        "kind": "payload",
                        "digest": row["digest"],
                        "encoding": stored["encoding"],
                        "data": base64.b64encode(stored["data"]).decode(),
                    }
                )
        return found

    # --- back ---

    async def document(self, namespace: str, execution_id: str) -> bytes | None:
        """The document of an execution as it is in its file."""
        if self._archive is None:
            return None
        return await asyncio.to_thread(self._archive.find, namespace, execution_id)

    async def execution(self, namespace: str, execution_id: str) -> execution_pb2.Execution | None:
        """An archived execution as it was shown before, with a mark."""
        document = await self.document(namespace, execution_id)
        if document is None:
            return None
        plan = self._plans.remember(_plan_in(document))
        message = execution_message(replay(execution_id, plan, _events_in(document)))
        message.archived = True
        return message

    async def replayable(
        self, namespace: str, execution_id: str
    ) -> tuple[Plan, list[history_event_pb2.HistoryEvent]] | None:
        """An archived execution as its plan and its events."""
        document = await self.document(namespace, execution_id)
        if document is None:
            return None
        return self._plans.remember(_plan_in(document)), list(_events_in(document))

    async def history(
        self, request: history_service_pb2.ListHistoryEventsRequest, namespace: str
    ) -> history_service_pb2.ListHistoryEventsResponse | None:
        """A page of the events of an archived execution."""
        document = await self.document(namespace, request.execution_id)
        if document is None:
            return None
        size = min(request.page_size or PAGE_EVENTS_MAX, PAGE_EVENTS_MAX)
        events = [event for event in _events_in(document) if event.sequence > request.after]
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
        """Raises ARCHIVE_OFF."""
        archive = self.required()
        entries = await asyncio.to_thread(
            archive.summaries,
            namespace,
            request.started_after_us,
            request.started_before_us,
            LISTED_MAX,
        )
        wanted = request.workflow_id
        found = [each for each in entries if not wanted or each["workflow"] == wanted]
        response = pb.ListArchivedResponse(capped=len(found) > LISTED_MAX)
        for each in found[:LISTED_MAX]:
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
        """Removes the values from the document of an execution; False where there is none."""
        if self._archive is None:
            return False
        return await asyncio.to_thread(
            self._archive.replace,
            namespace,
            execution_id,
            lambda document: _without_values(document, tombstone),
        )

    async def delete(self, namespace: str, execution_id: str) -> bool:
        if self._archive is None:
            return False
        return await asyncio.to_thread(
            self._archive.replace, namespace, execution_id, lambda _document: None
        )

    def required(self) -> Archive:
        if self._archive is None:
            text = "nothing is archived here; FLOWMESH_ARCHIVE_DIR says where to"
            raise WrongState("ARCHIVE_OFF", text)
        return self._archive


def _summary(row: Any) -> dict[str, Any]:
    return {
        "executionId": row["id"],
        "workflow": row["workflow_id"],
        "version": row["workflow_version"],
        "status": status_name(row["status"]).upper(),
        "startedAtUs": row["started_at"],
        "endedAtUs": row["ended_at"],
    }


def _lines(row: Any, stored: Any, payloads: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {
        "kind": "execution",
        "namespace": row["namespace"],
        **_summary(row),
        "planDigest": row["plan_digest"],
        "requestId": row["request_id"] or "",
    }
    plan = plan_pb2.Plan.FromString(stored.plan_body)
    yield {"kind": "plan", "plan": json_format.MessageToDict(plan)}
    for events in stored.events:
        for event in history_event_pb2.HistoryEvents.FromString(events).events:
            yield {"kind": "event", "event": json_format.MessageToDict(event)}
    yield from payloads


def _events_in(document: bytes) -> Iterator[history_event_pb2.HistoryEvent]:
    for line in document.splitlines():
        each = orjson.loads(line)
        if each["kind"] == "event":
            yield json_format.ParseDict(each["event"], history_event_pb2.HistoryEvent())


def _plan_in(document: bytes) -> plan_pb2.Plan:
    for line in document.splitlines():
        each = orjson.loads(line)
        if each["kind"] == "plan":
            return json_format.ParseDict(each["plan"], plan_pb2.Plan())
    raise ValueError("a document without a plan")


def _without_values(document: bytes, tombstone: history_event_pb2.HistoryEvent) -> bytes:
    """The document after its execution was erased; one that was before stays as it is."""
    events = list(_events_in(document))
    if events[-1].HasField("payloads_erased"):
        return document
    kept = [orjson.loads(line) for line in document.splitlines()]
    lines = [each for each in kept if each["kind"] in ("execution", "plan")]
    tombstone.sequence = events[-1].sequence + 1
    for event in (*map(without_values, events), tombstone):
        lines.append({"kind": "event", "event": json_format.MessageToDict(event)})
    return b"".join(orjson.dumps(each) + b"\n" for each in lines)
