"""Named queries from the SQL files of a service."""

from collections.abc import Callable
from functools import partial
from importlib.resources.abc import Traversable
from types import SimpleNamespace
from typing import Any

import aiosql

ADAPTER = "asyncpg"


def load_queries(folder: Traversable, *, call: Callable[[], str] | None = None) -> Any:
    """Return the queries of all `.sql` files of the folder as methods of an object.

    With `call`, each query with a parameter `call` takes its result for it.
    """
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=_name)
    return queries_of("\n".join(file.read_text("utf-8") for file in files), call=call)


def queries_of(text: str, *, call: Callable[[], str] | None = None) -> Any:
    """Return the queries of a text as methods of an object; see `load_queries`."""
    queries = aiosql.from_str(text, ADAPTER)
    if call is None:
        return queries
    found = {name: getattr(queries, name) for name in queries.available_queries}
    return SimpleNamespace(
        **{
            name: partial(_called, query, call) if "call" in (query.parameters or ()) else query
            for name, query in found.items()
        }
    )


def _called(query: Any, call: Callable[[], str], connection: Any, **values: object) -> Any:
    return query(connection, call=call(), **values)


def _name(file: Traversable) -> str:
    return file.name
