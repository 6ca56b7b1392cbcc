"""Named queries from the SQL files of a service."""

from collections.abc import Callable
from functools import cache, partial
from importlib.resources.abc import Traversable
from types import SimpleNamespace
from typing import Any

import aiosql

from flowmesh.storage.sealing import Keys, sealing

ADAPTER = "asyncpg"


def load_queries(
    folder: Traversable, *, call: Callable[[], str] | None = None, keys: Keys | None = None
) -> Any:
    """Return the queries of all `.sql` files of the folder as methods of an object.

    With `call`, each query with a parameter `call` takes its result for it. With `keys`, queries
    seal and open values as their comments state; see `flowmesh.storage.sealing`.
    """
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=_name)
    text = "\n".join(file.read_text("utf-8") for file in files)
    return queries_of(text, call=call, keys=keys)


def queries_of(
    text: str, *, call: Callable[[], str] | None = None, keys: Keys | None = None
) -> Any:
    """Return the queries of a text as methods of an object; see `load_queries`."""
    queries = _parsed(text)
    found = {name: getattr(queries, name) for name in queries.available_queries}
    if call is not None:
        found |= {
            name: partial(_called, query, call)
            for name, query in found.items()
            if "call" in (query.parameters or ())
        }
    if keys is not None:
        found |= {
            name: sealing(found[name], getattr(queries, name), keys)
            for name in found
            if not name.endswith("_cursor")
        }
    return SimpleNamespace(**found)


@cache
def _parsed(text: str) -> Any:
    """Parse a text once: several stores of a process share a folder."""
    return aiosql.from_str(text, ADAPTER)


def _called(query: Any, call: Callable[[], str], connection: Any, **values: object) -> Any:
    return query(connection, call=call(), **values)


def _name(file: Traversable) -> str:
    return file.name
