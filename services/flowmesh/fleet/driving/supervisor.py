"""The parent of agents: a process of the standard library only, which outlives its fleet.

    supervisor.py SOCKET KEPT_S

It listens on a socket in a private folder. A request is a line of JSON with `op`; so is the answer:

    spawn   id, argv, env, cwd, limits, uid   starts an agent; one that runs already stays
    signal  id, signal                        sends a signal to all processes of the agent
    list                                      agents with usage, end and last words, and the
                                              number of connected fleets
    forget  id                                drops an agent that has ended
    end                                       kills all agents and ends

Agents end with it. It kills them and ends when no fleet has spoken for KEPT_S.
"""

import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any, NamedTuple

PERIOD_S = 0.1
DISK_PERIOD_S = 1.0
WORDS_BYTES = 4096
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Address space may be reserved without use.
ADDRESS_FACTOR = 4
LIBC = ctypes.CDLL(None)
# A member of JSON.
Row = dict[str, Any]


class Process(NamedTuple):
    """A process of the machine."""

    parent: int
    session: int
    cpu_s: float
    memory: int


Table = dict[int, Process]


class Agent:
    """A started process and its group."""

    def __init__(self, request: Row, process: "subprocess.Popen[bytes]") -> None:
        self.id, self.folder = str(request["id"]), str(request["cwd"])
        self.process, self.limits = process, dict(request["limits"])
        self.words, self.killed = b"", ""
        self.code: int | None = None
        self.cpu_s, self.memory = 0.0, 0
        self.held, self.members, self.credit = False, [process.pid], 0.0
        self.measured = time.monotonic()

    def row(self) -> Row:
        return {
            "id": self.id,
            "pid": self.process.pid,
            "code": self.code,
            "killed": self.killed,
            "words": self.words.decode("utf-8", "replace"),
            "cpu_s": self.cpu_s,
            "memory": self.memory,
        }

    def signal(self, number: int) -> None:
        for pid in self.members:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self, reason: str) -> None:
        if not self.killed:
            self.killed = reason
        self.signal(signal.SIGKILL)


