"""Tasks that every workflow can refer to without a resource in the library."""

from flowmesh.definitions.model import Dialect, Task

TRANSFORM = "transform"
SIGNAL = "signal"
RECEIVE = "webhook.receive"
_BUILT_IN = {
    name: Task(type=name, executor=name, config={}, dialect=Dialect.NATIVE, name=name)
    for name in (TRANSFORM, "noop", "delay", SIGNAL, RECEIVE)
}
# What Flowmesh runs itself is not the task type of somebody's worker.
BUILT_IN_EXECUTORS = frozenset(
    {
        "approval", "builtin.noop", "condition", "db.exec", "db.query", "decision", "delay",
        "function",
        "grpc.call", "http.request", "log", "noop", "publish", "python", "serverless.task",
        "signal", "states.task", "transform", "webhook", RECEIVE,
    }
)  # fmt: skip
BUILT_IN_NAMES = frozenset(_BUILT_IN)


def built_in(name: str) -> Task | None:
    return _BUILT_IN.get(name)
