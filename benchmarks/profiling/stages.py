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
    ("telemetry", SUITE + r"(telemetry/|\w+/(telemetry|metrics|stats)\.py)"),
    ("engine", SUITE + r"(engine|plan)/|" + ORCHESTRATOR + r"(states|histories)\.py"),
    ("engine", SUITE + r"expressions/"),
    ("encode", ORCHESTRATOR + r"(batch|payloads|snapshots)\.py"),
    ("commit", ORCHESTRATOR + r"(committer|store|inbox|owner|works|recovery)\.py"),
    ("commit", r"/asyncpg/|pgproto\.c|protocol\.c|" + SUITE + r"storage/"),
    ("result", r"^(Dispatcher\.result|DispatchServer\._(take|read)|Link\.result)\b"),
    ("result", r"^(Relay\.(complete|received|_route|_accepted)|RemoteWorker\.(read|received))\b"),
    ("dispatch", ORCHESTRATOR + r"(dispatcher|ready|queues|attached|attach_server|plans|ids)\.py"),
    ("worker service", SUITE + r"worker/"),
    ("event", ORCHESTRATOR + r"(publisher|outbox)\.py|" + SUITE + r"(event|bus)/|/nats/"),
    ("gRPC in", ORCHESTRATOR + r"(server|executions|session|waiters|views|cold)\.py"),
    ("gRPC in", SUITE + r"rpc/"),
    ("housekeeping", ORCHESTRATOR + r"|" + SUITE + r"(runtime|cache)/|/redis/"),
    ("executor", r"benchmarks/suite/worker\.py|" + SUITE + r"sdk/task_runner\.py"),
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
