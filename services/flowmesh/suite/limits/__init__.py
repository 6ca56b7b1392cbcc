"""Every bound that a caller can meet, in one table: value, reason and enforcing component.

The values are the named constants of the code that enforces them. `docs/limits.md` is generated
from this table, and tests go to each limit, one above it, and a hundred times above.
"""

from flowmesh.suite.limits.apps import APPS
from flowmesh.suite.limits.calls import CALLS, PROCESSES
from flowmesh.suite.limits.definitions import DEFINITIONS
from flowmesh.suite.limits.event_store import EVENT_STORE
from flowmesh.suite.limits.identity import IDENTITY
from flowmesh.suite.limits.limit import Limit
from flowmesh.suite.limits.messages import MESSAGES
from flowmesh.suite.limits.runs import EXECUTIONS, RUNS
from flowmesh.suite.limits.subscriptions import SUBSCRIPTIONS

LIMITS = (
    *CALLS,
    *DEFINITIONS,
    *RUNS,
    *EXECUTIONS,
    *PROCESSES,
    *IDENTITY,
    *MESSAGES,
    *EVENT_STORE,
    *SUBSCRIPTIONS,
    *APPS,
)

__all__ = [
    "APPS",
    "CALLS",
    "DEFINITIONS",
    "EVENT_STORE",
    "EXECUTIONS",
    "IDENTITY",
    "LIMITS",
    "MESSAGES",
    "PROCESSES",
    "RUNS",
    "SUBSCRIPTIONS",
    "Limit",
]
