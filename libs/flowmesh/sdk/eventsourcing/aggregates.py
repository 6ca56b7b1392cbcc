"""Aggregates: entities whose state is computed from the events of their stream."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, NotFound, WrongState
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.values.event_streams import NewEvent, Snapshot, StoredEvent

A = TypeVar("A")
SNAPSHOT_EVERY = 100
CONFLICTS_MAX = 5
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Declaration:
    category: str
    snapshot_version: int


_DECLARED = "__flowmesh_aggregate__"


@overload
def aggregate(category: type[A], /) -> type[A]: ...
@overload
def aggregate(category: str = "", *, snapshot_version: int = 1) -> Callable[[type[A]], type[A]]: ...
def aggregate(
    category: str | type[A] = "", *, snapshot_version: int = 1
) -> Callable[[type[A]], type[A]] | type[A]:
    """Declare a class as an aggregate, with the streams `<category>-<id>`.

    The category is by default the name of the class, also as `@aggregate` without parentheses: that
    of `GiftCard` is `gift_card`.
    A method `apply_<type>(self, data)` applies an event: the type `OrderPlaced` is
    applied by `apply_order_placed`. Events without a method change nothing.
    Change `snapshot_version` with the attributes: snapshots of another version are not used.

    The attributes must be JSON, unless the class has `to_snapshot(self)` and
    `from_snapshot(self, state)`.
    """
    if not isinstance(category, str):
        return aggregate()(category)
    if "-" in category:
        raise Invalid("EVENT_STORE_INVALID", f"category {category!r} must be a name without `-`")

    def declare(kind: type[A]) -> type[A]:
        setattr(kind, _DECLARED, _Declaration(category or _snake(kind.__name__), snapshot_version))
        return kind

    return declare


@dataclass(frozen=True, slots=True)
class Loaded(Generic[A]):
    """An aggregate at a version of its stream; version 0 does not exist yet."""

    id: str
    state: A
    version: int
    # Version of the snapshot that it was loaded from; 0 without one.
    snapshot_version: int
    # Events read after the snapshot.
    events_read: int


class Repository(Generic[A]):
    """Loads and changes the aggregates of a class.

    Every `snapshot_every` events a snapshot is stored, and loading reads the later events only.
    """

    def __init__(
        self,
        client: Client,
        kind: type[A],
        *,
        snapshot_every: int = SNAPSHOT_EVERY,
        conflicts_max: int = CONFLICTS_MAX,
    ) -> None:
        declared = getattr(kind, _DECLARED, None)
        if not isinstance(declared, _Declaration):
            raise Invalid("EVENT_STORE_INVALID", f"{kind.__name__} is not declared by @aggregate")
        self._store = client.event_store
        self._kind = kind
        self._declared = declared
        self._snapshot_every = snapshot_every
        self._conflicts_max = conflicts_max

    def stream(self, id: str) -> str:
        """Return the stream of an aggregate."""
        return f"{self._declared.category}-{id}"

    async def load(self, id: str) -> Loaded[A]:
        """Return an aggregate: its snapshot, and the events after it."""
        try:
            snapshot, events = await self._store.load(self.stream(id))
        except NotFound:
            return Loaded(id, self._kind(), 0, 0, 0)
        if snapshot is not None and not self._fits(snapshot):
            found = [each async for each in self._store.read(self.stream(id))]
            snapshot, events = None, tuple(found)
        state = self._kind()
        if snapshot is not None:
            _restore(state, snapshot.state["state"])
        apply(state, events)
        start = snapshot.version if snapshot is not None else 0
        version = events[-1].version if events else start
        return Loaded(id, state, version, start, len(events))

    async def replay(self, id: str) -> Loaded[A]:
        """Return an aggregate computed from all of its events, without a snapshot."""
        state, version = self._kind(), 0
        async for event in self._store.read(self.stream(id)):
            apply(state, (event,))
            version = event.version
        return Loaded(id, state, version, 0, version)

    async def save(self, loaded: Loaded[A], *events: NewEvent) -> Loaded[A]:
        """Append events to an aggregate that has not changed since; return it with them.

        Raises WrongState with VERSION_CONFLICT if it has changed.
        """
        if not events:
            return loaded
        stream = self.stream(loaded.id)
        appended = await self._store.append(stream, *events, expected=loaded.version)
        for event in events:
            _apply_one(loaded.state, event.type, event.data)
        version = appended.last_version
        saved = Loaded(loaded.id, loaded.state, version, loaded.snapshot_version, 0)
        if version // self._snapshot_every <= loaded.version // self._snapshot_every:
            return saved
        await self.snapshot(saved)
        return Loaded(loaded.id, loaded.state, version, version, 0)

    async def update(
        self, id: str, decide: Callable[[A], NewEvent | Iterable[NewEvent] | None]
    ) -> Loaded[A]:
        """Load an aggregate, append the events that `decide` returns for it, and return it.

        After a conflict it is loaded and decided again, at most `conflicts_max` times.
        """
        for attempt in range(self._conflicts_max + 1):
            loaded = await self.load(id)
            decided = decide(loaded.state)
            events = (decided,) if isinstance(decided, NewEvent) else tuple(decided or ())
            try:
                return await self.save(loaded, *events)
            except WrongState as error:
                if error.reason != "VERSION_CONFLICT" or attempt == self._conflicts_max:
                    raise
        raise AssertionError("unreachable: the last conflict is raised")

    async def snapshot(self, loaded: Loaded[A]) -> bool:
        """Store a snapshot; return False if a later one is stored."""
        state = {"v": self._declared.snapshot_version, "state": _captured(loaded.state)}
        return await self._store.put_snapshot(self.stream(loaded.id), loaded.version, state)

    def _fits(self, snapshot: Snapshot) -> bool:
        state = snapshot.state
        return isinstance(state, dict) and state.get("v") == self._declared.snapshot_version


def apply(state: object, events: Iterable[StoredEvent]) -> None:
    """Apply events to the state of an aggregate."""
    for event in events:
        _apply_one(state, event.type, event.data)


def _apply_one(state: object, type: str, data: Json) -> None:
    method = getattr(state, f"apply_{_snake(type)}", None)
    if method is not None:
        method(data)


def _snake(name: str) -> str:
    return _WORDS.sub("_", name).strip("_").lower()


def _captured(state: object) -> Json:
    to_snapshot: Any = getattr(state, "to_snapshot", None)
    return to_snapshot() if to_snapshot is not None else dict(vars(state))


def _restore(state: object, captured: Mapping[str, Json]) -> None:
    from_snapshot: Any = getattr(state, "from_snapshot", None)
    if from_snapshot is not None:
        from_snapshot(captured)
        return
    for name, value in captured.items():
        setattr(state, name, value)
