"""Defaults of a client: the environment, then a suite that runs in this folder, as the command.

`flowmesh dev` writes its addresses to `.flowmesh/dev.json`. The file is looked for in the working
folder and its parents, as Git looks for `.git`. A file of another user or of a process that has
ended is ignored.
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
    """A suite of `flowmesh dev`, and the file that names it."""

    address: str
    file: Path


def running_suite(folder: Path | None = None) -> RunningSuite | None:
    """The suite that runs in the folder or the nearest of its parents; None if there is none."""
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
    """The gRPC address of a file whose process runs; empty otherwise."""
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
    if chosen := address or os.environ.get("FLOWMESH_ADDRESS"):
        return chosen
    found = running_suite()
    return found.address if found is not None else DEFAULT_ADDRESS


def namespace_or_default(namespace: str) -> str:
    return namespace or os.environ.get("FLOWMESH_NAMESPACE") or DEFAULT_NAMESPACE


def actor_or_default(actor: str) -> str:
    return actor or os.environ.get("FLOWMESH_ACTOR") or ""
