"""Defaults of a client and the command: the environment, then a suite running in this folder.

`flowmesh dev` writes its addresses to `.flowmesh/dev.json`. The file is searched in the working
folder and its parents, as Git does for `.git`. A file of another user or of an ended process is
ignored.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from flowmesh.sdk.transport.endpoint import Tls, is_local, tls_of_environment

DEFAULT_ADDRESS = "127.0.0.1:7450"
DEFAULT_NAMESPACE = "default"
DEV_FILE = Path(".flowmesh") / "dev.json"


@dataclass(frozen=True, slots=True)
class RunningSuite:
    """A running suite of `flowmesh dev`, with its file."""

    address: str
    file: Path
    # File of the authority of its certificates; empty if it does not speak TLS.
    ca: str = ""


def running_suite(folder: Path | None = None) -> RunningSuite | None:
    """Return the suite that runs in the folder or its nearest parent, or None."""
    try:
        start = (folder or Path.cwd()).absolute()
    except FileNotFoundError:  # the working folder was removed
        return None
    for place in (start, *start.parents):
        file = place / DEV_FILE
        if (found := _suite_in(file)) is not None:
            return found
    return None


def _suite_in(file: Path) -> RunningSuite | None:
    """Return the suite of the file if its process runs.

    The file may come with a folder of others, so it may not name an address with a scheme, which
    would permit a credential to leave this machine.
    """
    try:
        if file.stat().st_uid != os.geteuid():
            return None
        about = orjson.loads(file.read_bytes())
        pid, address, ca = about["pid"], about["grpc"], about.get("ca") or ""
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    usable = type(pid) is int and pid > 0 and isinstance(address, str) and isinstance(ca, str)
    if not usable or not address or "://" in address or not _runs(pid):
        return None
    return RunningSuite(address, file, ca if is_local(address) else "")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def located(address: str, tls: Tls | bool | None) -> tuple[str, Tls | bool | None]:
    """Return the address and the TLS options of a server.

    The address is FLOWMESH_ADDRESS, that of a running suite or 127.0.0.1:7450 by default. A suite
    that speaks TLS is trusted by the authority that it names.
    """
    if chosen := address or os.environ.get("FLOWMESH_ADDRESS"):
        return chosen, tls
    found = running_suite()
    if found is None:
        return DEFAULT_ADDRESS, tls
    if found.ca and tls is None:
        tls = tls_of_environment() or Tls(found.ca)
    return found.address, tls


def namespace_or_default(namespace: str, *, has_credential: bool) -> str:
    """Return the namespace, or else FLOWMESH_NAMESPACE or `default`.

    With a credential the last is empty: the server takes the only namespace of the caller.
    """
    last = "" if has_credential else DEFAULT_NAMESPACE
    return namespace or os.environ.get("FLOWMESH_NAMESPACE") or last


def actor_or_default(actor: str) -> str:
    """Return the actor, or else FLOWMESH_ACTOR."""
    return actor or os.environ.get("FLOWMESH_ACTOR") or ""
