"""Workers that bring the suite and the status of each object to what the object says."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType

from flowmesh.definitions.formats.native.resources import API_VERSION
from flowmesh.errors import FlowmeshError
from flowmesh.operator.agents import Agents
from flowmesh.operator.kinds import (
    AGENTS,
    FIELD_MANAGER,
    FINALIZER,
    KINDS,
    PROVISIONED,
    TASK,
    Key,
    Object,
)
from flowmesh.operator.limits import (
    AGENTS_AGAIN_S,
    CALLS_PER_SECOND,
    RESYNC_S,
    RESYNC_SPREAD,
    USERS_COUNTED_AFTER_S,
    WORKERS,
)
from flowmesh.operator.metrics import OperatorMetrics
from flowmesh.operator.objects import Objects, condition, task_references
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.reconcile import Step, next_step
from flowmesh.operator.status import Outcome, is_same, status_of
from flowmesh.operator.suite import Suite
from flowmesh.operator.work_queue import WorkQueue


class Controller:
    """Reconciles keys of the queue while this replica leads."""

    def __init__(
        self,
        *,
        client: AsyncClient,
        objects: Objects,
        suite: Suite,
        agents: Agents,
        provisioner: Provisioner,
        queue: WorkQueue[Key],
        leading: asyncio.Event,
        listed: Sequence[asyncio.Event],
        metrics: OperatorMetrics,
        draw: Callable[[], float],
    ) -> None:
        self._client = client
        self._objects = objects
        self._suite = suite
        self._agents = agents
        self._provisioner = provisioner
        self._queue = queue
        self._leading = leading
        # Set once the watches have their first lists.
        self._listed = listed
        self._metrics = metrics
        self._draw = draw
        self._log = structlog.get_logger("flowmesh.operator")
        # Keys that are compared with the suite although their objects have not changed.
        self._resyncs: set[Key] = set()
        self._next_call = 0.0

    async def run(self) -> None:
        """Run the workers and the resync until canceled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            group.create_task(self._resync())

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            failed = True
            try:
                await self._leading.wait()
                outcome = await self.reconcile(key)
                failed = outcome == "unavailable"
                self._metrics.reconciles.labels(key.kind, outcome).inc()
            except (ApiError, httpx2.HTTPError) as error:
                # A conflict, or a server that is away: the newest object decides again.
                self._metrics.reconciles.labels(key.kind, "retried").inc()
                self._log.info("retried", key="/".join(key), problem=str(error)[:200])
            except Exception as error:  # noqa: BLE001 one object does not end the others
                self._metrics.reconciles.labels(key.kind, "failed").inc()
                self._log.warning("reconcile_failed", key="/".join(key), exc_info=error)
            finally:
                self._queue.done(key, failed=failed)

    async def _resync(self) -> None:
        """Compare every key with the suite now and then, and when this replica begins to lead."""
        for each in self._listed:
            await each.wait()
        while True:
            await self._leading.wait()
            for key in self._objects.known():
                self._resyncs.add(key)
                self._queue.add(key)
            spread = 1 + RESYNC_SPREAD * (2 * self._draw() - 1)
            await asyncio.sleep(RESYNC_S * spread)

    async def reconcile(self, key: Key) -> str:
        """Take the next steps for an object; return the outcome for the metrics."""
        resync = key in self._resyncs
        found = self._objects.get(key)
        if key.kind in PROVISIONED:
            self._resyncs.discard(key)
            return await self._provision(key, found)
        # The state of agents changes by itself: it is read each time.
        step = next_step(found, resync=resync or key.kind in AGENTS)
        if found is None or step is Step.NOTHING:
            self._resyncs.discard(key)
            return "unchanged"
        if step is Step.ADD_FINALIZER:
            # The change comes back by the watch, and with it this key.
            await self._finalizers(key, found, add=True)
            return "finalized"
        if step is Step.REMOVE_FINALIZER:
            await self._finalizers(key, found, add=False)
            return "released"
        await self._paced()
        try:
            if step is Step.UNREGISTER:
                return await self._unregister(key, found)
            namespace = self._objects.suite_namespace(key.namespace)
            outcome = await self._registry(key).register(key, found, namespace)
        except FlowmeshError as error:
            await self._tell(key, found, Outcome(False, "Unavailable", error.message))
            return "unavailable"
        self._resyncs.discard(key)
        await self._tell(key, found, outcome)
        if key.kind in AGENTS:
            self._queue.add(key, after_s=AGENTS_AGAIN_S)
        if key.kind == TASK and outcome.ready:
            for waiting in self._objects.waiting_for(key):
                self._resyncs.add(waiting)
                self._queue.add(waiting)
        self._recount_users(key, found)
        return "registered" if outcome.ready else outcome.reason

    def _recount_users(self, key: Key, found: Object) -> None:
        """Count the users of the tasks of a workflow again, soon."""
        if key.kind != "Workflow":
            return
        for name in set(task_references(found["spec"])):
            task = Key(TASK, key.namespace, name)
            if self._objects.get(task) is not None:
                self._resyncs.add(task)
                self._queue.add(task, after_s=USERS_COUNTED_AFTER_S)

    def _registry(self, key: Key) -> Suite | Agents:
        """Return the service that has the objects of a kind."""
        return self._agents if key.kind in AGENTS else self._suite

    async def _provision(self, key: Key, found: Object | None) -> str:
        """Run an App or Infrastructure; what it owns is deleted with it by the cluster."""
        if found is None or found["metadata"].get("deletionTimestamp"):
            return "unchanged"
        outcome, again_s = await self._provisioner.reconcile(key, found)
        await self._tell(key, found, outcome)
        self._queue.add(key, after_s=again_s)
        return "running" if outcome.ready else outcome.reason

    async def _unregister(self, key: Key, found: Object) -> str:
        namespace = self._objects.suite_namespace(key.namespace)
        kept = await self._registry(key).unregister(key, namespace)
        if kept is not None and not self._objects.is_ending(key.namespace):
            await self._tell(key, found, kept)
            return "unavailable"  # in use: tried again
        await self._finalizers(key, found, add=False)
        self._recount_users(key, found)
        if kept is not None:
            await self._event(key, found, "Retained", kept.message)
        return "released"

    async def _paced(self) -> None:
        """Wait for the next call to the suite: 20 a second in all."""
        now = asyncio.get_running_loop().time()
        self._next_call = max(self._next_call + 1 / CALLS_PER_SECOND, now - 1.0)
        if self._next_call > now:
            await asyncio.sleep(self._next_call - now)

    async def _finalizers(self, key: Key, found: Object, *, add: bool) -> None:
        metadata = found["metadata"]
        names = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
        patch = {
            "metadata": {
                "finalizers": [*names, FINALIZER] if add else names,
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        try:
            await self._client.patch(
                KINDS[key.kind],
                key.name,
                patch,
                namespace=key.namespace,
                patch_type=PatchType.MERGE,
                field_manager=FIELD_MANAGER,
            )
        except ApiError as error:
            if error.status.code != 404 or add:
                raise

    async def _tell(self, key: Key, found: Object, outcome: Outcome) -> None:
        """Write the status, and an Event if the object became ready or is not any more."""
        status = status_of(found, outcome, _now())
        if is_same(found, status):
            return
        resource = KINDS[key.kind].Status
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": status,
        }
        try:
            await self._client.patch(
                resource,
                key.name,
                body,
                namespace=key.namespace,
                patch_type=PatchType.APPLY,
                field_manager=FIELD_MANAGER,
                force=True,
            )
        except ApiError as error:
            if error.status.code == 404:
                return  # deleted meanwhile
            raise
        before, after = condition(found, "Ready"), status["conditions"][0]
        if (before.get("status"), before.get("reason")) != (after["status"], after["reason"]):
            message = outcome.message or outcome.reason
            normal = outcome.ready or outcome.reason == "Progressing"
            await self._event(key, found, outcome.reason, message, normal=normal)

    async def _event(
        self, key: Key, found: Object, reason: str, message: str, *, normal: bool = False
    ) -> None:
        now = datetime.now(UTC)
        event = Event(
            metadata=ObjectMeta(generateName=f"{key.name}.", namespace=key.namespace),
            involvedObject=ObjectReference(
                apiVersion=API_VERSION,
                kind=key.kind,
                name=key.name,
                namespace=key.namespace,
                uid=found["metadata"]["uid"],
            ),
            reason=reason,
            message=message[:1_000],
            type="Normal" if normal else "Warning",
            source=EventSource(component=FIELD_MANAGER),
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        try:
            await self._client.create(event)
        except ApiError as error:
            # An ending namespace takes no events; they are no state.
            self._log.info("event_refused", key="/".join(key), problem=str(error)[:200])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
