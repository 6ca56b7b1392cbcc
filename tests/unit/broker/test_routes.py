"""The queues of a message: by type of exchange, by alternates, and past missing exchanges."""

import pytest

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.routes import Routes


def routes(*exchanges: pb.Exchange, **bindings: pb.Binding) -> Routes:
    """Return routes from an exchange to the queue of each name."""
    for queue, binding in bindings.items():
        if not binding.exchange:
            binding.queue = queue
    return Routes(exchanges, bindings.values())


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (pb.EXCHANGE_TYPE_DIRECT, ["exact"]),
        (pb.EXCHANGE_TYPE_TOPIC, ["exact", "pattern"]),
        (pb.EXCHANGE_TYPE_FANOUT, ["exact", "pattern", "other"]),
        (pb.EXCHANGE_TYPE_HEADERS, ["exact", "pattern", "other"]),
    ],
)
def test_the_type_of_an_exchange_decides(kind: pb.ExchangeType.ValueType, found: list[str]) -> None:
    """Equal keys, patterns, all, and headers, of which a binding without any asks for none."""
    given = routes(
        pb.Exchange(exchange="in", type=kind),
        exact=pb.Binding(source="in", key="a.b"),
        pattern=pb.Binding(source="in", key="a.*"),
        other=pb.Binding(source="in", key="c"),
    )
    assert sorted(given.queues("in", "a.b", {})) == sorted(found)


def test_the_alternate_gets_what_leads_nowhere() -> None:
    """And no message that has a queue."""
    given = routes(
        pb.Exchange(exchange="in", type=pb.EXCHANGE_TYPE_DIRECT, alternate="rest"),
        pb.Exchange(exchange="rest", type=pb.EXCHANGE_TYPE_FANOUT),
        known=pb.Binding(source="in", key="a"),
        unknown=pb.Binding(source="rest"),
    )
    assert given.queues("in", "a", {}) == ["known"]
    assert given.queues("in", "b", {}) == ["unknown"]


def test_a_missing_exchange_does_not_end_the_search() -> None:
    """The exchanges that were found before it are followed."""
    given = routes(
        pb.Exchange(exchange="in", type=pb.EXCHANGE_TYPE_FANOUT),
        pb.Exchange(exchange="next", type=pb.EXCHANGE_TYPE_FANOUT),
        first=pb.Binding(source="in", exchange="next"),
        second=pb.Binding(source="in", exchange="gone"),
        deep=pb.Binding(source="next"),
    )
    assert given.queues("in", "", {}) == ["deep"]


def test_bindings_of_a_queue_are_not_those_of_an_exchange_with_its_name() -> None:
    """Names of queues and of exchanges are apart."""
    given = routes(
        pb.Exchange(exchange="in", type=pb.EXCHANGE_TYPE_FANOUT),
        pb.Exchange(exchange="both", type=pb.EXCHANGE_TYPE_FANOUT),
        both=pb.Binding(source="in"),
        exchange=pb.Binding(source="in", exchange="both"),
    )
    assert [each.queue for each in given.bindings_of("both")] == ["both"]


def test_a_removal_takes_the_bindings_of_one_end() -> None:
    """Those of and to an exchange, or those to a queue, and no others."""
    given = routes(
        pb.Exchange(exchange="in", type=pb.EXCHANGE_TYPE_FANOUT),
        pb.Exchange(exchange="both", type=pb.EXCHANGE_TYPE_FANOUT),
        both=pb.Binding(source="in"),
        exchange=pb.Binding(source="in", exchange="both"),
        deep=pb.Binding(source="both"),
    )
    twice = pb.Binding(source="in", queue="deep", key="again")
    given.add_binding(twice)
    assert set(given.queues("in", "", {})) == {"both", "deep"}
    given.remove_exchange("both")
    assert ([each.exchange for each in given.exchanges], "both" in given) == (["in"], False)
    assert [each.queue for each in given.bindings()] == ["both", "deep"]
    assert [each.key for each in given.bindings_of("deep")] == ["again"]
    given.remove_queue("both")
    assert (given.queues("in", "", {}), given.bindings_of("both")) == (["deep"], [])
    given.remove_binding(twice)
    assert (given.queues("in", "", {}), given.bindings_of("deep")) == ([], [])


def test_the_order_of_arguments_makes_no_other_binding() -> None:
    """One that is given again replaces itself, and is removed at once."""
    names = [f"argument-{number}" for number in range(100)]
    first, again = (pb.Binding(source="in", queue="q") for _ in range(2))
    for name in names:
        first.arguments[name].whole = 1
    for name in reversed(names):
        again.arguments[name].whole = 1
    given = Routes([pb.Exchange(exchange="in", type=pb.EXCHANGE_TYPE_HEADERS)], [first, again])
    assert len(given.bindings_of("q")) == 1
    given.remove_binding(first)
    assert given.bindings_of("q") == []
