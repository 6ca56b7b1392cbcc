"""The outbox in a database of users: requests to Flowmesh as part of the caller's transaction."""

from flowmesh.outbox.calls import publish, signal, start, start_with
from flowmesh.outbox.databases import UserDatabase, user_databases
from flowmesh.outbox.install import SCHEMA, OutboxState, install, state

__all__ = [
    "SCHEMA",
    "OutboxState",
    "UserDatabase",
    "install",
    "publish",
    "signal",
    "start",
    "start_with",
    "state",
    "user_databases",
]
