"""Files of the archive by key, `ns=<namespace>/<day>/<name>`, and those of a folder.

`bucket` has the same for a bucket. All functions block.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

UNFINISHED = ".new"
UNFINISHED_S = 3_600
"""A file that has not changed for this long was left by a crash: no write takes as long."""


class ArchiveFiles(Protocol):
    """Files that are written whole and never changed. Errors are those of a file: OSError."""

    def locked(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Lock among threads and processes."""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of files and folders in a folder in order; none if it is missing."""

    def draft(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Create a file that exists for others once it is published; remove it otherwise."""

    def publish(self, draft: BinaryIO, key: str) -> None:
        """Make a draft the content of a key; return when it is durable."""

    def read(self, key: str, begin: int = 0, length: int = 0) -> BinaryIO:
        """Open a file at a place; `length` is the number of bytes to be read, 0 for all."""

    def delete(self, folder: str, names: Sequence[str]) -> None:
        """Delete files that are no longer named by an index, if they exist."""


class FolderFiles:
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        if not self._folder.is_dir():
            yield
            return
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield

    def names(self, folder: str) -> Sequence[str]:
        try:
            return sorted(path.name for path in (self._folder / folder).iterdir())
        except FileNotFoundError:
            return []

    @contextmanager
    def draft(self, key: str) -> Iterator[BinaryIO]:
        path = self._folder / (key + UNFINISHED)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def publish(self, draft: BinaryIO, key: str) -> None:
        draft.flush()
        os.fsync(draft.fileno())
        path = self._folder / key
        Path(draft.name).rename(path)
        _sync_folder(path.parent)

    def read(self, key: str, begin: int = 0, length: int = 0) -> BinaryIO:
        file = (self._folder / key).open("rb")
        file.seek(begin)
        return file

    def delete(self, folder: str, names: Sequence[str]) -> None:
        for name in names:
            path = self._folder / folder / name
            if not (name.endswith(UNFINISHED) and _is_young(path)):
                path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            _sync_folder(self._folder / folder)


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < UNFINISHED_S
    except FileNotFoundError:
        return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
