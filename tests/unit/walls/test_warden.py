"""The judgement of the warden, and the walls of this host."""

import socket
import struct
import sys

import pytest

from flowmesh.egress.policy import PUBLIC
from flowmesh.walls.probing import probe
from flowmesh.walls.warden import Rules


def address(host: str, port: int) -> bytes:
    """Return a `sockaddr`."""
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host)
        head = socket.AF_INET6.to_bytes(2, sys.byteorder) + struct.pack(">HI", port, 0)
        return head + packed + bytes(4)
    head = socket.AF_INET.to_bytes(2, sys.byteorder) + struct.pack(">H", port)
    return head + socket.inet_pton(socket.AF_INET, host) + bytes(8)


@pytest.mark.parametrize(
    ("to", "admitted"),
    [
        (address("93.184.215.14", 443), True),
        (address("127.0.0.1", 7450), True),
        (address("127.0.0.1", 4222), False),
        (address("169.254.169.254", 80), False),
        (address("0.0.0.0", 7450), False),
        (address("::1", 7450), False),
        (address("::ffff:10.0.0.1", 443), False),
        (socket.AF_UNIX.to_bytes(2, sys.byteorder) + b"/run/x.sock", False),
        (address("93.184.215.14", 443)[:6], False),
    ],
)
def test_addresses_are_judged(to: bytes, admitted: bool) -> None:
    """Public addresses and the listed endpoints are admitted, local sockets never."""
    assert Rules(PUBLIC, {("127.0.0.1", 7450)}).admits(to) is admitted


async def test_each_wall_has_a_verdict() -> None:
    """A wall that is missing says why."""
    report = await probe()
    assert all(each.text for each in report.found)
    assert (report.missing() == "") == all(each.stands for each in report.found)
