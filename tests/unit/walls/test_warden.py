"""The judgement of the warden, and the walls of this host."""

import errno
import os
import platform
import socket
import struct
import sys
from pathlib import Path

import pytest

from flowmesh.egress import policy
from flowmesh.egress.policy import PUBLIC, Policy
from flowmesh.walls import calls, kernel, landlock, plan, probing, warden
from flowmesh.walls.probing import UIDS, free_uid, probe
from flowmesh.walls.warden import Named, Rules


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


@pytest.mark.parametrize(
    ("to", "admitted"),
    [
        (address("127.0.0.1", 5432), True),
        (address("127.0.0.1", 5433), False),
        (address("93.184.215.14", 5432), False),
        (address("10.0.0.1", 5432), False),
    ],
)
def test_of_a_policy_only_the_named_endpoints_are_admitted(to: bytes, admitted: bool) -> None:
    """By the addresses of their names, which are looked up once in a while."""
    named = Named(["localhost:5432", "no-such-name.invalid:5432"])
    assert Rules(Policy.named("open", ()), set(), named).admits(to) is admitted
    assert Rules(Policy.named("open", ()), set(), named).admits(to) is admitted


def test_sockets_are_disconnected_without_a_judgement() -> None:
    """By the family of no address."""
    assert Rules(PUBLIC, set()).admits(bytes(16))


def test_the_servers_of_names_are_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system lists them; without a list there are none."""
    listed = tmp_path / "resolv.conf"
    monkeypatch.setattr(warden, "RESOLVER", str(listed))
    connections = {
        "policy_folder": str(Path(policy.__file__).parent),
        "egress": "public",
        "allowed": ["10.1.0.0/16"],
        "endpoints": ["localhost:7450"],
        "only": ["10.1.0.1:443"],
    }
    rules = warden._rules({"connections": connections})
    assert not rules.admits(address("10.0.0.53", 53))
    listed.write_text("search local\nnameserver 10.0.0.53\nnameserver\n")
    rules = warden._rules({"connections": connections})
    assert rules.admits(address("10.0.0.53", 53))
    assert rules.admits(address("127.0.0.1", 7450))
    assert rules.admits(address("10.1.0.1", 443))
    assert not rules.admits(address("10.1.0.2", 443))


async def test_each_wall_has_a_verdict() -> None:
    """A wall that is missing says why."""
    report = await probe()
    assert all(each.text for each in report.found)
    assert (report.missing() == "") == all(each.stands for each in report.found)
    assert report.enough or report.missing()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('no namespaces: Operation not permitted')", "Operation not permitt"),
        ("raise SystemExit(3)", "the program behind it ended with 3"),
        ("import signal; signal.pause()", "no answer within 0.2 s"),
    ],
    ids=["reason", "code", "silence"],
)
async def test_a_wall_that_does_not_stand_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    """Each is tried alone then, and the host is not safe for strangers."""
    enter = tmp_path / "enter.py"
    enter.write_text(program)
    monkeypatch.setattr(plan, "ENTER", enter)
    monkeypatch.setattr(probing, "TIMEOUT_S", 0.2 if "pause" in program else 20.0)
    report = await probe()
    assert not report.enough
    assert not any(each.stands for each in report.found)
    assert report.missing().count(said) >= 4


async def test_only_linux_has_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere nothing is tried."""
    monkeypatch.setattr(sys, "platform", "darwin")
    report = await probe()
    assert report.missing() == "all: the walls are those of Linux, and this is darwin"


async def test_the_user_of_a_suite_that_is_not_root_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other walls do not need it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "own user: only root can change the user" in (await probe()).missing()


def test_a_machine_without_the_calls_has_no_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers are known for two."""
    monkeypatch.setattr(kernel, "NUMBERS", {})
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert landlock.version() == 0
    with pytest.raises(OSError, match="a riscv64 has no walls"):
        kernel.call("clone", 0)
    with pytest.raises(OSError, match="calls of a riscv64 cannot be filtered"):
        calls._steps(notify=True)


def test_an_error_of_the_kernel_has_its_number() -> None:
    """As those of Python's own functions."""
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        kernel.call("pidfd_getfd", -1, 0, 0)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(FileNotFoundError):
        kernel.unmount("/nowhere/at/all", 0)


def test_a_free_user_is_neither_an_account_nor_taken() -> None:
    """From the first number on."""
    first = free_uid(set())
    assert first in UIDS
    assert free_uid({first}) > first
