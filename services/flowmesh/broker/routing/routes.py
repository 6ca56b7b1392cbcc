"""The queues that a message reaches: exchanges of a namespace with their bindings, compiled."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.headers import HeadersMatcher, Value
from flowmesh.broker.routing.topics import TopicTable


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a binding."""

    name: str
    is_exchange: bool

    @classmethod
    def of(cls, binding: pb.Binding) -> "Target":
        if binding.WhichOneof("destination") == "exchange":
            return cls(binding.exchange, True)
        return cls(binding.queue, False)


def condition_of(binding: pb.Binding) -> bytes:
    """Return the part of a binding that distinguishes it from others between the same ends."""
    same = pb.Binding(key=binding.key, match=binding.match)
    for name, value in binding.arguments.items():
        same.arguments[name].CopyFrom(value)
    return same.SerializeToString(deterministic=True)


Identity = tuple[str, Target, bytes]


def identity_of(binding: pb.Binding) -> Identity:
    """Return the identity of a binding in its namespace."""
    return binding.source, Target.of(binding), condition_of(binding)


class _Table:
    """The bindings of an exchange, in the form that its type is matched by."""

    def __init__(self, type: pb.ExchangeType.ValueType) -> None:
        self._type = type
        self._keys: dict[str, list[Target]] = {}
        self._all: list[Target] = []
        self._headers: list[tuple[HeadersMatcher, Target]] = []
        self._topics: TopicTable[Target] = TopicTable()

    def add(self, binding: pb.Binding) -> None:
        target = Target.of(binding)
        match self._type:
            case pb.EXCHANGE_TYPE_FANOUT:
                self._all.append(target)
            case pb.EXCHANGE_TYPE_TOPIC:
                self._topics.add(binding.key, target)
            case pb.EXCHANGE_TYPE_HEADERS:
                self._headers.append((HeadersMatcher.of(binding), target))
            case _:
                self._keys.setdefault(binding.key, []).append(target)

    def targets(self, key: str, headers: Mapping[str, Value]) -> Iterator[Target]:
        """Yield the destinations of a message."""
        if self._type == pb.EXCHANGE_TYPE_FANOUT:
            yield from self._all
        elif self._type == pb.EXCHANGE_TYPE_TOPIC:
            yield from self._topics.match(key)
        elif self._type == pb.EXCHANGE_TYPE_HEADERS:
            yield from (target for matcher, target in self._headers if matcher.matches(headers))
        else:
            yield from self._keys.get(key, ())


class CompiledExchange:
    """An exchange with its bindings. Added ones extend its table; a removal rebuilds it at use."""

    def __init__(self, exchange: pb.Exchange) -> None:
        self.exchange = exchange
        self.bindings: dict[Identity, pb.Binding] = {}
        self._table: _Table | None = None

    def add(self, identity: Identity, binding: pb.Binding) -> None:
        self.bindings[identity] = binding
        if self._table is not None:
            self._table.add(binding)

    def remove(self, identity: Identity) -> None:
        del self.bindings[identity]
        self._table = None

    def targets(self, key: str, headers: Mapping[str, Value]) -> Iterator[Target]:
        """Yield the destinations of a message."""
        if self._table is None:
            self._table = _Table(self.exchange.type)
            for binding in self.bindings.values():
                self._table.add(binding)
        return self._table.targets(key, headers)


class Routes:
    """All exchanges of a namespace. The cost of a change is that of the changed bindings."""

    def __init__(self, exchanges: Iterable[pb.Exchange], bindings: Iterable[pb.Binding]) -> None:
        self._exchanges: dict[str, CompiledExchange] = {}
        self._leading_to: dict[Target, dict[Identity, pb.Binding]] = {}
        for exchange in exchanges:
            self.add_exchange(exchange)
        for binding in bindings:
            self.add_binding(binding)

    def __contains__(self, exchange: object) -> bool:
        return exchange in self._exchanges

    @property
    def exchanges(self) -> list[pb.Exchange]:
        """The exchanges, sorted by name."""
        return [self._exchanges[name].exchange for name in sorted(self._exchanges)]

    def exchange(self, name: str) -> pb.Exchange | None:
        found = self._exchanges.get(name)
        return found.exchange if found is not None else None

    def bindings(self) -> Iterator[pb.Binding]:
        """Yield all bindings, those of an exchange together."""
        for name in sorted(self._exchanges):
            yield from self._exchanges[name].bindings.values()

    def bindings_of(self, queue: str) -> list[pb.Binding]:
        """Return the bindings that lead to a queue."""
        return list(self._leading_to.get(Target(queue, False), {}).values())

    def add_exchange(self, exchange: pb.Exchange) -> None:
        self._exchanges[exchange.exchange] = CompiledExchange(exchange)

    def add_binding(self, binding: pb.Binding) -> None:
        identity = identity_of(binding)
        self._exchanges[binding.source].add(identity, binding)
        self._leading_to.setdefault(identity[1], {})[identity] = binding

    def remove_binding(self, binding: pb.Binding) -> None:
        self._remove(identity_of(binding))

    def remove_exchange(self, name: str) -> None:
        """Remove an exchange with the bindings of it and to it."""
        for identity in list(self._exchanges[name].bindings):
            self._remove(identity)
        self._remove_leading_to(Target(name, True))
        del self._exchanges[name]

    def remove_queue(self, name: str) -> None:
        """Remove the bindings that lead to a queue."""
        self._remove_leading_to(Target(name, False))

    def queues(self, exchange: str, key: str, headers: Mapping[str, Value]) -> list[str]:
        """Return the queues of a message, each once, in the order in which they are found.

        An exchange that leads nowhere passes the message to its alternate. Cycles end.
        """
        found: dict[str, None] = {}
        seen = {exchange}
        pending = [exchange]
        while pending:
            compiled = self._exchanges.get(pending.pop())
            if compiled is None:
                continue
            targets = list(compiled.targets(key, headers))
            if not targets and compiled.exchange.alternate:
                targets = [Target(compiled.exchange.alternate, True)]
            for target in targets:
                if not target.is_exchange:
                    found[target.name] = None
                elif target.name not in seen:
                    seen.add(target.name)
                    pending.append(target.name)
        return list(found)

    def _remove_leading_to(self, target: Target) -> None:
        for identity in list(self._leading_to.get(target, ())):
            self._remove(identity)

    def _remove(self, identity: Identity) -> None:
        source, target, _ = identity
        self._exchanges[source].remove(identity)
        leading = self._leading_to[target]
        del leading[identity]
        if not leading:
            del self._leading_to[target]
