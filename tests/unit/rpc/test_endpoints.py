"""Endpoints of services: what is one, and whose host a port alone has."""

import pytest

from flowmesh.rpc.endpoints import Address, peer_host


@pytest.mark.parametrize(
    ("text", "at_home"),
    [
        ("8080", "home:8080"),
        (":8080", "home:8080"),
        ("http://:8080/mcp", "http://home:8080/mcp"),
        ("localhost:1", "localhost:1"),
        ("my_service:65535", "my_service:65535"),
        ("10.0.0.7:7450", "10.0.0.7:7450"),
        ("[::1]:7450", "[::1]:7450"),
        ("https://agents.example.com/a?b=c", "https://agents.example.com/a?b=c"),
    ],
)
def test_an_endpoint_without_a_host_is_on_that_of_its_caller(text: str, at_home: str) -> None:
    """What names a host stays as it is."""
    assert str(Address.parse(text).at("home")) == at_home


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:-1",
        "localhost:99999999", "99999", "localhost:+80", "localhost:\u0661", "a b:80", "-a:80",
        "a..b:80", "256.2.3.4:80", "xn--:80", "1.2.3.4.5:80", "::1:80", "[1.2.3.4]:80",
        "localhost:80/path", "http://user@host:80", "http://host:80/a b", "http://:/",
        "h\u00f6st:80",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    """The error names it and says what would be one."""
    with pytest.raises(ValueError, match=r"expected host:port|a port is 1|neither a name nor"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B::1%5D:51234", "[::1]"),
        ("ipv6:[::1]:51234", "[::1]"),
        ("unix:/tmp/socket", "localhost"),
        ("local", "localhost"),
    ],
)
def test_the_host_of_a_peer(peer: str, host: str) -> None:
    """As grpc writes peers; one without an address is of this machine."""
    assert peer_host(peer) == host
