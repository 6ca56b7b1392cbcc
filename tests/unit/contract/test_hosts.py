"""Hosts and ports that cannot exist are told from those that can."""

import pytest

from flowmesh.contract.hosts import address_problem, host_problem, port_problem

GOOD = (
    "localhost", "a", "a.b", "a.b.", "my_service", "x-y.example", "xn--bcher-kva.de", "bücher.de",
    "xn--fa-hia.de", "10.0.0.1", "127.1", "2130706433", "0x7f000001", "::1", "[::1]", "1a.example",
    "a" * 63 + ".example",
)  # fmt: skip
BAD = (
    "", "x y.example", "xn--", "xn--a.example", "a.xn--\0.b", "256.256.256.256", "1.2.3.4.5",
    "0xzz.1", "a..b", ".a", "a..", ".", "-a.b", "a-.b", "a" * 64 + ".example", "a." * 127 + "a",
    "a/b", "a,b", "a%20b", "a@b", "a\tb", "a\0", "[::g]", "[::1", "::1]", "[127.0.0.1]", "1:2",
    "ü" * 64, "ex*mple",
)  # fmt: skip


@pytest.mark.parametrize("host", GOOD)
def test_a_host_that_can_exist_has_no_problem(host: str) -> None:
    """Names, international ones too, and every form of an IP address that sockets take."""
    assert host_problem(host) == ""


@pytest.mark.parametrize("host", BAD)
def test_a_host_that_cannot_exist_is_named(host: str) -> None:
    """Spaces, empty and long labels, numbers above 255, encodings of nothing."""
    assert "is neither a host name nor an IP address" in host_problem(host)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "", "x", "٣", "1 ", "999999999999"])
def test_a_port_is_a_number_up_to_65535(port: str) -> None:
    """Other text is refused, also as a part of an address."""
    assert "is not a number from 1 to 65535" in port_problem(port)
    assert "is not a number" in address_problem(f"nats://server:{port}")


def test_each_server_of_an_address_is_checked_without_its_secret() -> None:
    """Servers stand after the password and are separated by commas; a path is no server."""
    assert address_problem("nats://token@a:4222,b:4222") == ""
    assert address_problem("unix:///run/redis.sock") == ""
    assert address_problem("/orders") == ""
    assert address_problem("http://[::1]:80/x?y=http://xn--/") == ""
    problem = address_problem("nats://secret@a:4222,x y:4222")
    assert problem.startswith("'x y' is neither")
    assert "cannot be parsed" in address_problem("http://u:secret]@[/")
    assert "secret" not in address_problem("http://u:secret]@[/")
