"""Where a process can be broken on purpose: name and moment. A test keeps it equal to the code.

The short names (O1, wk.4) are those of the commit points in the design.
"""

from typing import Final

POINTS: Final = {
    "gateway.received": "gw.1: a call was taken, nothing was asked of a service yet",
    "gateway.answered": "gw.2: the service has answered, the caller has not heard it",
    "gateway.streaming": "gw.3: in the middle of an event stream",
    "definition.checked": "D1: a definition is found to be right, nothing is written",
    "definition.committed": "D2: its version is committed, nobody was told",
    "definition.told": "D3: orchestrators were told, the caller was not",
    "orchestrator.decided": "O1, O10: a batch is decided, its statement was not sent",
    "orchestrator.committed": "O2, O3, O7, O11: committed; no answer, task or event has left",
    "orchestrator.dispatched": "O3: tasks and events were handed on, no caller was answered",
    "orchestrator.published": "O4: a commit's events are in the stream, its outbox row is there",
    "orchestrator.result_received": "O5: a frame of results has come, nothing is decided",
    "orchestrator.epoch_raised": "O8: partitions are ours, nothing of them was read",
    "orchestrator.inherited": "old outbox rows of another owner are known, not published",
    "orchestrator.renewing": "O9: the lease was renewed, the owner has not read the answer",
    "orchestrator.timer_due": "O10: a timer is due, nothing is decided",
    "orchestrator.telling": "a message to another execution is committed, it was not told",
    "orchestrator.told": "the other execution has it, the sender's row is still there",
    "orchestrator.day_detached": "O12: a day of history is detached, not dropped",
    "storage.migrating": "O14: a schema is locked for its migrations, not all are applied",
    "worker.received": "wk.1: tasks have come, none was begun",
    "worker.started": "wk.2: a task was begun",
    "worker.before_effect": "wk.3: the step is about to have its effect",
    "worker.effect_done": "wk.4: the effect is there, its result was not sent",
    "worker.result_sent": "wk.5: a frame of results was sent, not acknowledged",
    "worker.heartbeat": "wk.6: heartbeats are about to be sent",
    "event.received": "E1: a message has come, nothing of it is stored",
    "event.stored": "E2: positions and callbacks are stored, no outbox row was deleted for them",
    "event.reported": "E3: the stored positions were told to the orchestrators",
    "event.claimed": "E4: an attempt to deliver is written down, nothing was posted",
    "event.posted": "E5: a callback was posted, its outcome is not written down",
    "event.fired": "T1: firings of schedules are committed, nothing was started",
    "event.published": "T2: an event and its firings are committed, nothing was started",
    "event.called": "T3: a call of a webhook is committed, nothing was started",
    "event.started": "T4: an execution is started, its firing is still there",
    "registry.renewed": "R1: a lease is renewed, the instance was not told",
    "registry.registered": "R2: an instance is written down, no watcher was told",
    "registry.deregistered": "R3: an instance is taken off, no watcher was told",
}
