"""The rows of the fault matrix and the figures to hold, as the design names them."""

from typing import Final

INVARIANTS: Final = {
    "I1": "an acknowledged start is one execution; a request id has one, whatever was answered",
    "I2": "events are 1 to n without gap or repeat, with one end; replayed they are what is stored",
    "I3": "one accepted result per step; its effect is at the receiver once, under one key",
    "I4": "no step is called before the results it depends on are committed",
    "I5": "epochs never fall, only the owner of the time commits (noted by triggers)",
    "I6": "no timer fires early, each fires once",
    "I7": "every subscriber gets every event once and in order, every callback is delivered",
    "I8": "nothing follows an end; what was done is undone once, what completed last first",
    "I9": "everything ends: nothing is stuck 45 s after the fault",
    "I10": "memory, open files and threads return to what they were",
    "I11": "what executions tell each other comes, once: children are started, ends are told",
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
    "F14": "NATS killed and away",
    "F15": "store of NATS deleted",
    "F16": "NATS cut off, one way and both",
    "F17": "acknowledgements of publishes lost",
    "F18": "events repeated and out of order",
    "F19": "notes of what consumers have done lost, a receiver that never takes it",
    "F20": "Redis flushed, killed, hung, slow",
    "F21": "slow disk",
    "F22": "full disk",
    "F23": "wall clocks that jump",
    "F24": "frozen for longer than a lease",
    "F25": "zombie worker with a late result",
    "F26": "work that kills whoever does it",
    "F27": "two owners of one partition",
    "F28": "an owner that believes in its lease",
    "F29": "network broken one way between gateway and orchestrator",
    "F30": "half-open connections",
}
FIGURES: Final = {
    "N1": ("kills at commit points: lost, repeated, stuck", "0 in at least 10,000"),
    "N2": (
        "kills at every write of a twelve-step workflow with a timer, a signal, a child and its"
        " undoing: before it is sent, before its reply, at its sync",
        "100 %: n is boundaries",
    ),
    "N3": (
        "runs of the simulation, each with faults of its own seed: with a violation",
        "0 in 20,000 a run, in 1,000,000 in all",
    ),
    "N4": ("owner killed, to the next committed transition", "p50 2.8 s, p99 5 s, max 8 s"),
    "N5": ("worker killed, to its tasks' next transition", "p99 1 s; worker service 4 s"),
    "N6": ("owners stopped and replaced: commits by a fenced one", "0 in 1,000"),
    "N7": ("NATS stores deleted and Redis flushed: lost", "0 in 200 + 200"),
    "N8": ("workflows while PostgreSQL restarts: wrong", "0 of 50,000"),
    "N9": (
        "five times as many starts as can be done; the host of the machine granted it a share"
        " of the CPU time it wanted, goodput is told for all of it and at the same speed of its"
        " cores (the share of the best of its peaks beside it)",
        "goodput 0.9 of the peak, accepted p99 3 x normal, refused in 50 ms",
    ),
    "N10": (
        "from the end of an execution to the list that shows it as ended, at 0.6 of what can be"
        " done and at five times as much",
        "p99 1 s, overloaded 5 s",
    ),
    "N12": ("event stream resumed after a gateway's kill", "gap 0, p99 2 s"),
    "N13": ("timers: early; late; 10,000 due in one second", "0 early, p99 200 ms late, 10 s"),
    "N14": ("changes of ownership without a fault, under load", "0 in 1 h"),
    "N22": (
        "starts answered at 0.6 of what can be done, in ms; how much slower than usual the machine"
        " was then",
        "p99 80 ms",
    ),
    "F10": (
        "starts acknowledged in the two seconds before PostgreSQL failed over to a standby that"
        " is not synchronous and had heard nothing of them",
        "counted; 0 with a synchronous one",
    ),
}
