"""The template of docs/limits.md holds every bound of the modules that keep such."""

import ast
import re

from tests.tidy import sources
from tools.pages import limits

_BOUND = re.compile(r"[A-Z][A-Z_]*_MAX(_[A-Z]+)?")

# Bounds that refuse nothing a caller asks for, by what they do instead.
INTERNAL: dict[str, str] = {
    "it is the bound of a row, said where another process needs it": """
        apphost.limits.RELEASE_MAX
        definition.limits.PAGE_SIZE_MAX definitions.limits.MAP_ITEMS_MAX
        egress.client.URL_CHARACTERS_MAX engine.children.begin.REQUEST_ID_MAX
        gateway.http.limits.CHANGE_CHARACTERS_MAX gateway.http.limits.FILE_BYTES_MAX
        gateway.http.limits.ID_CHARACTERS_MAX
        gateway.http.limits.PAYLOAD_BYTES_MAX gateway.http.limits.SIGNAL_TTL_MS_MAX
        gateway.routes.limits.CHANGES_MAX
        orchestrator.model.request_checks.TEXT_MAX sandbox.pool.CODE_BYTES_MAX
        sdk.values.limits.STORED_BYTES_MAX sdk.values.limits.WORKER_SLOTS_MAX
        worker.limits.STORED_PAYLOAD_BYTES_MAX
    """,
    "it bounds a file of an application; the finding of `app validate` says it": """
        apps.document.limits.FILES_MAX apps.document.limits.INCLUDED_FILE_BYTES_MAX
        apps.document.limits.MODULES_MAX apps.document.limits.NAME_CHARACTERS_MAX
        apps.document.limits.ROUTES_MAX apps.document.limits.SOURCE_BYTES_MAX
        apps.document.limits.STEPS_MAX
    """,
    "another bound is always met before": """
        expressions.parser.NUMBER_CHARACTERS_MAX dryrun.limits.COMMANDS_MAX
        rpc.limits.PAGE_TOKEN_CHARACTERS_MAX transforms.limits.MERGE_DEPTH_MAX
        observe.limits.FIELDS_BYTES_MAX observe.limits.LABELS_MAX observe.limits.METRICS_MAX
        observe.limits.RECORDS_MAX observe.limits.TEXT_CHARACTERS_MAX
    """,
    "what is told or kept ends there": """
        plugins.limits.CONNECTIONS_MAX
        operator.limits.MESSAGE_CHARACTERS_MAX
        access.refusals.NAME_CHARACTERS_MAX apphost.limits.LOG_BYTES_MAX
        apphost.limits.LOG_TEXT_CHARACTERS_MAX apphost.limits.PROBLEM_CHARACTERS_MAX
        cli.operations.limits.LINE_MAX definition.limits.AFFECTED_SHOWN_MAX
        definition.limits.BROKEN_SHOWN_MAX definition.limits.DIFFERENCES_KEPT_MAX
        definition.limits.DIFFERENCE_BYTES_MAX definition.limits.MOVES_MAX
        definition.limits.TEMPLATES_COUNTED_MAX definitions.limits.PROBLEMS_MAX
        definitions.limits.WARNINGS_MAX broker.limits.ERROR_CHARACTERS_MAX
        broker.limits.LABELS_MAX observe.limits.SERIES_MAX
        observe.limits.EXECUTIONS_OF_TRACE_MAX observe.limits.RECORDS_OF_TRACE_MAX
        eventstore.limits.ERROR_CHARACTERS_MAX executors.limits.ERROR_BODY_CHARACTERS_MAX
        executors.limits.METADATA_HEADER_BYTES_MAX gateway.http.limits.ANSWER_PAYLOAD_BYTES_MAX
        gateway.http.limits.CONTEXT_PAYLOAD_BYTES_MAX gateway.http.limits.CONTEXT_TASKS_MAX
        gateway.http.limits.TRACE_EVENTS_MAX identity.limits.FILE_VERSIONS_MAX
        identity.limits.DRILL_REPORT_BYTES_MAX
        orchestrator.model.concurrency_groups.NAMED_MAX
        orchestrator.operations.limit_operations.USES_MAX dryrun.limits.EXAMPLE_DEPTH_MAX
        dryrun.limits.EXAMPLE_ITEMS_MAX rpc.limits.STATUS_BYTES_MAX
        rpc.limits.STATUS_MESSAGE_CHARS_MAX sandbox.syntax.MESSAGE_CHARACTERS_MAX
        sdk.values.limits.MESSAGE_CHARS_MAX sdk.values.limits.TASK_LOG_BYTES_MAX
        sdk.values.limits.TASK_LOG_LINE_CHARS_MAX
        sdk.values.limits.TRACEBACK_CHARS_MAX
    """,
    "a page, a part or a frame is no larger, and another one follows": """
        definition.limits.PAGE_BYTES_MAX broker.limits.PAGE_MAX
        fleet.limits.DECISIONS_LISTED_MAX fleet.limits.ENDED_LISTED_MAX
        eventstore.limits.CHANGES_MAX eventstore.limits.PAGE_BYTES_MAX
        eventstore.limits.PAGE_MAX eventstore.limits.SCANNED_MAX
        event.notifications.limits.PAGE_MAX event.notifications.limits.RESEND_MAX
        identity.limits.PAGE_SIZE_MAX observe.limits.PAGE_MAX
        orchestrator.bulk.bulks.LISTED_MAX orchestrator.bulk.bulks.PAGE_MAX
        orchestrator.links.keys.LISTED_MAX
        orchestrator.operations.limit_operations.CHANGES_MAX registry.instances.PAGE_MAX
        orchestrator.api.session.FRAME_BYTES_MAX
        sdk.values.limits.FRAME_BYTES_MAX sdk.values.limits.FRAME_ITEMS_MAX
        worker.limits.FRAME_BYTES_MAX
    """,
    "it is remembered or computed in advance no further": """
        definition.limits.OUTCOMES_CACHED_BYTES_MAX definition.limits.OUTCOMES_CACHED_MAX
        definition.limits.PLANS_CACHED_BYTES_MAX definition.limits.PLANS_CACHED_MAX
        definition.limits.READINGS_CACHED_BYTES_MAX definition.limits.READINGS_CACHED_MAX
        definition.limits.VERSIONS_CACHED_BYTES_MAX definition.limits.VERSIONS_CACHED_MAX
        engine.state.state.REQUEST_IDS_MAX engine.state.state.STALE_TIMERS_MAX
        executors.limits.COMPILED_PIPELINES_MAX plugins.limits.KEPT_MAX
        worker.limits.TASKS_WITH_SECRETS_MAX
        executors.limits.COMPILED_SPECS_MAX executors.limits.LOOP_BYTES_MAX
        expressions.conditions.PROMPT_INSTRUCTIONS_MAX
        sandbox.turns.NAMESPACES_MAX transforms.limits.INLINE_COST_MAX
        transforms.limits.INLINE_PATTERNS_MAX
        expressions.parser.CONSTANT_BYTES_MAX orchestrator.model.plans.PLANS_MAX
        orchestrator.storage.payloads.CACHE_BYTES_MAX sdk.values.limits.DURABLE_SUSPEND_BYTES_MAX
        sdk.values.limits.WORKER_SPECS_MAX worker.limits.SPECS_PER_STREAM_MAX
    """,
    "what is beyond waits, or is tried again by itself": """
        definition.limits.DRY_RUNS_MAX egress.client.CALLS_MAX
        event.publishing.PUBLISHING_MAX
        event.notifications.limits.OPEN_MAX_MS event.notifications.limits.PENDING_MAX
        identity.limits.FILE_UPLOADS_MAX
        rpc.limits.CONCURRENT_CALLS_MAX
        rpc.limits.STREAM_MESSAGES_MAX sandbox.pool.CHILDREN_MAX
        sdk.values.limits.CONNECTIONS_MAX sdk.values.limits.SESSION_UNACKNOWLEDGED_MAX
        sdk.values.limits.SESSION_WATCHED_MAX
        sdk.values.limits.UNACKNOWLEDGED_BYTES_MAX sdk.values.limits.UNACKNOWLEDGED_RESULTS_MAX
        sdk.values.limits.WORKER_THREADS_MAX worker.limits.UNACKNOWLEDGED_BYTES_MAX
        worker.limits.UNACKNOWLEDGED_RESULTS_MAX
    """,
    "it says how long to try again, or how often": """
        operator.limits.RETRY_MAX_S
        apphost.limits.CRASHES_MAX fleet.limits.CRASHES_MAX
        fleet.limits.RESTART_MS_MAX fleet.limits.UPDATE_FAILURES_MAX
        definition.limits.APPLY_ATTEMPTS_MAX executors.limits.RETRY_AFTER_MS_MAX
        mesh.limits.TRIES_MAX
        rpc.limits.RECONNECT_MAX_MS rpc.limits.STREAM_RETRY_MAX_S rpc.limits.TARGETS_TRIED_MAX
        sdk.values.limits.RETRY_ATTEMPTS_MAX sdk.values.limits.RETRY_WAIT_MAX_S
    """,
    "it is between processes of the suite, or what a parser in a process of its own may use": """
        orchestrator.storage.payloads.RENEWED_MAX
        rpc.limits.RESPONSE_METADATA_BYTES_MAX runtime.http.server.WEBSOCKET_MESSAGE_BYTES_MAX
        sandbox.child.CPU_TIME_MS_MAX
        sandbox.child.ANSWER_BYTES_MAX sandbox.child.COMPILED_MAX sandbox.child.OPEN_FILES_MAX
        sandbox.child.PENDING_JOBS_MAX sandbox.child.STACK_BYTES_MAX sandbox.pool.IDLE_SECONDS_MAX
        sandbox.pool.RUNS_PER_CHILD_MAX sandbox.pool.TIMEOUT_MS_MAX
        sandbox.syntax.JQ_PROGRAM_SECONDS_MAX sandbox.syntax.JQ_SECONDS_MAX
        sandbox.syntax.PARSE_MEMORY_BYTES_MAX sandbox.syntax.PARSE_SECONDS_MAX
        sandbox.syntax.PARSE_STACK_BYTES_MAX
    """,
}


