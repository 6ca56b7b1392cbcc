"""Metrics of the orchestrator; updated per batch where possible, never labeled by execution."""

from flowmesh.orchestrator.model.attempt_metrics import AttemptMetrics
from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.named import OTHER


class WorkflowMetrics:
    """Ended executions by workflow: the first `most` under their names, later ones as `other`."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self._most = most
        self._executions = metrics.counter(
            "flowmesh_workflow_executions",
            "Executions that ended, by workflow and outcome.",
            ("namespace", "workflow", "outcome"),
        )
        self._seconds = metrics.histogram(
            "flowmesh_workflow_execution_seconds",
            "Start to end of an execution, by workflow.",
            ("namespace", "workflow"),
        )
        self._named: set[tuple[str, str]] = set()

    def ended(self, workflow: tuple[str, str], outcome: str, seconds: float) -> None:
        """Count an ended execution of a workflow, which is named by namespace and id."""
        if workflow not in self._named:
            if len(self._named) >= self._most:
                workflow = (OTHER, OTHER)
            else:
                self._named.add(workflow)
        self._executions.labels(*workflow, outcome).inc()
        self._seconds.labels(*workflow).observe(seconds)


class OrchestratorMetrics:
    """The metrics of one process, created once in its composition root."""

    def __init__(self, metrics: Metrics, workflows_max: int = 0) -> None:
        self.commit_commands = metrics.histogram(
            "flowmesh_commit_commands",
            "Commands per commit.",
            buckets=(1, 2, 4, 8, 16, 24, 48, 96, 192, 500),
        )
        self.commit_seconds = metrics.histogram("flowmesh_commit_seconds", "Time of one commit.")
        self.stale_results = metrics.counter(
            "flowmesh_stale_results", "Results that were not of the current attempt."
        )
        counter = metrics.counter
        self.started = counter("flowmesh_workflows_started", "Executions started.")
        self.completed = counter("flowmesh_workflows_completed", "Executions that completed.")
        self.failed = counter("flowmesh_workflows_failed", "Executions that failed.")
        self.canceled = counter("flowmesh_workflows_canceled", "Executions canceled or terminated.")
        self.tasks_completed = counter("flowmesh_tasks_completed", "Tasks that completed.")
        self.tasks_failed = counter("flowmesh_tasks_failed", "Tasks whose last attempt failed.")
        self.tasks_retried = counter(
            "flowmesh_tasks_retried", "Attempts that failed and were followed by another."
        )
        self.execution_seconds = counter(
            "flowmesh_total_execution_time", "Cumulative duration of ended executions in seconds."
        )
        self._keep_first_names(metrics)
        self._count_retention(metrics)
        self.dead_letters = metrics.counter(
            "flowmesh_dead_letters", "Tasks given up in executions that failed."
        )
        self.slowdowns = metrics.counter(
            "flowmesh_slowdowns", "Tasks found to take several times as long as they did."
        )
        self.workflows = WorkflowMetrics(metrics, workflows_max) if workflows_max else None
        self.attempts = AttemptMetrics(metrics, exported=workflows_max > 0)
        self.execution_latency = metrics.histogram(
            "flowmesh_execution_seconds", "Start to end of an execution."
        )
        self.execution_overhead = metrics.histogram(
            "flowmesh_execution_overhead_ratio",
            "Share of a completed execution's time in which none of its tasks ran.",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0),
        )
        self.history_events = metrics.counter("flowmesh_history_events", "Events committed.")
        self.history_bytes = metrics.counter(
            "flowmesh_history_bytes", "Bytes of events committed, as they are stored."
        )
        self.long_histories = metrics.counter(
            "flowmesh_long_histories", "Executions whose history passed the length of a warning."
        )
        self.partitions_owned = metrics.gauge(
            "flowmesh_partitions_owned", "Partitions this process owns."
        )
        self.tasks_ready = metrics.gauge("flowmesh_tasks_ready", "Tasks that wait for a worker.")
        self.tasks_held_back = metrics.gauge(
            "flowmesh_tasks_held_back", "Ready tasks that a limit or a stop holds back."
        )
        self.oldest_ready = metrics.gauge(
            "flowmesh_oldest_ready_task_seconds", "For how long the oldest ready task waits."
        )
        self.tasks_out = metrics.gauge("flowmesh_tasks_out", "Tasks that are at workers.")
        self.snapshot_bytes = metrics.histogram(
            "flowmesh_snapshot_bytes",
            "Size of stored snapshots of states.",
            buckets=tuple(4.0**power for power in range(5, 14)),
        )
        self.states_bytes = metrics.gauge(
            "flowmesh_states_bytes", "Bytes of the executions held in memory, estimated."
        )
        self.states_cached = metrics.gauge("flowmesh_states_cached", "Executions held in memory.")
        self.plan_lookups = counter("flowmesh_plan_lookups", "Plans by name.", ("result",))

    def _count_retention(self, metrics: Metrics) -> None:
        self.executions_deleted = metrics.counter(
            "flowmesh_executions_deleted", "Executions deleted after their retention."
        )
        self.archive_failures = metrics.counter(
            "flowmesh_archive_failures", "Rounds of retention that could not write the archive."
        )

    def _keep_first_names(self, metrics: Metrics) -> None:
        """Export metrics that had no prefix in earlier versions under their former names too."""
        for name, of in (
            ("workflows_started", self.started),
            ("workflows_completed", self.completed),
            ("workflows_failed", self.failed),
            ("workflows_canceled", self.canceled),
            ("tasks_completed", self.tasks_completed),
            ("tasks_failed", self.tasks_failed),
            ("tasks_retried", self.tasks_retried),
            ("total_execution_time", self.execution_seconds),
        ):
            metrics.alias(name, of)
