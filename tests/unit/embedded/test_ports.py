"""Ports that are chosen before their servers start."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import grpc.aio
import pytest

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


def test_a_drawn_port_is_drawn_once() -> None:
    """Two processes that draw ports at the same time do not get the same one."""
    drawn = [free_port() for _ in range(400)]
    assert len(set(drawn)) == 400
    program = (
        "from flowmesh.embedded.ports import free_port; print([free_port() for _ in range(400)])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert not set(drawn) & set(json.loads(other.stdout))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_listens_on_a_drawn_port(host: str) -> None:
    """And again after it ended, as after a restart."""
    port = free_port()
    for _ in range(2):
        with socket.create_server((host, port)):
            socket.create_connection(("127.0.0.1", port)).close()


async def test_a_grpc_server_listens_on_a_drawn_port() -> None:
    """Without the option that lets two servers share a port."""
    server = grpc.aio.server()
    assert server.add_insecure_port(f"127.0.0.1:{(port := free_port())}") == port
    await server.start()
    await server.stop(None)
