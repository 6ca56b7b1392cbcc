"""The users of hosted applications: each application owns its data by a user id of its own.

The owner of the folder for data is the record. Only root can give ids; otherwise all applications
are of the user of the suite.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from flowmesh.apphost.running.folders import Folders
from flowmesh.walls.probing import UIDS, free_uid


class Users:
    """Gives folders to users."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()

    def own(self, folders: Folders, *, own_user: bool) -> int:
        """Return the user id of an application, who owns its data; -1 for the user of the suite.

        The folder for temporary files is emptied.
        """
        with self._lock:
            uid = self._uid(folders) if own_user else os.geteuid()
            _give(folders.data, uid)
        shutil.rmtree(folders.temporary, ignore_errors=True)
        folders.temporary.mkdir(mode=0o700)
        _give(folders.temporary, uid)
        return uid if own_user else -1

    def _uid(self, folders: Folders) -> int:
        found = folders.data.stat().st_uid
        if found in UIDS:
            return found
        return free_uid({each.stat().st_uid for each in self._folders()})

    def _folders(self) -> Iterator[Path]:
        """Yield the folders for data of all applications, and of documents that are checked."""
        for pattern in ("apps/*/*/data", "checks/*/data"):
            yield from self._data_dir.glob(pattern)


def _give(folder: Path, uid: int) -> None:
    """Give a folder to a user, with everything in it; links are not followed."""
    if folder.stat().st_uid == uid:
        return
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(Path(path, name), uid, uid)
    os.chown(folder, uid, uid)
