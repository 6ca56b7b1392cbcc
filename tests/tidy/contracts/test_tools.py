"""What `make` shows while it installs and compiles."""

import subprocess
import sys
from pathlib import Path

from tests.tidy import sources


def install(lock: Path) -> "subprocess.CompletedProcess[str]":
    """As `make setup` installs a lock file."""
    argv = (sys.executable, "-m", "tools.install", "a lock", str(lock))
    return subprocess.run(argv, cwd=sources.ROOT, capture_output=True, text=True, check=False)


def test_an_installation_says_how_far_it_is(tmp_path: Path) -> None:
    """A line when it begins and one when it has ended; nothing of pip while all goes well."""
    lock = tmp_path / "empty.lock"
    lock.write_text("# nothing\n")
    done = install(lock)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "installing a lock"
    assert lines[-1].startswith("installing a lock: done")
    assert done.stdout == ""


def test_a_failed_installation_shows_what_pip_said(tmp_path: Path) -> None:
    """The exit code is that of pip, and its error is there."""
    lock = tmp_path / "wrong.lock"
    lock.write_text("not a package!\n")
    done = install(lock)
    assert done.returncode != 0
    assert "installing a lock: failed" in done.stderr
    assert "Invalid requirement" in done.stderr
