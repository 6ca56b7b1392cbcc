"""Failpoints: nothing while off, the asked action at the asked time while on."""

import re
import signal
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowmesh import failpoints
from flowmesh.failpoints import POINTS, Injected, arm, arm_from, failpoint, parse

ROOT = Path(__file__).resolve().parents[3]
POINT = "orchestrator.committed"
OTHER = "event.stored"
# Measured 0.03 us; the bound leaves room for a machine that others use too.
OFF_US_MAX = 1.0
CALLS = 200_000


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def hits(text: str, times: int) -> list[int]:
    """At which of so many passes of POINT an error is raised."""
    arm(text)
    found = []
    for number in range(1, times + 1):
        try:
            failpoint(POINT)
        except Injected:
            found.append(number)
    return found


def test_the_table_of_points_and_the_code_agree() -> None:
    """Each named point stands in the code once, and no other one does."""
    called = re.compile(r'failpoint\("([a-z_.0-9]+)"\)')
    found = [
        name
        for folder in ("libs", "services")
        for file in (ROOT / folder).rglob("*.py")
        if file.parent.name != "failpoints"
        for name in called.findall(file.read_text())
    ]
    assert sorted(found) == sorted(POINTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (f"{POINT}=error", [1, 2, 3, 4, 5, 6]),
        (f"{POINT}=error@3", [3]),
        (f"{POINT}=error/2", [2, 4, 6]),
        (f"{OTHER}=error", []),
        (f"{OTHER}=error, {POINT}=error@1", [1]),
    ],
)
def test_a_point_breaks_when_it_is_asked_to(text: str, expected: list[int]) -> None:
    """`@n` is the nth time only, `/n` every nth, neither is always, another point is nothing."""
    assert hits(text, 6) == expected


@pytest.mark.parametrize(
    "text", [POINT, "nowhere=error", f"{POINT}=sleep", f"{POINT}=error@0", f"{POINT}=delay:x"]
)
def test_a_wrong_text_is_refused(text: str) -> None:
    """A test that misspells a point must not pass because nothing broke."""
    with pytest.raises(ValueError, match=r"failpoint|action|integer"):
        parse(text)


def test_a_delay_holds_the_process() -> None:
    """`delay:20` takes at least 20 ms."""
    arm(f"{POINT}=delay:20")
    assert timeit.timeit(lambda: failpoint(POINT), number=1) >= 0.02


def test_a_kill_is_a_kill() -> None:
    """The process dies of SIGKILL at the failpoint, without output."""
    code = f"from flowmesh.failpoints import *; arm('{POINT}=kill9@2')\n" + (
        f"failpoint('{POINT}'); print('once', flush=True); failpoint('{POINT}'); print('twice')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "once\n")


def test_a_file_is_used_up_and_tells_what_broke(tmp_path: Path) -> None:
    """A restart after the kill finds no file; the hit is on disk before the action."""
    file = tmp_path / "failpoints"
    arm_from(file)
    file.write_text(f"{POINT}=error@1\n")
    arm_from(file)
    assert not file.exists()
    with pytest.raises(Injected):
        failpoint(POINT)
    assert file.with_name("failpoints.hit").read_text() == f"{POINT}\n"


def test_off_it_costs_next_to_nothing() -> None:
    """One look at a variable: far below a microsecond."""
    assert failpoints._armed is None
    took_s = min(timeit.repeat(lambda: failpoint(POINT), number=CALLS, repeat=3))
    per_call_us = took_s / CALLS * 1e6
    print(f"failpoint while off: {per_call_us:.3f} us")
    assert per_call_us < OFF_US_MAX
