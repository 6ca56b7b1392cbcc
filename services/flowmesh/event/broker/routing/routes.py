"""The queues that a message reaches: exchanges of a namespace with their bindings, compiled."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.event.broker.routing.headers import HeadersMatcher, Value
from flowmesh.event.broker.routing.topics import TopicTable


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


class CompiledExchange:
    """An exchange with the table of its bindings."""

    def __init__(self, exchange: pb.Exchange, bindings: Iterable[pb.Binding]) -> None:
        self.alternate = exchange.alternate
        self.type = exchange.type
        self._keys: dict[str, list[Target]] = {}
        self._all: list[Target] = []
        self._headers: list[tuple[HeadersMatcher, Target]] = []
        patterns = []
        for binding in bindings:
            target = Target.of(binding)
            match exchange.type:
                case pb.EXCHANGE_TYPE_FANOUT:
                    self._all.append(target)
                case pb.EXCHANGE_TYPE_TOPIC:
                    patterns.append((binding.key, target))
                case pb.EXCHANGE_TYPE_HEADERS:
                    self._headers.append((HeadersMatcher.of(binding), target))
                case _:
                    self._keys.setdefault(binding.key, []).append(target)
        self._topics = TopicTable(patterns)

    def targets(self, key: str, headers: Mapping[str, Value]) -> Iterator[Target]:
        """Yield the destinations of a message."""
        if self.type == pb.EXCHANGE_TYPE_FANOUT:
            yield from self._all
        elif self.type == pb.EXCHANGE_TYPE_TOPIC:
            yield from self._topics.match(key)
        elif self.type == pb.EXCHANGE_TYPE_HEADERS:
            yield from (target for matcher, target in self._headers if matcher.matches(headers))
        else:
            yield from self._keys.get(key, ())


class Routes:
    """All exchanges of a namespace."""

    def __init__(self, exchanges: Iterable[pb.Exchange], bindings: Iterable[pb.Binding]) -> None:
        by_source: dict[str, list[pb.Binding]] = {}
        for binding in bindings:
            by_source.setdefault(binding.source, []).append(binding)
        self._exchanges = {
            each.exchange: CompiledExchange(each, by_source.get(each.exchange, ()))
            for each in exchanges
        }

    def __contains__(self, exchange: object) -> bool:
        return exchange in self._exchanges

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
            if not targets and compiled.alternate:
                targets = [Target(compiled.alternate, True)]
            for target in targets:
                if not target.is_exchange:
                    found[target.name] = None
                elif target.name not in seen:
                    seen.add(target.name)
                    pending.append(target.name)
        return list(found)
