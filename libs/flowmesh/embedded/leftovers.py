"""Stops orphaned servers of a killed owner of this data directory.

An orphaned server has a known program name, and its working directory is in the data directory that
this process has locked. Both are read from the kernel, so a reused pid is not mistaken for one.
"""

import signal
import time
from pathlib import Path

import psutil
import structlog

PROGRAMS = frozenset({"postgres", "nats-server", "redis-server", "valkey-server", "initdb"})
END_TIMEOUT_S = 5.0


def end_leftovers(folder: Path) -> int:
    """Stop the orphaned servers of a folder, wait for their end and return their number."""
    found = [process for process in psutil.process_iter() if _is_orphan(process, folder)]
    if not found:
        return 0
    log = structlog.get_logger("flowmesh.embedded")
    for process in found:
        log.warning("leftover_server_ended", pid=process.pid, folder=str(folder))
        _send(process, signal.SIGQUIT if _name(process) == "postgres" else signal.SIGTERM)
    deadline = time.monotonic() + END_TIMEOUT_S
    _, alive = psutil.wait_procs(found, timeout=END_TIMEOUT_S)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=max(0.1, deadline + END_TIMEOUT_S - time.monotonic()))
    return len(found)


def _is_orphan(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() in PROGRAMS and Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
