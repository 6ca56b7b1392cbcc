"""Routing keys that led to no queue, as an instance remembers them."""

from flowmesh.broker.routing.misses import EXCHANGES_MAX, KEYS_MAX, Misses


def test_the_newest_keys_of_an_exchange_are_kept() -> None:
    """The newest first, each once; an exchange of another namespace has its own."""
    misses = Misses()
    keys = [str(number) for number in range(KEYS_MAX)]
    for key in (*keys, "0"):
        misses.add("a", "in", key)
    assert misses.of("a", "in") == ["0", *keys[:0:-1]]
    misses.add("a", "in", "more")
    assert misses.of("a", "in") == ["more", "0", *keys[:1:-1]]
    assert misses.of("b", "in") == misses.of("a", "out") == []


def test_the_exchange_with_the_oldest_miss_is_forgotten() -> None:
    """The table of misses has at most a thousand exchanges."""
    misses = Misses()
    for number in range(EXCHANGES_MAX):
        misses.add("a", str(number), "key")
    misses.add("a", "0", "again")
    assert misses.of("a", "1") == ["key"]
    misses.add("a", "one more", "key")
    assert (misses.of("a", "0"), misses.of("a", "1")) == (["again", "key"], [])
    assert misses.of("a", "2") == ["key"]
