"""The frames of PostgreSQL and NATS as far as faults need them, and the rules that lose one."""

import asyncio

from tests.faults.harness.proxy import DOWN, UP, Connection

COMMIT = b"update incarnations set position"
RENEWAL = b"set lease_until = clock_timestamp()"
POSITIONS = b"insert into positions"
DELIVERED = b"update deliveries\nset status"
RUNS = "runs"
BACKEND = "backend"


class PostgresClient:
    """What a client sends: the start has no type byte, everything else has one."""

    def __init__(self) -> None:
        self._held = b""
        self._started = False

    def feed(self, data: bytes) -> list[bytes]:
        self._held += data
        found: list[bytes] = []
        while True:
            kind = 1 if self._started else 0
            if len(self._held) < kind + 4:
                return found
            size = kind + int.from_bytes(self._held[kind : kind + 4])
            if len(self._held) < size:
                return found
            found.append(self._held[:size])
            self._held = self._held[size:]
            self._started = True


class PostgresServer(PostgresClient):
    """What the server sends: every message has a type byte. No TLS is asked for on loopback."""

    def __init__(self) -> None:
        super().__init__()
        self._started = True


class NatsLines:
    """What a NATS server sends: a line, and with MSG and HMSG a payload of the named size."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._held += data
        found: list[bytes] = []
        while b"\r\n" in self._held:
            line, _, _ = self._held.partition(b"\r\n")
            size = len(line) + 2
            if line.split(b" ", 1)[0] in (b"MSG", b"HMSG"):
                size += int(line.rsplit(b" ", 1)[1]) + 2
            if len(self._held) < size:
                break
            found.append(self._held[:size])
            self._held = self._held[size:]
        return found


def note_statements(connection: Connection, direction: str, frame: bytes) -> None:
    """Keeps the text of every prepared statement, which one runs, and the process that runs it."""
    if direction == DOWN:
        if frame[:1] == b"K":
            connection.notes[BACKEND] = str(int.from_bytes(frame[5:9]))
    elif frame[:1] == b"P":
        name, _, rest = frame[5:].partition(b"\0")
        connection.notes[name.decode()] = rest.partition(b"\0")[0].decode()
    elif frame[:1] == b"B":
        name = frame[5:].split(b"\0", 2)[1]
        connection.notes[RUNS] = connection.notes.get(name.decode(), "")


class StatementFault:
    """Does something to the next executions of a statement, found by a piece of its text.

    "lost reply": the server commits, then the client's connection is reset before it is told.
    "late request": the client's connection is reset at once; the server gets the statement
    after `release`. "late reply": the reply waits for `release`. `hit` is set when it happened.
    """

    def __init__(self, text: bytes, fault: str, *, times: int = 1) -> None:
        self._text = text.decode()
        self._fault = fault
        self._left = times
        self._caught: set[Connection] = set()
        self.hits = 0
        self.hit = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, connection: Connection, direction: str, frame: bytes) -> bool:
        if direction == UP:
            if frame[:1] == b"B" and self._left and self._text in connection.notes[RUNS]:
                self._left -= 1
                self._caught.add(connection)
                if self._fault == "late request":
                    connection.cut_client()
                    await self._happened()
            return True
        if connection not in self._caught:
            return True
        if self._fault == "late reply":
            self._caught.discard(connection)
            await self._happened()
            return True
        if frame[:1] == b"Z" and self._fault == "lost reply":
            # Ready for the next one: what it did is committed.
            self._caught.discard(connection)
            connection.cut()
            self.hits += 1
            self.hit.set()
        return False

    async def _happened(self) -> None:
        self.hits += 1
        self.hit.set()
        await self.release.wait()


class LostPubAcks:
    """Loses the acknowledgements of the next publishes to one stream."""

    def __init__(self, stream: str, times: int) -> None:
        self._mark = b'"stream":"' + stream.encode() + b'"'
        self.left = times
        self.lost = 0

    async def __call__(self, connection: Connection, direction: str, frame: bytes) -> bool:
        is_ack = direction == DOWN and frame.startswith(b"MSG _INBOX") and b'"seq":' in frame
        if not self.left or not is_ack or self._mark not in frame or b'"type"' in frame:
            return True
        self.left -= 1
        self.lost += 1
        return False
