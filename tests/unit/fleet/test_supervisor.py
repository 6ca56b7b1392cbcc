"""The parent of agents, as a process that a test speaks to: starts, limits, ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.fleet.driving.process_driver import SUPERVISOR
from flowmesh.testing.polling import done

# A user that no account has; only root gives it.
UID = 65_123 if os.geteuid() == 0 else -1
MIB = 1 << 20


class Running:
    """A supervisor and a connection of a fleet to it."""

    def __init__(self, folder: Path, kept_s: float = 60.0) -> None:
        self.folder = folder
        self.path = folder / "sockets" / "socket"
        self.path.parent.mkdir()
        # The fleet adds -I and -S, with which nothing of its lines would be measured.
        self.process = subprocess.Popen(
            [sys.executable, str(SUPERVISOR), str(self.path), str(kept_s)], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.connection = self.connect()
        self._lines = self.connection.makefile("rb")

    def connect(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.connect(str(self.path))
        return opened

    def send(self, text: bytes) -> dict[str, Any]:
        self.connection.sendall(text + b"\n")
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer

    def ask(self, op: str, **members: Any) -> dict[str, Any]:
        return self.send(json.dumps({"op": op, **members}).encode())

    def spawn(self, agent_id: str, *argv: str, uid: int = -1, **limits: float) -> dict[str, Any]:
        folder = self.folder / agent_id
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        known = {"id": agent_id, "argv": argv, "cwd": str(folder), "limits": limits, "uid": uid}
        return self.ask("spawn", env={"PATH": os.defpath}, **known)

    def row(self, agent_id: str) -> dict[str, Any]:
        rows = {each["id"]: each for each in self.ask("list")["agents"]}
        found: dict[str, Any] = rows.get(agent_id, {})
        return found

    async def ended(self, agent_id: str) -> dict[str, Any]:
        """Return an agent once it has ended."""
        await done("ended", lambda: self.row(agent_id)["code"] is not None, within_s=10)
        return self.row(agent_id)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("supervisor"))
    yield running
    running.ask("end")
    assert running.process.wait(10) == 0
    assert not running.path.parent.exists()
    running.stop()


def lives(pid: int) -> bool:
    """Return whether a process runs; one that has ended may still have a row."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_an_agent_is_started_once_and_forgotten_after_its_end(supervisor: Running) -> None:
    """With its exit code and the last of its output."""
    text = "head -c 5000 /dev/zero | tr '\\0' x; echo; echo no queue >&2; read a; exit 3"
    started = supervisor.spawn("one", "sh", "-c", text)
    assert supervisor.spawn("one", "sh", "-c", "exit 1")["pid"] == started["pid"]
    assert supervisor.ask("list")["fleets"] == 1
    row = await supervisor.ended("one")
    assert row["code"] == 3
    assert row["words"].endswith("x\nno queue\n")
    assert len(row["words"]) == 4096
    supervisor.ask("signal", id="one", signal=int(signal.SIGTERM))
    supervisor.ask("forget", id="one")
    assert supervisor.row("one") == {}
    assert supervisor.ask("forget", id="one") == {}


async def test_an_agent_ends_by_a_signal_with_all_that_it_has_started(supervisor: Running) -> None:
    """Also with what left its group, or outlives it."""
    text = "sleep 300 & echo $!; setsid sleep 300 & echo $!; exec sleep 300"
    started = supervisor.spawn("group", "sh", "-c", text)
    await done("words", lambda: supervisor.row("group")["words"].count("\n") == 2, within_s=10)
    pids = [started["pid"], *map(int, supervisor.row("group")["words"].split())]
    assert all(lives(each) for each in pids)
    supervisor.ask("signal", id="group", signal=int(signal.SIGTERM))
    assert (await supervisor.ended("group"))["code"] == -signal.SIGTERM
    await done("gone", lambda: not any(lives(each) for each in pids), within_s=10)


