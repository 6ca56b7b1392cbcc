"""Open and closed installations at their start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowmesh.access.bootstrap import is_bootstrap_token
from flowmesh.access.keys import read_key_file

pytestmark = pytest.mark.long

SERVERS = ("--postgres", "postgresql://x", "--nats", "nats://x", "--redis", "redis://x")


def flowmesh(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command without a setting of the tests."""
    environment = {key: value for key, value in os.environ.items() if "FLOWMESH" not in key}
    # Services of several processes trust each other over its sockets.
    environment["FLOWMESH_INTERNAL_DIR"] = str(folder / "internal")
    return subprocess.run(
        [sys.executable, "-m", "flowmesh.suite", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "words", [("cluster",), ("serve", "identity", "registry", *SERVERS)], ids=["cluster", "serve"]
)
def test_production_commands_start_only_with_a_key(words: tuple[str, ...], tmp_path: Path) -> None:
    """They are closed unless a flag opens them; the message names both."""
    done = flowmesh(*words, folder=tmp_path)
    assert done.returncode == 1
    assert "needs its key file" in done.stderr
    assert "flowmesh identity init" in done.stderr
    assert "--auth open" in done.stderr


def test_an_open_installation_listens_on_this_machine_only(tmp_path: Path) -> None:
    """Another host needs a closed installation or an explicit flag."""
    done = flowmesh("dev", "--host", "0.0.0.0", folder=tmp_path)
    assert done.returncode == 1
    assert "--auth closed" in done.stderr
    assert "--open-to-network" in done.stderr


def test_a_key_file_is_made_once_and_readable_by_its_owner(tmp_path: Path) -> None:
    """A second `init` changes nothing; `token` prints another token for the same file."""
    made = flowmesh("identity", "init", "--key-file", "key", "--json", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    keys = read_key_file(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    again = flowmesh("identity", "init", "--key-file", "key", folder=tmp_path)
    assert again.returncode != 0
    assert "exists" in again.stderr
    token = flowmesh("identity", "token", "--key-file", "key", "--json", folder=tmp_path)
    for done in (made, token):
        assert is_bootstrap_token(json.loads(done.stdout)["token"], keys.bootstrap, 0)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message says how to mend it."""
    flowmesh("identity", "init", "--key-file", "key", folder=tmp_path)
    (tmp_path / "key").chmod(0o644)
    done = flowmesh("cluster", "--key-file", "key", folder=tmp_path)
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
