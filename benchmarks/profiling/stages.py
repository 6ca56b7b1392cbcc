"""Which stage of the path a stack belongs to: rules, tried on its frames from the innermost out.

The first frame that a rule knows decides, so the time of a library counts for whoever called it,
unless the library is a stage of its own (gRPC, protobuf's encoding). A stack that no rule knows
is the event loop's.
"""

import re
from collections.abc import Sequence

SUITE = r"(libs|services)/flowmesh/"
ORCHESTRATOR = SUITE + r"orchestrator/"

# The order matters within a frame only: the first rule that finds its pattern in it.
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
# Frames at the bottom of every stack say nothing of what it does.
BOTTOM = re.compile(
    r"^(<module>|main|run|_run\w*|restarted|dev) \(|/suite/(main|commands|dev)\.py|/cli/"
)
IDLE = re.compile(r"^(epoll_p?wait|poll|ppoll|select|pthread_cond_\w+|sem_\w+|futex\w*) ")

_COMPILED = tuple((stage, re.compile(pattern)) for stage, pattern in RULES)
STAGES = tuple(dict.fromkeys((*(stage for stage, _ in RULES), LOOP)))


def stage_of(frames: Sequence[str]) -> str:
    """`frames` from the outermost to the innermost, each as `function (file:line)`."""
    for frame in reversed(frames):
        if BOTTOM.search(frame):
            continue
        for stage, pattern in _COMPILED:
            if pattern.search(frame):
                return stage
    return LOOP


def waits(frames: Sequence[str]) -> bool:
    """Whether the thread was asleep: it cost nothing then."""
    return bool(frames) and IDLE.search(frames[-1]) is not None
