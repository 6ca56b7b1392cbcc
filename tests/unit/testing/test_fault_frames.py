"""The frames that the fault proxy cuts out of PostgreSQL's and NATS' bytes."""

import pytest

from tests.faults.harness.protocols import NatsLines, PostgresClient, PostgresServer
from tests.faults.harness.proxy import Frames, Whole

STARTUP = (8).to_bytes(4) + b"v3.0"
QUERY = b"Q" + (9).to_bytes(4) + b"hello"
READY = b"Z" + (5).to_bytes(4) + b"I"
MESSAGE = b"MSG _INBOX.a.b 1 7\r\n{\r\n..}\n\r\n"
HEADED = b"HMSG s 1 4 6\r\nhead..\r\n"


@pytest.mark.parametrize(
    ("frames", "whole"),
    [
        (PostgresClient, [STARTUP, QUERY, QUERY]),
        (PostgresServer, [READY, QUERY, READY]),
        (NatsLines, [b"INFO {}\r\n", MESSAGE, b"PING\r\n", HEADED]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_frames_are_found_however_the_bytes_come(
    frames: type[Frames], whole: list[bytes], size: int
) -> None:
    """Nothing is lost, and a frame comes when its last byte is there."""
    cutter, data = frames(), b"".join(whole)
    found = [
        frame for at in range(0, len(data), size) for frame in cutter.feed(data[at : at + size])
    ]
    assert found == whole


def test_without_a_protocol_bytes_pass_as_they_come() -> None:
    """A proxy that only cuts and delays looks at nothing."""
    assert Whole().feed(b"anything") == [b"anything"]
