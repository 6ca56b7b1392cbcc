"""The warden of a program: makes its connections where the policy admits the address.

The kernel hands each `connect` of the program to the warden (seccomp_unotify(2)). The warden reads
the address once, judges it, and connects the program's socket itself; so the program cannot change
it between. It ends as the program has ended.
"""

import errno
import fcntl
import ipaddress
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
from typing import NamedTuple, Protocol

from flowmesh.walls import kernel

_RECEIVE, _ANSWER, _VALID = 0xC0502100, 0xC0182101, 0x40082102
_NOTE_BYTES = 80
_NOTE = struct.Struct("=QIIiIQ6Q")
_REPLY = struct.Struct("=Qqii")
_ADDRESS_BYTES_MAX = 128
DNS_PORT = 53
RESOLVER = "/etc/resolv.conf"
# Between two looks at the addresses of names.
RESOLVED_S = 5.0


class Policy(Protocol):
    def admits(self, host: str) -> bool: ...


class Note(NamedTuple):
    """A call of the program that waits."""

    id: int
    thread: int
    socket: int
    address: int
    bytes: int


def attend(pid: int, from_program: socket.socket, spec: dict[str, object]) -> None:
    """Serve the program until it ends, and end like it."""
    listener = _listener(from_program)
    if listener >= 0:
        _silence()
        Warden(listener, _rules(spec)).serve(pid)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _listener(from_program: socket.socket) -> int:
    """Return the descriptor of the filter; -1 where there is none."""
    _, found, _, _ = socket.recv_fds(from_program, 1, 1)
    from_program.close()
    return found[0] if found else -1


def _silence() -> None:
    """Leave the output to the program, whose end is the end of the output."""
    null = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(null, each)
    # The connection of the program with its host ends with the program, too.
    os.close(null)


class Named:
    """Endpoints by name; an address that a name had once stays one of it."""

    def __init__(self, endpoints: list[str]) -> None:
        self._endpoints = endpoints
        self._found: set[tuple[str, int]] = set()
        self._resolved_at = float("-inf")

    def has(self, host: str, port: int) -> bool:
        known = (host, port) in self._found
        if known or not any(each.endswith(f":{port}") for each in self._endpoints):
            return known
        if time.monotonic() - self._resolved_at >= RESOLVED_S:
            for each in self._endpoints:
                self._found |= _resolved(each)
            self._resolved_at = time.monotonic()
        return (host, port) in self._found


class Rules:
    """Judges addresses: those of the policy, or `only` some of them, and single endpoints."""

    def __init__(
        self, policy: Policy, endpoints: set[tuple[str, int]], only: Named | None = None
    ) -> None:
        self._policy, self._endpoints, self._only = policy, endpoints, only

    def admits(self, address: bytes) -> bool:
        """Return whether a socket may connect to a `sockaddr`."""
        family = int.from_bytes(address[:2], sys.byteorder)
        port = int.from_bytes(address[2:4], "big")
        if family == socket.AF_UNSPEC:
            return True
        if family == socket.AF_INET and len(address) >= 8:
            host = socket.inet_ntop(family, address[4:8])
        elif family == socket.AF_INET6 and len(address) >= 24:
            host = socket.inet_ntop(family, address[8:24])
        else:
            return False
        if (host, port) in self._endpoints:
            return True
        return self._policy.admits(host) and (self._only is None or self._only.has(host, port))


class Warden:
    """Answers the calls of one program."""

    def __init__(self, listener: int, rules: Rules) -> None:
        self._listener, self._rules = listener, rules

    def serve(self, pid: int) -> None:
        """Answer until the program ends."""
        ended = kernel.call("pidfd_open", pid, 0)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if ended in ready:
                return
            if ready.get(self._listener, 0) & select.POLLIN:
                self._take()

    def _take(self) -> None:
        buffer = bytearray(_NOTE_BYTES)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError:
            # The caller was killed meanwhile.
            return
        number, thread, _, _, _, _, *arguments = _NOTE.unpack(buffer)
        note = Note(number, thread, arguments[0] & 0xFFFFFFFF, arguments[1], arguments[2])
        try:
            address = self._address(note)
            theirs = self._socket(note)
        except OSError as error:
            self._answer(note, error.errno or errno.EACCES)
            return
        if not self._rules.admits(address):
            os.close(theirs)
            self._answer(note, errno.EACCES)
        elif os.get_blocking(theirs):
            threading.Thread(target=self._connect, args=(note, theirs, address)).start()
        else:
            self._connect(note, theirs, address)

    def _address(self, note: Note) -> bytes:
        """Return the address of a call. Raises OSError."""
        if not 2 <= note.bytes <= _ADDRESS_BYTES_MAX:
            raise OSError(errno.EINVAL, "the length of the address")
        memory = os.open(f"/proc/{note.thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(note)
            found = os.pread(memory, note.bytes, note.address)
        finally:
            os.close(memory)
        if len(found) != note.bytes:
            raise OSError(errno.EFAULT, "the address")
        return found

    def _socket(self, note: Note) -> int:
        """Return a descriptor of the program's socket. Raises OSError."""
        process = kernel.call("pidfd_open", _process_of(note.thread), 0)
        try:
            self._check(note)
            return kernel.call("pidfd_getfd", process, note.socket, 0)
        finally:
            os.close(process)

    def _check(self, note: Note) -> None:
        """Raise OSError if the caller has ended; its number may be that of another process."""
        fcntl.ioctl(self._listener, _VALID, struct.pack("=Q", note.id))

    def _connect(self, note: Note, theirs: int, address: bytes) -> None:
        try:
            problem = 0 if kernel.LIBC.connect(theirs, address, len(address)) == 0 else _errno()
        finally:
            os.close(theirs)
        self._answer(note, problem)

    def _answer(self, note: Note, problem: int) -> None:
        reply = _REPLY.pack(note.id, 0, -problem, 0)
        try:
            fcntl.ioctl(self._listener, _ANSWER, reply)
        except OSError:
            # The caller was killed meanwhile.
            return


def _errno() -> int:
    import ctypes

    return ctypes.get_errno()


def _process_of(thread: int) -> int:
    """Return the process of a thread. Raises OSError."""
    at = os.open(f"/proc/{thread}/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(at, 4096)
    finally:
        os.close(at)
    return int(text.partition(b"\nTgid:")[2].split(maxsplit=1)[0])


def _rules(spec: dict[str, object]) -> Rules:
    """Return the rules of a spec: its policy, its endpoints, and the servers of names."""
    connections: dict[str, object] = spec["connections"]  # type: ignore[assignment]
    sys.path.append(str(connections["policy_folder"]))
    import policy  # type: ignore[import-not-found]  # in that folder

    allowed: list[str] = connections["allowed"]  # type: ignore[assignment]
    endpoints: list[str] = connections["endpoints"]  # type: ignore[assignment]
    found = {(server, DNS_PORT) for server in _name_servers()}
    for each in endpoints:
        found |= _resolved(each)
    only: list[str] | None = connections["only"]  # type: ignore[assignment]
    return Rules(
        policy.Policy.named(connections["egress"], tuple(allowed)),
        found,
        None if only is None else Named(only),
    )


def _name_servers() -> list[str]:
    try:
        with open(RESOLVER) as file:  # noqa: PTH123 - pathlib is not loaded here
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _resolved(endpoint: str) -> set[tuple[str, int]]:
    host, _, port = endpoint.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {(str(ipaddress.ip_address(str(each[4][0]))), int(port)) for each in found}
