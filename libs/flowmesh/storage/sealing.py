"""Values that a query stores sealed, as its comment in the SQL file states.

    -- seals events of namespaces at delivery {ids}
    -- opens event at delivery {id}

`seals` encrypts a parameter by the key of the namespace that another parameter names, bound to a
place; in lists, each value has the namespace and the place of its position. `opens` decrypts a
column; its place is made of the columns of the row and of the parameters. Where a namespace has no
key, values are stored as they are. Empty values stay empty.
"""

import asyncio
import inspect
import re
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

_SEALS = re.compile(r"^seals (\w+) of (\w+) at (.+)$", re.MULTILINE)
_OPENS = re.compile(r"^opens (\w+) at (.+)$", re.MULTILINE)

Query = Callable[..., Any]


class Keys(Protocol):
    """The keys of namespaces, such as `flowmesh.access.encryption.DataKeys`."""

    known: asyncio.Event

    def seal(self, namespace: str, value: bytes, place: str) -> bytes: ...

    def open(self, stored: bytes, place: str) -> bytes: ...

    def seal_text(self, namespace: str, text: str, place: str) -> str: ...

    def open_text(self, stored: str, place: str) -> str: ...


class _Seal(NamedTuple):
    parameter: str
    namespace: str
    place: str


class _Open(NamedTuple):
    column: str
    place: str


def sealing(query: Query, named: Any, keys: Keys) -> Query:
    """Return a query that seals and opens values as the comment of the named one states."""
    comment = named.__doc__ or ""
    seals = [_Seal(*found) for found in _SEALS.findall(comment)]
    opens = [_Open(*found) for found in _OPENS.findall(comment)]
    if not seals and not opens:
        return query
    parameters = frozenset(named.parameters or ())

    def sealed(given: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of the statement; further ones are for seals and places only."""
        changed = {each.parameter: _sealed(keys, each, given) for each in seals}
        return {name: each for name, each in (given | changed).items() if name in parameters}

    async def rows(connection: Any, given: dict[str, Any]) -> AsyncIterator[Any]:
        await keys.known.wait()
        async for row in query(connection, **sealed(given)):
            yield _opened(keys, opens, row, given)

    async def one(connection: Any, given: dict[str, Any]) -> Any:
        await keys.known.wait()
        answer: Awaitable[Any] = query(connection, **sealed(given))
        return _opened(keys, opens, await answer, given)

    run = rows if inspect.isasyncgenfunction(inspect.unwrap(named)) else one
    return lambda connection, **given: run(connection, given)


def _sealed(keys: Keys, seal: _Seal, given: Mapping[str, Any]) -> Any:
    value, namespace = given[seal.parameter], given[seal.namespace]
    if not isinstance(value, list):
        return _seal(keys, namespace, value, seal.place.format_map(given))
    return [
        _seal(keys, _at(namespace, n), each, seal.place.format_map(_Nth(given, n)))
        for n, each in enumerate(value)
    ]


class _Nth(dict[str, Any]):
    """The parameters at one position of their lists."""

    def __init__(self, given: Mapping[str, Any], position: int) -> None:
        super().__init__(given)
        self._position = position

    def __getitem__(self, name: str) -> Any:
        return _at(super().__getitem__(name), self._position)


def _at(value: Any, position: int) -> Any:
    return value[position] if isinstance(value, list) else value


def _seal(keys: Keys, namespace: str, value: Any, place: str) -> Any:
    if not value:
        return value
    if isinstance(value, bytes):
        return keys.seal(namespace, value, place)
    return keys.seal_text(namespace, value, place)


def _opened(keys: Keys, opens: list[_Open], row: Any, given: dict[str, Any]) -> Any:
    if row is None or not opens:
        return row
    if not hasattr(row, "keys"):
        return _open(keys, row, opens[0].place.format_map(given))
    known = ChainMap(dict(row), given)
    return {
        **row,
        **{
            each.column: _open(keys, row[each.column], each.place.format_map(known))
            for each in opens
        },
    }


def _open(keys: Keys, stored: Any, place: str) -> Any:
    if isinstance(stored, list):
        return [_open(keys, each, place) for each in stored]
    if isinstance(stored, str):
        return keys.open_text(stored, place)
    return keys.open(stored, place)
