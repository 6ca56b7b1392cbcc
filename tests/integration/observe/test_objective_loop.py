"""States of stored objectives, alerts, and what the process serves and keeps."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from flowmesh.api.event.v1 import alert_service_pb2 as alert_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.observe.loops import KeepingLoop
from flowmesh.observe.main import serve_observe
from flowmesh.observe.objective_store import STATE_US, ObjectiveStore
from flowmesh.observe.objectives import ObjectiveLoop
from flowmesh.observe.slos import Slos
from flowmesh.observe.store import Retention, SignalStore
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry import Metrics
from tests.integration.observe.stand_ins import batch, stub

NOON_US = 1_795_953_600_000_000


class Process:
    """The loop of objectives at a time, with counts of executions that a test sets."""

    def __init__(self, pool: Any) -> None:
        self.now_us = NOON_US
        self.failed = 0
        self.alerts: list[alert_pb.RaiseAlertRequest] = []
        self.metrics = Metrics()
        self.store = ObjectiveStore(pool)
        self.loop = ObjectiveLoop(
            store=self.store,
            slos=Slos(searches=stub(CountExecutions=self._counted), definitions=stub()),
            alerts=stub(RaiseAlert=self.alerts.append),
            metrics=self.metrics,
            now_us=lambda: self.now_us,
            log=structlog.get_logger(),
        )

    def _counted(
        self, request: search_pb.CountExecutionsRequest
    ) -> search_pb.CountExecutionsResponse:
        if '"gone"' in request.filter:
            raise NotFound("WORKFLOW_NOT_FOUND", "deleted")
        # In the last five minutes twice as many.
        failed = self.failed * (2 if '"-300s"' in request.filter else 1)
        counts = {"completed": 300 - failed, "failed": failed}
        groups = [
            search_pb.ExecutionGroup(values=[key], count=each) for key, each in counts.items()
        ]
        return search_pb.CountExecutionsResponse(groups=groups)

    async def round(self) -> int:
        """Run a round, a state later than the last one."""
        self.now_us += STATE_US + 1
        return await self.loop.run_once()

    def gauge(self, name: str, **labels: str) -> float | None:
        workflow = {"namespace": "n", "workflow": "w"}
        return self.metrics.registry.get_sample_value(name, {**workflow, **labels})


@pytest.fixture
def process(pool: Any) -> Process:
    return Process(pool)


async def test_an_alert_begins_and_ends_once(process: Process) -> None:
    """A round that finds the same again raises none; a workflow that is gone has no state."""
    for workflow in ("gone", "w"):
        slo = pb.Slo(workflow_id=workflow, target=99, window_s=3_600, alert_burn_rate=2)
        await process.store.put("n", slo)
    with capture_logs() as lines:
        assert await process.round() == 2
        assert process.alerts == []
        process.failed = 7
        await process.round()
        await process.round()
        process.failed = 0
        await process.round()
        await process.round()
    kinds = [(each.namespace, each.workflow_id, each.kind) for each in process.alerts]
    assert kinds == [
        ("n", "w", alert_pb.ALERT_KIND_BUDGET),
        ("n", "w", alert_pb.ALERT_KIND_BUDGET_RECOVERED),
    ]
    begun = process.alerts[0]
    assert begun.burn_rate == pytest.approx(7 / 3)
    assert begun.alert_burn_rate == 2
    assert begun.at_us == NOON_US + 2 * (STATE_US + 1)
    told = [each for each in lines if each["event"] != "objective_unknown"]
    assert [(each["event"], each["burn_rate"], each["budget_left"]) for each in told] == [
        ("budget_burns", 2.33, -1.3333),
        ("budget_recovered", 0, 1),
    ]
    unknown = [each for each in lines if each["event"] == "objective_unknown"]
    assert {(each["workflow"], each["reason"]) for each in unknown} == {
        ("gone", "WORKFLOW_NOT_FOUND")
    }
    assert len(unknown) == 5


async def test_gauges_of_objectives(process: Process) -> None:
    """Those of a deleted objective are removed after three rounds."""
    await process.store.put("n", pb.Slo(workflow_id="w", target=99, window_s=3_600))
    process.failed = 3
    assert await process.round() == 1
    assert (await process.store.get("n", "w")).computed_at_us == process.now_us
    assert process.gauge("flowmesh_slo_burn", window="1h") == pytest.approx(1)
    assert process.gauge("flowmesh_slo_burn", window="5m") == pytest.approx(2)
    assert process.gauge("flowmesh_slo_budget_left") == pytest.approx(0)
    await process.store.delete("n", "w")
    process.now_us += 3 * STATE_US
    assert await process.loop.run_once() == 0
    assert process.gauge("flowmesh_slo_budget_left") == pytest.approx(0)
    process.now_us += 1
    assert await process.loop.run_once() == 0
    for window in ("1h", "5m"):
        assert process.gauge("flowmesh_slo_burn", window=window) is None
    assert process.gauge("flowmesh_slo_budget_left") is None


async def test_partitions_and_hours_are_kept_by_a_loop(pool: Any) -> None:
    """The first round makes the days, later ones sum hours and drop days."""
    store, now = SignalStore(pool), [NOON_US]
    keep = Retention(days=15, months=1_000, logs_days=7, bytes_max=1 << 40)
    loop = KeepingLoop(store=store, retention=keep, now_us=lambda: now[0])
    assert await loop.run_once() == 0
    await store.write(batch(NOON_US, {"calls_total": {"code=OK": 3}}))
    now[0] += 3_600_000_000 + 120_000_000
    assert await loop.run_once() == 0
    hours = await store.amounts("calls_total", NOON_US, now[0], 3_600, hours=True)
    assert [each.value for each in hours] == [3]
    now[0] += 20 * 86_400_000_000
    assert await loop.run_once() == 12


async def test_the_service_keeps_what_the_settings_say(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days, months, and MiB as bytes."""
    kept: list[Retention] = []

    async def keep(_: SignalStore, retention: Retention, _today: object) -> int:
        kept.append(retention)
        return 0

    monkeypatch.setattr(SignalStore, "keep", keep)

    @asynccontextmanager
    async def database(*_: object, **_named: object) -> AsyncIterator[Any]:
        yield pool

    loops: list[Any] = []
    served: list[str] = []
    settings = Settings(observe_days=3, observe_months=5, observe_logs_days=2, observe_mib_max=64)
    runtime: Any = SimpleNamespace(
        database=database,
        settings=settings,
        clock=SimpleNamespace(now_us=lambda: NOON_US),
        add_loop=loops.append,
        stub=lambda *_: stub(),
        metrics=Metrics(),
        log=structlog.get_logger(),
        serve=lambda servicer, _: served.append(type(servicer).__name__),
    )
    async with AsyncExitStack() as stack:
        await serve_observe(runtime, stack)
        (keeping,) = [each for each in loops if isinstance(each, KeepingLoop)]
        await keeping.run_once()
    assert served == ["ObserveServer", "DashboardServer"]
    assert kept == [Retention(days=3, months=5, logs_days=2, bytes_max=67_108_864)]