async def test_a_killed_agent_keeps_the_first_reason(supervisor: Running) -> None:
    """A second kill says nothing more."""
    supervisor.spawn("killed", "sleep", "300")
    for reason in ("SILENT", "an orphan"):
        supervisor.ask("signal", id="killed", signal=int(signal.SIGKILL), reason=reason)
    row = await supervisor.ended("killed")
    assert (row["code"], row["killed"]) == (-signal.SIGKILL, "SILENT")


async def test_a_wrong_request_is_answered_and_the_next_one_too(supervisor: Running) -> None:
    """Programs that cannot be started, and lines that are no requests."""
    assert "No such file" in supervisor.spawn("none", "/nowhere/program")["error"]
    assert supervisor.row("none") == {}
    assert "error" in supervisor.send(b"{")
    assert "error" in supervisor.ask("spawn")
    second = supervisor.connect()
    second.sendall(b'{"op": "li')
    await done("a second fleet", lambda: supervisor.ask("list")["fleets"] == 2, within_s=10)
    second.close()
    await done("one again", lambda: supervisor.ask("list")["fleets"] == 1, within_s=10)


async def test_each_limit_ends_an_agent_and_names_itself(supervisor: Running) -> None:
    """Memory, processes, and the size of the folder."""
    hungry = "import signal; x = b'x' * (48 << 20); signal.pause()"
    supervisor.spawn("memory", sys.executable, "-S", "-c", hungry, memory_bytes=32 * MIB)
    supervisor.spawn("pids", "sh", "-c", "for n in 1 2 3 4 5 6; do sleep 300 & done; wait", pids=3)
    filled = "mkdir a; for n in 1 2 3; do head -c 60000 /dev/zero > a/$n; done; sleep 300"
    supervisor.spawn("disk", "sh", "-c", filled, disk_bytes=100_000)
    said = {name: (await supervisor.ended(name))["killed"] for name in ("memory", "pids", "disk")}
    assert re.fullmatch(r"LIMIT_MEMORY: \d+ MiB in use", said["memory"])
    assert re.fullmatch("LIMIT_PIDS: [4-7] processes", said["pids"])
    assert re.fullmatch(r"LIMIT_DISK: 1\d\d KiB in its folder", said["disk"])


async def test_the_kernel_holds_the_other_limits(supervisor: Running) -> None:
    """And under root an agent has a user of its own."""
    supervisor.spawn("bound", "sh", "-c", "ulimit -n; ulimit -c; id -u", uid=UID, files=64, pids=20)
    row = await supervisor.ended("bound")
    user = UID if UID >= 0 else os.geteuid()
    assert row["words"].split() == ["64", "0", str(user)]


async def test_an_agent_that_uses_too_much_processor_time_is_stopped_for_a_while(
    supervisor: Running,
) -> None:
    """And continues."""
    started = supervisor.spawn("busy", "sh", "-c", "while :; do :; done", cpu=0.05)
    states = set()

    def seen() -> bool:
        text = Path(f"/proc/{started['pid']}/stat").read_text()
        states.add(text.rpartition(")")[2].split()[0])
        return {"R", "T"} <= states and supervisor.row("busy")["cpu_s"] > 0.05

    await done("stopped and continued", seen, within_s=10)
    # A stopped agent ends by a signal, too.
    supervisor.ask("signal", id="busy", signal=int(signal.SIGTERM))
    assert (await supervisor.ended("busy"))["code"] == -signal.SIGTERM


async def test_a_supervisor_without_its_fleet_ends_with_its_agents(tmp_path: Path) -> None:
    """After a while, so that the next fleet takes them over."""
    running = Running(tmp_path, kept_s=0.2)
    pid = running.spawn("left", "sleep", "300")["pid"]
    assert lives(pid)
    running.connection.close()
    running._lines.close()
    assert running.process.wait(10) == 0
    assert not lives(pid)
    assert not running.path.parent.exists()
    running.stop()
