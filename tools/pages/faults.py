"""The rows of the fault matrix and the target figures."""

from typing import Final

INVARIANTS: Final = {
    "I1": "an acknowledged start is one execution; a request id has one, even without a response",
    "I2": "events are 1 to n without gaps, with one end; replayed they equal the stored state",
    "I3": "one accepted result per step; its effect arrives at the receiver once, under one key",
    "I4": "no step is called before the results of its dependencies are committed",
    "I5": "epochs never decrease; only the current owner commits (recorded by database triggers)",
    "I6": "no timer fires early; each fires once",
    "I7": "every subscriber receives every event once and in order; every callback is delivered",
    "I8": "no event follows an end; completed nodes are compensated once, in reverse order",
    "I9": "every execution ends: none is stuck 45 s after the fault",
    "I10": "memory, open files and threads return to their previous level",
    "I11": "messages between executions arrive once, in other projects too: starts of children and"
    " their outcomes",
}
ROWS: Final = {
    "F1": "kill -9 of an orchestrator at its commit points",
    "F2": "kill -9 of the gateway",
    "F3": "kill -9 of a worker service or a worker at its commit points",
    "F4": "kill -9 of the event service at its commit points",
    "F5": "registry down",
    "F6": "definition service down",
    "F7": "everything killed at once, servers included",
    "F8": "reply to COMMIT lost, statement late",
    "F9": "PostgreSQL restarts again and again",
    "F10": "failover to the standby of PostgreSQL",
    "F11": "PostgreSQL hangs",
    "F12": "fsync returns EIO, PostgreSQL dies at a sync",
    "F13": "deadlocks and serialization errors",
    "F14": "NATS killed and unavailable",
    "F15": "store of NATS deleted",
    "F16": "NATS cut off, one way and both",
    "F17": "acknowledgements of publishes lost",
    "F18": "events repeated and out of order",
    "F19": "lost consumer positions; a receiver that never acknowledges",
    "F20": "Redis flushed, killed, hung, slow",
    "F21": "slow disk",
    "F22": "full disk",
    "F23": "wall clocks that jump",
    "F24": "processes frozen for longer than a lease",
    "F25": "zombie worker with a late result",
    "F26": "a task that kills its worker",
    "F27": "two owners of one partition",
    "F28": "an owner that assumes an expired lease",
    "F29": "network broken in one direction between gateway and orchestrator",
    "F30": "half-open connections",
}
FIGURES: Final = {
    "N1": ("kills at commit points: lost, repeated, stuck", "0 in at least 10,000"),
    "N2": (
        "kills at every write of a twelve-step workflow with a timer, a signal, a child and"
        " compensation: before the write is sent, before its reply, at its sync",
        "100 %: n is boundaries",
    ),
    "N3": (
        "simulation runs with faults drawn from a seed: violations",
        "0 in 20,000 per run, 0 in 1,000,000 in total",
    ),
    "N4": ("owner killed: time to the next committed transition", "p50 2.8 s, p99 5 s, max 8 s"),
    "N5": (
        "worker killed: time to the next transition of its tasks",
        "p99 1 s; worker service 4 s",
    ),
    "N6": ("owners stopped and replaced: commits by a fenced one", "0 in 1,000"),
    "N7": ("NATS stores deleted and Redis flushed: lost", "0 in 200 + 200"),
    "N8": ("workflows while PostgreSQL restarts: wrong", "0 of 50,000"),
    "N9": (
        "five times the sustainable rate of starts; goodput is normalized to the CPU time and the"
        " core speed that the host granted (beside it, the share of the best peak)",
        "goodput 0.9 of the peak, accepted p99 3 x normal, rejected in 50 ms",
    ),
    "N10": (
        "time from the end of an execution to its appearance as ended in lists, at 0.6 and at 5"
        " times the sustainable rate",
        "p99 1 s, overloaded 5 s",
    ),
    "N12": ("event stream resumed after the kill of a gateway", "gap 0, p99 2 s"),
    "N13": ("timers: early; late; 10,000 due in one second", "0 early, p99 200 ms late, 10 s"),
    "N14": ("changes of ownership without a fault, under load", "0 in 1 h"),
    "N22": (
        "response time of starts at 0.6 of the sustainable rate, in ms; slowdown of the machine at"
        " that time",
        "p99 80 ms",
    ),
    "F10": (
        "starts acknowledged in the 2 s before a failover of PostgreSQL to an asynchronous standby"
        " that had not received them",
        "counted; 0 with a synchronous one",
    ),
}
