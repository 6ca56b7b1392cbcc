"""Defaults of a client and the command: the environment, then a suite running in this folder.

`flowmesh dev` writes its addresses to `.flowmesh/dev.json`. The file is searched in the working
folder and its parents, as Git does for `.git`. A file of another user or of an ended process is
ignored.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

DEFAULT_ADDRESS = "127.0.0.1:7450"
DEFAULT_NAMESPACE = "default"
DEV_FILE = Path(".flowmesh") / "dev.json"


@dataclass(frozen=True, slots=True)
class RunningSuite:
    """A running suite of `flowmesh dev`, with its file."""

    address: str
    file: Path


def running_suite(folder: Path | None = None) -> RunningSuite | None:
    """Return the suite that runs in the folder or its nearest parent, or None."""
    try:
        start = (folder or Path.cwd()).absolute()
    except FileNotFoundError:  # the working folder was removed
        return None
    for place in (start, *start.parents):
        file = place / DEV_FILE
        if address := _address_in(file):
            return RunningSuite(address, file)
    return None


def _address_in(file: Path) -> str:
    """Return the gRPC address in the file if its process runs, else an empty text."""
    try:
        if file.stat().st_uid != os.geteuid():
            return ""
        about = orjson.loads(file.read_bytes())
        pid, address = about["pid"], about["grpc"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    usable = type(pid) is int and pid > 0 and isinstance(address, str)
    return address if usable and _runs(pid) else ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def address_or_default(address: str) -> str:
    """Return the address, or else FLOWMESH_ADDRESS, a running suite or 127.0.0.1:7450."""
    if chosen := address or os.environ.get("FLOWMESH_ADDRESS"):
        return chosen
    found = running_suite()
    return found.address if found is not None else DEFAULT_ADDRESS


def namespace_or_default(namespace: str) -> str:
    """Return the namespace, or else FLOWMESH_NAMESPACE or `default`."""
    return namespace or os.environ.get("FLOWMESH_NAMESPACE") or DEFAULT_NAMESPACE


def actor_or_default(actor: str) -> str:
    """Return the actor, or else FLOWMESH_ACTOR."""
    return actor or os.environ.get("FLOWMESH_ACTOR") or ""
