"""`http.request` and `webhook`: HTTP requests."""

from flowmesh.tasktypes.record import CheckKind, Effect, InputMode, TaskType, Upstream

TIMEOUT_MS = 30_000
HTTP_REQUEST = TaskType(
    name="http.request",
    summary="One HTTP request; `authentication` is basic, bearer, apiKey or oauth2.",
    effect=Effect.BY_METHOD,
    executor="flowmesh.executors.http.request:http_executor",
    parameters="flowmesh.definitions.editor.calls:http_parameters",
    native="http",
    block="http",
    reader="flowmesh.definitions.formats.native.resources:read_http",
    action="read",
    action_reader="flowmesh.definitions.formats.steps:read_http",
    check=CheckKind.HTTP,
    input_mode=InputMode.RENDERED,
    timeout_ms=TIMEOUT_MS,
    upstream=Upstream("url", "url"),
)
WEBHOOK = TaskType(
    name="webhook",
    summary="An HTTP POST.",
    effect=Effect.CHANGES,
    executor="flowmesh.executors.http.request:webhook_executor",
    parameters="flowmesh.definitions.editor.calls:webhook_parameters",
    native="webhook",
    block="webhook",
    reader="flowmesh.definitions.formats.native.calls:webhook",
    action="read",
    check=CheckKind.HTTP,
    input_mode=InputMode.RENDERED,
    context_without="payload",
    timeout_ms=TIMEOUT_MS,
    upstream=Upstream("url", "url"),
)
TASK_TYPES = (HTTP_REQUEST, WEBHOOK)