class Supervisor:
    """Starts agents, measures them, and holds them to their limits."""

    def __init__(self, path: str, kept_s: float) -> None:
        self.path, self.kept_s, self.heard = path, kept_s, time.monotonic()
        self.agents: dict[str, Agent] = {}
        self.ending = False
        self.selector = selectors.DefaultSelector()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(8)
        self.selector.register(self.server, selectors.EVENT_READ, self.accept)
        self.buffers: dict[socket.socket, bytes] = {}
        self.disk_at = self.measured_at = 0.0

    def run(self) -> None:
        while not self.ending:
            for key, _ in self.selector.select(PERIOD_S):
                key.data(key.fileobj)
            self.reap()
            self.measure()
            if time.monotonic() - self.heard > self.kept_s and not self.buffers:
                self.leave()
        for agent in self.agents.values():
            agent.kill("the fleet has ended")

    def leave(self) -> None:
        """End with this round; another supervisor may bind the socket at once."""
        self.ending = True
        try:
            os.unlink(self.path)  # noqa: PTH108 - pathlib is not loaded here
            os.rmdir(os.path.dirname(self.path))  # noqa: PTH106, PTH120
        except OSError:
            return

    def accept(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        self.buffers[connection] = b""
        self.selector.register(connection, selectors.EVENT_READ, self.take)

    def take(self, connection: socket.socket) -> None:
        self.heard = time.monotonic()
        try:
            data = connection.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            del self.buffers[connection]
            connection.close()
            return
        *lines, self.buffers[connection] = (self.buffers[connection] + data).split(b"\n")
        for line in lines:
            try:
                answer = self.answer(json.loads(line))
            except Exception as error:  # noqa: BLE001 - the fleet reports it
                answer = {"error": str(error)}
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                return

    def answer(self, request: Row) -> Row:
        name = request["op"]
        if name == "spawn":
            return self.spawn(request)
        if name == "list":
            rows = [each.row() for each in self.agents.values()]
            return {"agents": rows, "pid": os.getpid(), "fleets": len(self.buffers)}
        if name == "end":
            self.leave()
            return {}
        agent = self.agents.get(request["id"])
        if agent is None:
            return {}
        if name == "signal":
            if request["signal"] == signal.SIGKILL:
                agent.kill(request.get("reason", ""))
            elif agent.code is None:
                agent.signal(request["signal"])
                agent.signal(signal.SIGCONT)
        elif name == "forget" and agent.code is not None:
            del self.agents[agent.id]
        return {}

    def spawn(self, request: Row) -> Row:
        if request["id"] in self.agents:
            return self.agents[request["id"]].row()
        limits, uid = request["limits"], request.get("uid", -1)

        def prepare() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            bound(resource.RLIMIT_CORE, 0)
            if limits.get("files"):
                bound(resource.RLIMIT_NOFILE, limits["files"])
            if limits.get("disk_bytes"):
                bound(resource.RLIMIT_FSIZE, limits["disk_bytes"])
            if limits.get("memory_bytes"):
                bound(resource.RLIMIT_AS, ADDRESS_FACTOR * limits["memory_bytes"])
            if uid >= 0:
                if limits.get("pids"):
                    bound(resource.RLIMIT_NPROC, limits["pids"])
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                # A change of the user resets it.
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

        process = subprocess.Popen(
            request["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=request["cwd"],
            env=request["env"],
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - there is one thread
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        agent = self.agents[request["id"]] = Agent(request, process)

        def read(pipe: Any) -> None:
            try:
                data = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self.selector.unregister(pipe)
                pipe.close()
            agent.words = (agent.words + data)[-WORDS_BYTES:]

        self.selector.register(process.stdout, selectors.EVENT_READ, read)
        return agent.row()

    def reap(self) -> None:
        for agent in self.agents.values():
            if agent.code is None:
                agent.code = agent.process.poll()
                if agent.code is not None:
                    # Processes that it has left behind.
                    agent.members = members(agent.process.pid, processes())[1:]
                    agent.signal(signal.SIGKILL)
        own = {each.process.pid for each in self.agents.values() if each.code is None}
        for pid in children(os.getpid()):
            if pid not in own:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
                except (ProcessLookupError, ChildProcessError):
                    continue

    def measure(self) -> None:
        now = time.monotonic()
        running = [each for each in self.agents.values() if each.code is None]
        limited = any(any(each.limits.values()) for each in running)
        if not running or (not limited and now - self.measured_at < DISK_PERIOD_S):
            return
        self.measured_at = now
        table = processes()
        sizes = now - self.disk_at >= DISK_PERIOD_S
        if sizes:
            self.disk_at = now
        for agent in running:
            agent.members = members(agent.process.pid, table)
            used = sum(table[pid].cpu_s for pid in agent.members if pid in table)
            agent.memory = sum(table[pid].memory for pid in agent.members if pid in table)
            self.hold(agent, max(used - agent.cpu_s, 0.0), now - agent.measured)
            agent.cpu_s, agent.measured = max(used, agent.cpu_s), now
            limits = agent.limits
            if limits.get("memory_bytes") and agent.memory > limits["memory_bytes"]:
                agent.kill(f"LIMIT_MEMORY: {agent.memory >> 20} MiB in use")
            if limits.get("pids") and len(agent.members) > limits["pids"]:
                agent.kill(f"LIMIT_PIDS: {len(agent.members)} processes")
            if sizes and limits.get("disk_bytes"):
                size = folder_bytes(agent.folder)
                if size > limits["disk_bytes"]:
                    agent.kill(f"LIMIT_DISK: {size >> 10} KiB in its folder")

    def hold(self, agent: Agent, used: float, passed: float) -> None:
        """Stop an agent that has used more processor time than its limit, and let it go on."""
        limit = agent.limits.get("cpu")
        if not limit:
            return
        agent.credit = min(agent.credit + limit * passed - used, limit * PERIOD_S)
        if agent.credit < 0 and not agent.held:
            agent.held = True
            agent.signal(signal.SIGSTOP)
        elif agent.credit >= 0 and agent.held:
            agent.held = False
            agent.signal(signal.SIGCONT)


def bound(kind: int, value: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def processes() -> Table:
    """Return parent, session, processor time and resident memory by process."""
    found: Table = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is not loaded here
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        used = (int(words[11]) + int(words[12]) + int(words[13]) + int(words[14])) / TICKS
        found[int(name)] = Process(int(words[1]), int(words[3]), used, int(words[21]) * PAGE)
    return found


def members(pid: int, table: Table) -> list[int]:
    """Return a process, those of its session, and their descendants."""
    below: dict[int, list[int]] = {}
    for each, row in table.items():
        below.setdefault(row.parent, []).append(each)
    waiting = [pid, *(each for each, row in table.items() if row.session == pid)]
    found: dict[int, None] = {}
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting += below.get(each, ())
    return list(found)


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def folder_bytes(folder: str) -> int:
    size, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for each in found:
                    if each.is_dir(follow_symlinks=False):
                        waiting.append(each.path)
                    else:
                        size += each.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return size


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    path = sys.argv[1]
    os.umask(0o077)
    supervisor = Supervisor(path, float(sys.argv[2]))
    os.write(1, b"ready\n")
    os.close(1)
    supervisor.run()


if __name__ == "__main__":
    main()
