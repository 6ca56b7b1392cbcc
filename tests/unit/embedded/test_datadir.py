"""The data directory has one owner at a time."""

import os
from pathlib import Path

import pytest

from flowmesh.embedded import DataDir, DataDirLocked, EmbeddedError
from flowmesh.embedded.datadir import SOCKET_PATH_BYTES_MAX


def test_a_second_owner_gets_the_pid_of_the_first(tmp_path: Path) -> None:
    """Whoever comes second learns who is there and what to do."""
    first, second = DataDir(tmp_path / "data"), DataDir(tmp_path / "data")
    first.acquire()
    with pytest.raises(DataDirLocked, match=rf"in use by process {os.getpid()}; .*--data-dir"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_the_identity_stays(tmp_path: Path) -> None:
    """A directory keeps its identity, another has another."""
    identities = []
    for name in ("a", "a", "b"):
        data_dir = DataDir(tmp_path / name)
        data_dir.acquire()
        identities.append(data_dir.identity)
        data_dir.release()
    assert identities[0] == identities[1] != identities[2]


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    """A secret is the same at the next start, and nobody else may read it."""
    data_dir = DataDir(tmp_path)
    secret = data_dir.secret("token")
    assert secret == data_dir.secret("token")
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


def test_a_socket_whose_path_is_too_long_goes_elsewhere(tmp_path: Path) -> None:
    """Deep directories work: the socket goes to a short private folder, removed at the end."""
    data_dir = DataDir(tmp_path / ("x" * 100))
    data_dir.acquire()
    folder = data_dir.folder("redis")
    sockets = data_dir.socket_dir(folder, "redis.sock")
    assert sockets != folder
    assert len(os.fsencode(sockets / "redis.sock")) <= SOCKET_PATH_BYTES_MAX
    assert sockets.stat().st_mode & 0o077 == 0
    data_dir.release()
    assert not sockets.exists()


def test_a_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path) -> None:
    """The error names the folder and the flag."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"cannot write to .*/file/data .*--data-dir"):
        DataDir(tmp_path / "file" / "data").acquire()
