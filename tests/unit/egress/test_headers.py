"""Headers a user may set."""

import pytest

from flowmesh.egress import HeaderInvalid, check_headers
from flowmesh.egress.headers import HEADER_BYTES_MAX, HEADERS_MAX, across_hosts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00b"),
        ("X-A", "a\x7fb"),
        ("X-A:", "a"),
        ("X A", "a"),
        ("X-A\r\nX-B", "a"),
        ("", "a"),
        ("Ünicode", "a"),
        ("Host", "other"),
        ("Connection", "close"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Proxy-Authorization", "x"),
        ("X-Long", "a" * 20_000),
    ],
)
def test_a_header_that_could_change_the_request_is_refused(name: str, value: str) -> None:
    """CR, LF, NUL, colons and spaces in names, and headers of the connection itself."""
    with pytest.raises(HeaderInvalid):
        check_headers({name: value})


def test_ordinary_headers_pass() -> None:
    """Tabs, spaces, accents and any own name are fine."""
    check_headers({"Authorization": "Bearer x.y", "X_My.Header": "a\tb é"})


def test_there_is_a_limit_to_their_number() -> None:
    """More than a hundred are refused."""
    with pytest.raises(HeaderInvalid):
        check_headers({f"X-{number}": "a" for number in range(HEADERS_MAX + 1)})


def test_there_is_a_limit_to_their_bytes() -> None:
    """Of names and values together."""
    check_headers({"X-A": "a" * (HEADER_BYTES_MAX - 3)})
    with pytest.raises(HeaderInvalid, match="16384 bytes in all"):
        check_headers({"X-A": "a" * (HEADER_BYTES_MAX - 2)})


def test_only_harmless_headers_go_to_another_host() -> None:
    """An own header may be a key under any name, so only a known few go on."""
    given = {"Authorization": "x", "Cookie": "x", "X-Api-Key": "x", "Accept": "*/*"}
    assert across_hosts(given) == {"Accept": "*/*"}
