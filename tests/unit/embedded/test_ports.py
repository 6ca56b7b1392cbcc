"""Ports that are chosen before their servers start."""

import socket
from pathlib import Path

from flowmesh.embedded.ports import free_port, free_ports, is_free

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_outgoing_connection_is_given_a_free_port() -> None:
    """Between the draw and the start of the server, any process may connect somewhere."""
    first = int(EPHEMERAL.read_text().split()[0])
    assert all(free_port() < first for _ in range(50))


def test_the_port_of_a_listener_is_not_free() -> None:
    """However its listener is bound."""
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((host, free_port())) as listener:
            assert not is_free(listener.getsockname()[1])


def test_free_ports_follow_each_other() -> None:
    """As a server with several ports counts them from its first."""
    first = free_ports(5)
    assert all(map(is_free, range(first, first + 5)))
