"""`grpc.call`: one unary gRPC call."""

from flowmesh.tasktypes.record import CheckKind, Effect, InputMode, TaskType, Upstream

GRPC_CALL = TaskType(
    name="grpc.call",
    summary="One unary gRPC call.",
    effect=Effect.UNKNOWN,
    executor="flowmesh.executors.unary:unary_executor",
    parameters="flowmesh.definitions.editor.calls:unary_parameters",
    native="grpc.call",
    block="grpc",
    reader="flowmesh.definitions.formats.native.calls:unary",
    action="read",
    check=CheckKind.UNARY,
    input_mode=InputMode.RENDERED,
    upstream=Upstream("target", "target"),
)
TASK_TYPES = (GRPC_CALL,)
