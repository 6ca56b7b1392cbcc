"""Headers of messages on their way through the broker of the suite."""

import pytest

from flowmesh.apps.messaging.suite import incoming, outgoing


@pytest.mark.parametrize("key", ["", "k-1"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"plain": "1", "Nats-Msg-Id": "2", "fm-link": "3"},
        {"app-fm-x": "1", "app-key": "mine"},
        {"app-topic": "1", "App-Key": "2", "app-app-fm-x": "3", "app-": "4"},
    ],
    ids=["none", "reserved", "behind", "behind twice"],
)
def test_headers_come_back_as_they_were(headers: dict[str, str], key: str) -> None:
    """Also those that look like the names that the way needs for itself."""
    given = outgoing(headers, key)
    reserved = [name for name in given if name.lower().startswith(("fm-", "nats-"))]
    assert not reserved
    assert incoming(given) == (headers, key)


def test_names_of_other_publishers_stay() -> None:
    """A header that needed no prefix has none to lose."""
    assert incoming({"app-version": "2"}) == ({"app-version": "2"}, "")
