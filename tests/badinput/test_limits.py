"""Every limit of the table: reached, passed by one, passed a hundred times."""

import math
from pathlib import Path

import psutil
import pytest

from flowmesh.errors import REASONS
from tests.badinput import probes_calls, probes_definitions, probes_processes
from tests.badinput.bench import Bench
from tests.badinput.elsewhere import ELSEWHERE
from tools.pages.limits import Limit, limits

LIMITS = limits()
ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
PROBES = probes_calls.PROBES | probes_definitions.PROBES | probes_processes.PROBES
# Whoever asks for a hundred times as much may pass a wider limit around it first.
WIDER = {
    "BODY_TOO_LARGE",
    "PAYLOAD_TOO_LARGE",
    "RESOURCE_EXHAUSTED",
    "RangeError",
    "DEFINITION_INVALID",
    "HEADER_INVALID",
}
GROWTH_MIB_MAX = 400


def named(limit: Limit) -> str:
    return limit.what.replace(" ", "-")


SLOW = {
    "CPU of JavaScript",
    "items of a map",
    "dependencies of a workflow",
    "subschemas",
    "signals of an execution",
}
TRIED = [
    pytest.param(each, marks=[pytest.mark.slow] if each.what in SLOW else [])
    for each in LIMITS
    if each.what in PROBES
]


@pytest.mark.long
@pytest.mark.parametrize("limit", TRIED, ids=named)
async def test_a_limit_is_enforced_at_its_documented_value(bench: Bench, limit: Limit) -> None:
    """Accepted, refused with its reason, refused however far beyond; the memory comes back."""
    probe, value = PROBES[limit.what], math.floor(limit.value)
    reason = limit.reason or "RESOURCE_EXHAUSTED"
    process = psutil.Process(bench.suite.pid)
    before = process.memory_info().rss
    assert await probe(bench, value) == ""
    assert await probe(bench, value + 1) == reason
    assert await probe(bench, value * 100) in {reason} | WIDER
    assert process.memory_info().rss - before < GROWTH_MIB_MAX * MIB


def test_every_limit_is_tried() -> None:
    """By a probe here, or by the test that is named."""
    assert set(PROBES) | set(ELSEWHERE) == {each.what for each in LIMITS}
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text()


def test_every_reason_is_known() -> None:
    """A refusal's reason is one of the errors page, a failing step's a class."""
    reasons = {each.reason for each in LIMITS if each.reason.isupper()}
    assert reasons <= set(REASONS)
