"""Settings of a plan for whole executions: start policy, limits, failure policies, search
attributes.
"""

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions.canonical import json_bytes, schema_bytes
from flowmesh.definitions.model import (
    Compensation,
    FailurePolicy,
    Limits,
    SearchKind,
    StartConflict,
    StartPolicy,
    Workflow,
)

_SEARCH_TYPES = {
    SearchKind.ANY: plan_pb2.SEARCH_TYPE_UNSPECIFIED,
    SearchKind.TEXT: plan_pb2.SEARCH_TYPE_TEXT,
    SearchKind.NUMBER: plan_pb2.SEARCH_TYPE_NUMBER,
    SearchKind.BOOL: plan_pb2.SEARCH_TYPE_FLAG,
    SearchKind.TIME: plan_pb2.SEARCH_TYPE_TIME,
}
_POLICIES = {
    FailurePolicy.FINISH_OTHERS: plan_pb2.FAILURE_POLICY_UNSPECIFIED,
    FailurePolicy.STOP: plan_pb2.FAILURE_POLICY_STOP,
    FailurePolicy.CANCEL: plan_pb2.FAILURE_POLICY_CANCEL,
}
_CONFLICTS = {
    StartConflict.QUEUE: plan_pb2.START_CONFLICT_UNSPECIFIED,
    StartConflict.REJECT: plan_pb2.START_CONFLICT_REJECT,
    StartConflict.REPLACE: plan_pb2.START_CONFLICT_REPLACE,
    StartConflict.JOIN: plan_pb2.START_CONFLICT_JOIN,
}


def set_workflow_settings(plan: plan_pb2.Plan, workflow: Workflow) -> None:
    """Add the settings of a workflow to its plan."""
    plan.on_failure = _POLICIES[workflow.on_failure]
    _set_callbacks(plan, workflow)
    _set_compensation(plan, workflow)
    _set_search(plan, workflow)
    _set_variables(plan, workflow)
    if workflow.limits is not None:
        plan.limits.CopyFrom(planned_limits(workflow.limits))
    if workflow.start is not None:
        plan.start.CopyFrom(_start(workflow.start))


def planned_limits(limits: Limits) -> plan_pb2.Limits:
    """Return the limits of a workflow or of a node."""
    return plan_pb2.Limits(
        concurrency=limits.concurrency,
        rate_per_second=limits.rate,
        burst=limits.burst,
        key_template=json_bytes(limits.key) if limits.key else b"",
        retry_ratio=limits.retries,
    )


def _set_callbacks(plan: plan_pb2.Plan, workflow: Workflow) -> None:
    callbacks = workflow.callbacks
    if callbacks.on_complete or callbacks.on_failure or callbacks.on_step:
        plan.callbacks.on_complete_url = callbacks.on_complete
        plan.callbacks.on_failure_url = callbacks.on_failure
        plan.callbacks.on_step_url = callbacks.on_step
        plan.callbacks.secret = callbacks.secret


def _set_compensation(plan: plan_pb2.Plan, workflow: Workflow) -> None:
    compensation = workflow.compensation
    if compensation != Compensation():
        plan.compensation.not_on_failure = not compensation.on_failure
        plan.compensation.not_on_cancel = not compensation.on_cancel
        plan.compensation.on_terminate = compensation.on_terminate
        plan.compensation.parallel = compensation.parallel


def _set_variables(plan: plan_pb2.Plan, workflow: Workflow) -> None:
    for each in workflow.variables:
        schema = schema_bytes(each.schema)
        plan.variables.add(name=each.name, schema=schema, initial=json_bytes(each.initial))


def _set_search(plan: plan_pb2.Plan, workflow: Workflow) -> None:
    plan.retention_ms = workflow.retention_ms
    for each in workflow.search:
        template = json_bytes(each.template) if each.template is not None else b""
        plan.search.add(name=each.name, type=_SEARCH_TYPES[each.kind], template=template)


def _start(start: StartPolicy) -> plan_pb2.StartPolicy:
    return plan_pb2.StartPolicy(
        key_template=json_bytes(start.key) if start.key else b"",
        concurrency=start.concurrency,
        on_conflict=_CONFLICTS[start.on_conflict],
        delay_ms=start.delay_ms,
        debounce_ms=start.debounce_ms,
        max_wait_ms=start.max_wait_ms,
        dedup_window_ms=start.dedup_window_ms,
    )
