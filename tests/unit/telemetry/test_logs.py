"""Logs: one JSON object a line, the standard library's loggers included."""

import json
import logging
import subprocess
import sys

SCRIPT = """
import logging, structlog
from flowmesh.telemetry import configure_logs, trace
configure_logs("info", "json")
with trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
    structlog.get_logger("a").info("started", port=1)
structlog.get_logger("a").debug("unseen")
logging.getLogger("library").warning("from %s", "elsewhere")
"""


def test_every_line_is_json_with_level_time_and_trace() -> None:
    """Machines can read all of it; what is below the level is not written."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["event"], first["port"], first["level"]) == ("started", 1, "info")
    assert first["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (second["event"], second["level"]) == ("from elsewhere", "warning")
    assert "timestamp" in first


def test_this_process_keeps_its_own_logging() -> None:
    """Importing the library configures nothing."""
    assert logging.getLogger("library").handlers == []
