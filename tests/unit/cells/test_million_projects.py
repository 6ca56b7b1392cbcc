"""The size and the speed of a directory of a million projects."""

import time

import pytest

from flowmesh.cells import Home, Projects

pytestmark = pytest.mark.long

MILLION = 1_000_000
BYTES_MAX = 40 * 1024 * 1024
LOOKUP_S = 2e-6


def test_a_million_projects_are_small_and_quickly_found() -> None:
    """At most 40 MB in a process, and 2 µs for a look-up."""
    projects = Projects(bytes(range(16)))
    for number in range(MILLION):
        projects.put(f"project-{number}", Home(number % 16))
    assert projects.bytes_used() < BYTES_MAX
    names = [f"project-{number}" for number in range(0, MILLION, 997)]
    assert min(_time_of(projects, names) for _ in range(20)) < LOOKUP_S
    assert all(projects.get(name) == Home(int(name[8:]) % 16) for name in names)


def _time_of(projects: Projects, names: list[str]) -> float:
    """Return the CPU time of a look-up."""
    began = time.thread_time()
    for name in names:
        projects.get(name)
    return (time.thread_time() - began) / len(names)
