"""Readers of `GET /logs` learn nothing of the host."""

from flowmesh.apps.http.messages import Request
from flowmesh.apps.observing.hub import Hub
from flowmesh.apps.observing.logs import LogHub


async def test_the_frames_of_an_error_are_for_the_log_of_the_host() -> None:
    """Its records name the error alone; standard error has the files and lines."""
    lines: list[bytes] = []
    log = LogHub(app="x", write=lines.append)
    hub = Hub(log)
    try:
        int("\xb2")
    except ValueError as error:
        hub.failed(Request(method="GET", path="/a", headers=[]), error)
    log.flush()
    shown = str(log.read(limit=10))
    assert "ValueError" in shown
    assert __file__ not in shown
    assert __file__.encode() in b"".join(lines)
