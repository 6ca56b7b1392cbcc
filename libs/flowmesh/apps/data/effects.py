"""Effects of durable runs: a change is committed together with the key of its step.

A step that runs again after a crash finds its key, and returns the stored outcome.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import orjson

from flowmesh.apps.data.database import Database, Session
from flowmesh.apps.data.statements import Statement, own_statement
from flowmesh.contract.json_value import Json
from flowmesh.errors import Conflict
from flowmesh.sql import Dialect

EFFECT_KEY: ContextVar[str] = ContextVar("flowmesh_effect_key", default="")
"""The key of the running step of a durable run; empty in inline runs."""

KEY_CHARACTERS_MAX = 128
_DIGEST_CHARACTERS = 16

KEPT_S = 30 * 24 * 3600
"""Keys are removed after this time, when the application starts."""

_CREATE = (
    "CREATE TABLE IF NOT EXISTS flowmesh_effects"
    " (key TEXT PRIMARY KEY, outcome TEXT NOT NULL, at BIGINT NOT NULL)"
)
_READ = "SELECT outcome FROM flowmesh_effects WHERE key = ?"
_FORGET = "DELETE FROM flowmesh_effects WHERE at < ?"
_WRITE = "INSERT INTO flowmesh_effects (key, outcome, at) VALUES (?, ?, ?)"


class _Raced(Exception):
    """Another process committed the same step meanwhile."""


@contextmanager
def step_scope(name: str) -> Iterator[None]:
    """Give a part of the running step a key of its own; do nothing in inline runs.

    A step can do several things that are recorded as one: the steps of a delegated pipeline.
    """
    outer = EFFECT_KEY.get()
    if not outer:
        yield
        return
    token = EFFECT_KEY.set(_inner_key(outer, name))
    try:
        yield
    finally:
        EFFECT_KEY.reset(token)


def _inner_key(outer: str, name: str) -> str:
    digest = hashlib.sha256(f"{outer}/{name}".encode()).hexdigest()
    inner = f"{outer}.{digest[:_DIGEST_CHARACTERS]}"
    return inner if len(inner) <= KEY_CHARACTERS_MAX else digest


async def prepare_effects(database: Database) -> None:
    """Create the table of keys; remove those of runs that ended long ago."""
    await database.script([_CREATE])
    oldest = int(time.time()) - KEPT_S
    await database.execute(_own(_FORGET, database.dialect), (oldest,))


async def once(database: Database, key: str, work: Callable[[Session], Awaitable[Json]]) -> Json:
    """Do the work in a transaction with its key; return the outcome of the first time."""
    while True:
        try:
            return await _once(database, key, work)
        except _Raced:
            continue


async def _once(database: Database, key: str, work: Callable[[Session], Awaitable[Json]]) -> Json:
    read, write = _own(_READ, database.dialect), _own(_WRITE, database.dialect)
    async with database.transaction() as session:
        found = session.query(read, (key,))
        rows = found if isinstance(found, list) else await found
        if rows:
            return orjson.loads(rows[0]["outcome"])
        outcome = await work(session)
        try:
            row = (key, orjson.dumps(outcome).decode(), int(time.time()))
            await session.execute(write, row)
        except Conflict:
            raise _Raced from None
        return outcome


@lru_cache
def _own(text: str, dialect: Dialect) -> Statement:
    return own_statement(text, dialect)