def _modules() -> dict[str, str]:
    """The files of ours by their modules, without `flowmesh.`."""
    found = {}
    for name in sources.python():
        folder, _, inside = name.partition("/flowmesh/")
        if folder in ("libs", "services"):
            found[inside.removesuffix(".py").replace("/", ".")] = name
    return found


def _kept(module: str, name: str) -> set[str]:
    """The bounds that a module defines."""
    found = set()
    for node in ast.parse(sources.text(name)).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {
            f"{module}.{target.id}"
            for target in targets
            if isinstance(target, ast.Name) and _BOUND.fullmatch(target.id)
        }
    return found


def test_every_bound_is_in_the_table() -> None:
    """Those of every `limits.py`, and of each module that the table has one of; or it is internal
    for one of the reasons above.
    """
    constants = limits.constants()
    told = {f"{module}.{name}" for module, name in constants}
    keepers = {module for module, _ in constants}
    kept: set[str] = set()
    for module, name in _modules().items():
        if name.endswith("/limits.py") or module in keepers:
            kept |= _kept(module, name)
    internal = {each for some in INTERNAL.values() for each in some.split()}
    assert not kept - told - internal, sources.lines(sorted(kept - told - internal))
    assert not internal & told, sources.lines(sorted(internal & told))
    assert not internal - kept, sources.lines(sorted(internal - kept))
