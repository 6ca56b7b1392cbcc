"""The second run of tests that failed: alone, few, and reported behind the first."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy import sources

BUSY = """
from pathlib import Path

def test_that_fails_beside_others():
    "It passes the second time."
    first = not Path("ran").exists()
    Path("ran").touch()
    assert not first
"""
BROKEN = "def test_that_fails(): assert False\n"
FINE = "def test_that_passes(): assert True\n"


def run(folder: Path, limit: int, **files: str) -> tuple[int, str]:
    """Run tests of these files with a second run of at most so many."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tools.alone", "--junitxml=it.xml"],
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(sources.ROOT), "TESTS_ALONE": str(limit)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def test_a_test_that_passes_alone_does_not_fail_the_run(tmp_path: Path) -> None:
    """It is named, and the second report is read after the first."""
    returned, shown = run(tmp_path, 1, busy=BUSY, fine=FINE)
    assert returned == 0
    assert "once more, alone: 1 failed tests\n  test_busy.py::test_that_fails" in shown
    assert "1 passed in" in shown
    assert sorted(each.name for each in tmp_path.glob("*.xml")) == ["it.xml", "it_alone.xml"]
    assert 'failures="0"' in (tmp_path / "it_alone.xml").read_text()


@pytest.mark.parametrize("limit", [1, 2])
def test_what_fails_again_or_is_too_much_fails_the_run(tmp_path: Path, limit: int) -> None:
    """Two failures are more than one allows, and one of the two is a fault."""
    returned, shown = run(tmp_path, limit, busy=BUSY, broken=BROKEN)
    assert returned == 1
    assert ("once more, alone" in shown) == (limit == 2)
