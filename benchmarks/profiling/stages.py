"""Rules that assign a stack to a stage of the path, matched from the innermost frame outward.

The first matching frame decides. So the time of a library counts for its caller, unless the library
is a stage itself (gRPC, protobuf encoding). A stack without a match counts for the event loop.
"""

import re
from collections.abc import Sequence

SUITE = r"(libs|services)/flowmesh/"
ORCHESTRATOR = SUITE + r"orchestrator/"

# The first rule whose pattern matches a frame applies.
RULES: tuple[tuple[str, str], ...] = (
    ("garbage collector", r"^gc_collect_main|^gc_collect_generations"),
    ("encode", r"^PyUpb_Message_Serialize"),
    ("decode", r"^PyUpb_Message_(MergeFromString|FromString|Parse)|^upb_Decode"),
    ("telemetry", r"/(prometheus_client|structlog|logging|opentelemetry)/"),
    ("telemetry", SUITE + r"(telemetry/|(\w+/)+(telemetry|metrics)\.py)"),
    ("telemetry", ORCHESTRATOR + r"dispatch/statistics/"),
    ("engine", SUITE + r"(engine|plan|expressions)/"),
    ("engine", ORCHESTRATOR + r"(storage/(states|histories)|model/verdicts)\.py"),
    ("encode", ORCHESTRATOR + r"storage/(batch|payloads|snapshots)\.py"),
    ("event", ORCHESTRATOR + r"(commit/publisher|storage/outbox)\.py"),
    ("event", SUITE + r"(event|bus)/|/nats/"),
    ("gRPC in", ORCHESTRATOR + r"(commit/waiters|model/messages)\.py"),
    ("commit", ORCHESTRATOR + r"(commit/|storage/|ownership/|model/commands\.py)"),
    ("commit", r"/asyncpg/|pgproto\.c|protocol\.c|" + SUITE + r"storage/"),
    ("result", r"^(TaskResults\.result|DispatchServer\._(take|read))\b"),
    ("result", r"^(Relay\.(complete|received)|RemoteWorker\.(read|received))\b"),
    ("dispatch", ORCHESTRATOR + r"(dispatch/|model/(plans|ids)\.py|api/dispatch_server\.py)"),
    ("worker service", SUITE + r"worker/"),
    ("gRPC in", ORCHESTRATOR + r"(api|operations)/|" + SUITE + r"rpc/"),
    ("housekeeping", ORCHESTRATOR + r"|" + SUITE + r"(runtime|cache)/|/redis/"),
    ("executor", r"benchmarks/suite/worker\.py|" + SUITE + r"sdk/worker/task_runner\.py"),
    ("SDK", SUITE + r"sdk/"),
    ("load generator", r"benchmarks/(?!\S*<module>)"),
    ("gRPC itself", r"grpc/(aio|_cython|_\w+\.py)"),
)
LOOP = "event loop"
# Frames at the bottom of every stack, which identify no stage.
BOTTOM = re.compile(
    r"^(<module>|main|run|_run\w*|restarted|dev) \(|/suite/(main|commands|dev)\.py|/cli/"
)
IDLE = re.compile(r"^(epoll_p?wait|poll|ppoll|select|pthread_cond_\w+|sem_\w+|futex\w*) ")

_COMPILED = tuple((stage, re.compile(pattern)) for stage, pattern in RULES)
STAGES = tuple(dict.fromkeys((*(stage for stage, _ in RULES), LOOP)))


def stage_of(frames: Sequence[str]) -> str:
    """Return the stage of frames, outermost first, each as `function (file:line)`."""
    for frame in reversed(frames):
        if BOTTOM.search(frame):
            continue
        for stage, pattern in _COMPILED:
            if pattern.search(frame):
                return stage
    return LOOP


def waits(frames: Sequence[str]) -> bool:
    """Return whether the thread was asleep, without CPU cost."""
    return bool(frames) and IDLE.search(frames[-1]) is not None
