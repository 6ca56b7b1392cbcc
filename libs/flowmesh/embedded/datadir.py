"""The data directory, locked by one process at a time."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from flowmesh.embedded.errors import DataDirLocked, EmbeddedError

# sockaddr_un holds 108 bytes with the final NUL on Linux, 104 elsewhere.
SOCKET_PATH_BYTES_MAX = 103
DIRECTORY_MODE = 0o700


class DataDir:
    """A locked data directory.

    `identity` is written once and never changes. The holder of the lock knows that earlier holders
    of the same identity are dead.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.identity = ""
        self._lock = -1
        self._socket_dirs: list[Path] = []

    def acquire(self) -> None:
        """Acquire the lock; raises DataDirLocked with the pid of its holder."""
        try:
            self.path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            if self.path.stat().st_uid == os.geteuid():
                self.path.chmod(DIRECTORY_MODE)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedError(
                f"cannot write to {self.path} ({error.strerror}); choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(lock, 32, 0).decode().strip()
            os.close(lock)
            raise DataDirLocked(str(self.path), int(pid or 0)) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        self.identity = self._stored("identity", lambda: secrets.token_hex(16))

    def release(self) -> None:
        """Release the lock; its file stays, so that all processes lock the same file."""
        for directory in self._socket_dirs:
            shutil.rmtree(directory, ignore_errors=True)
        self._socket_dirs.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def secret(self, name: str) -> str:
        """Return a random secret, stored in the data directory and readable by its owner only."""
        return self._stored(name, lambda: secrets.token_urlsafe(24))

    def folder(self, name: str, mode: int = 0o700) -> Path:
        """Return a folder of the data directory and create it if needed."""
        folder = self.path / name
        folder.mkdir(mode=mode, exist_ok=True)
        return folder

    def socket_dir(self, folder: Path, socket_name: str) -> Path:
        """Return the folder for a socket: `folder`, or a short one if its path is too long."""
        if len(os.fsencode(folder / socket_name)) <= SOCKET_PATH_BYTES_MAX:
            return folder
        short = Path(tempfile.mkdtemp(prefix="flowmesh-"))
        self._socket_dirs.append(short)
        return short

    def _stored(self, name: str, generate: Callable[[], str]) -> str:
        path = self.path / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            value = generate()
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value + "\n")
        draft.replace(path)
        return value
