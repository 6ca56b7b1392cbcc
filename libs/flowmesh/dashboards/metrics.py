"""The kept metrics with their labels; a test compares them with those that the code registers."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

_COUNTERS: Final = """
    flowmesh_access_refusals method reason
    flowmesh_app_requests namespace app route outcome
    flowmesh_archive_failures
    flowmesh_attempts task_type outcome
    flowmesh_broker_messages_ended namespace queue cause
    flowmesh_broker_unroutable
    flowmesh_bus_messages direction
    flowmesh_data_keys_rewrapped
    flowmesh_dead_letters
    flowmesh_definition_cache_reads cache result
    flowmesh_event_callbacks
    flowmesh_event_change_slots_lost
    flowmesh_event_changes outcome
    flowmesh_event_delivery_attempts outcome
    flowmesh_event_filled
    flowmesh_event_firings outcome
    flowmesh_event_messages outcome
    flowmesh_event_notifications outcome
    flowmesh_event_slow_subscribers
    flowmesh_executions_deleted
    flowmesh_finished_states outcome
    flowmesh_history_bytes
    flowmesh_history_events
    flowmesh_http_requests route method status
    flowmesh_long_histories
    flowmesh_loop_rounds loop outcome
    flowmesh_observe_dropped kind
    flowmesh_observe_seconds
    flowmesh_operator_reconciles kind outcome
    flowmesh_operator_reviews verdict
    flowmesh_plan_lookups result
    flowmesh_result_cache outcome
    flowmesh_rpc service method code
    flowmesh_slowdowns
    flowmesh_stale_results
    flowmesh_task_type_attempts namespace task_type outcome
    flowmesh_tasks_completed
    flowmesh_tasks_failed
    flowmesh_tasks_retried
    flowmesh_total_execution_time
    flowmesh_worker_attempts namespace worker outcome
    flowmesh_workflow_executions namespace workflow outcome
    flowmesh_workflows_canceled
    flowmesh_workflows_completed
    flowmesh_workflows_created origin
    flowmesh_workflows_failed
    flowmesh_workflows_started
    messages_consumed namespace queue
    messages_failed namespace queue
    messages_published namespace queue
    process_cpu_seconds
"""
# Each instance of a service has its share of what these count: together they are the sum.
_SHARES: Final = """
    flowmesh_breakers_open
    flowmesh_broker_consumers namespace queue
    flowmesh_bus_readers
    flowmesh_event_subscribers kind
    flowmesh_operator_leader
    flowmesh_operator_queue
    flowmesh_partitions_owned
    flowmesh_states_bytes
    flowmesh_states_cached
    flowmesh_tasks_held
    flowmesh_tasks_held_back
    flowmesh_tasks_out
    flowmesh_tasks_ready
    flowmesh_worker_sets
"""
# Ages, ratios, and what each instance reads as a whole: of several instances the mean.
_GAUGES: Final = """
    flowmesh_certificate_expiry_timestamp_seconds certificate
    flowmesh_data_keys_to_rewrap
    flowmesh_definition_cache_hit_ratio cache
    flowmesh_disk_free_bytes
    flowmesh_disk_size_bytes
    flowmesh_event_change_lag_bytes namespace workflow trigger
    flowmesh_oldest_ready_task_seconds
    flowmesh_operator_certificate_days
    flowmesh_operator_queue_age_seconds
    flowmesh_orchestrators_attached
    flowmesh_slo_budget_left namespace workflow
    flowmesh_slo_burn namespace workflow window
    flowmesh_wrapping_key_usable
    process_resident_memory_bytes
    queue_sizes namespace queue
"""
_HISTOGRAMS: Final = """
    flowmesh_app_request_seconds namespace app route
    flowmesh_attempt_seconds task_type
    flowmesh_commit_commands
    flowmesh_commit_seconds
    flowmesh_event_delivery_seconds
    flowmesh_event_lag_seconds
    flowmesh_event_notification_seconds
    flowmesh_execution_overhead_ratio
    flowmesh_execution_seconds
    flowmesh_http_request_seconds route
    flowmesh_loop_seconds loop
    flowmesh_operator_review_seconds
    flowmesh_rpc_seconds service method
    flowmesh_snapshot_bytes
    flowmesh_task_type_attempt_seconds namespace task_type
    flowmesh_worker_attempt_seconds namespace worker
    flowmesh_workflow_execution_seconds namespace workflow
"""
_SUFFIXES: Final = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}
_TEXTS: Final[tuple[tuple[Kind, str], ...]] = (
    ("counter", _COUNTERS),
    ("gauge", _SHARES),
    ("gauge", _GAUGES),
    ("histogram", _HISTOGRAMS),
)
PROCESS: Final = "process"
"""Label that every kept series has: the service of its process."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A name that `/metrics` shows: its kind, and the labels of its series."""

    kind: Kind
    labels: tuple[str, ...]
    is_share: bool = False

    @property
    def filters(self) -> tuple[str, ...]:
        """The labels that conditions and groups may name."""
        return (*self.labels, PROCESS)


def _metrics() -> dict[str, Metric]:
    return {
        f"{name}{suffix}": Metric(kind, tuple(labels), is_share=text is _SHARES)
        for kind, text in _TEXTS
        for name, *labels in map(str.split, text.strip().splitlines())
        for suffix in _SUFFIXES[kind]
    }


METRICS: Final = _metrics()
SHARES: Final = tuple(name for name, metric in METRICS.items() if metric.is_share)


def is_buckets(name: str) -> bool:
    """Return True for the buckets of a histogram, of which there are only quantiles."""
    return name in METRICS and METRICS[name].kind == "histogram" and name.endswith("_bucket")
