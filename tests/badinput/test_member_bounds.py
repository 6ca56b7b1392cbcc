"""Bounds of members, as numbers: the reader and the schema for editors accept both ends."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.badinput.test_definitions import RIGHT
from tests.badinput.test_editor_schemas import accepted, refused_by_schema

DELAY_MS, TIMEOUT_MS, RETRY_MS = 31_622_400_000, 2_592_000_000, 604_800_000
RETRY = {"maxAttempts": (1, 1_000), "multiplier": (1, 100), "jitter": (0, 1)}
POLICY = {
    "maxAttempts": (1, 1_000),
    "initialDelay": (0, RETRY_MS),
    "backoffMultiplier": (1, 100),
    "maxDelay": (0, RETRY_MS),
    "jitter": (0, 1),
}
RETRIER = {
    "IntervalSeconds": (1, 604_800),
    "MaxAttempts": (0, 1_000),
    "BackoffRate": (1, 100),
    "MaxDelaySeconds": (1, 604_800),
}
# Of each document, below a path: the least and the most of each number.
NUMBERS: dict[tuple[str, str], dict[str, tuple[int, int]]] = {
    ("charge", "spec.retry"): RETRY,
    ("find", "spec.db"): {"maxRows": (1, 10_000)},
    ("compute", "spec.python.limits"): {
        "memoryMiB": (1, 65_536),
        "cpuSeconds": (1, 3_600),
        "outputBytes": (1, 4_194_304),
    },
    ("everything", "spec"): {"parallelism": (0, 10_000)},
    ("everything", "spec.triggers.0.cron"): {"catchUpMax": (1, 1_000)},
    ("everything", "spec.limits"): {
        "concurrency": (0, 1_000_000),
        "rate": (0, 1_000_000),
        "burst": (0, 1_000_000),
        "retries": (0, 100),
    },
    ("everything", "spec.start"): {"concurrency": (1, 1_000_000)},
    ("everything", "spec.tasks.1.retry"): {"maxAttempts": (1, 1_000)},
    ("everything", "spec.tasks.1.limits"): {"concurrency": (0, 1_000_000), "rate": (0, 1_000_000)},
    ("everything", "spec.tasks.3.map"): {"concurrency": (1, 10_000)},
    ("everything", "spec.tasks.6.loop"): {"rounds": (1, 100_000)},
    ("everything-in-steps", ""): {"maxConcurrency": (0, 10_000), "timeout": (1, TIMEOUT_MS)},
    ("everything-in-steps", "steps.0"): {"timeout": (1, TIMEOUT_MS)},
    ("everything-in-steps", "steps.0.retryPolicy"): POLICY,
    ("everything-in-steps", "steps.1.params"): {"duration": (0, DELAY_MS)},
    ("everything-drawn", ""): {"maxConcurrency": (0, 10_000), "timeout": (1, TIMEOUT_MS)},
    ("everything-drawn", "nodes.1.data"): {"timeout": (1, TIMEOUT_MS)},
    ("everything-drawn", "nodes.1.data.retryPolicy"): POLICY,
    ("everything-drawn", "edges.2"): {"priority": (-1_000_000_000, 1_000_000_000)},
    ("everything-stated", ""): {"TimeoutSeconds": (1, 2_592_000)},
    ("everything-stated", "States.Call.Retry.0"): RETRIER,
    ("everything-stated", "States.Wait"): {"Seconds": (0, 31_622_400)},
    ("everything-stated", "States.Each"): {"MaxConcurrency": (0, 10_000)},
    ("everything-served", "use.errors.broken"): {"status": (100, 599)},
    ("everything-served", "use.retries.often.limit.attempt"): {"count": (0, 1_000)},
    ("everything-served", "do.9.raises.raise.error"): {"status": (100, 599)},
}


def url(size: int) -> str:
    return "http://a/".ljust(size, "x")


def text(size: int) -> str:
    return "x" * size


def classes(size: int) -> list[str]:
    return ["Timeout"] * size


def labels(size: int) -> dict[str, str]:
    return {f"k{number}": "v" for number in range(size)}


# The largest size of texts, lists and objects, and what makes one.
SIZES: list[tuple[str, str, int, Callable[[int], Any]]] = [
    ("charge", "metadata.name", 128, text),
    ("charge", "metadata.labels", 64, labels),
    ("charge", "metadata.labels.team", 256, text),
    ("charge", "spec.description", 65_536, text),
    ("charge", "spec.http.url", 8_192, url),
    ("charge", "spec.queue", 128, text),
    ("charge", "spec.retry.retryOn", 32, classes),
    ("charge", "spec.retry.retryOn.0", 128, text),
    ("everything", "spec.tasks.1.name", 512, text),
    ("everything-in-steps", "id", 128, text),
    ("everything-in-steps", "name", 512, text),
    ("everything-in-steps", "labels", 64, labels),
    ("everything-in-steps", "steps.0.retryPolicy.retryOn", 32, classes),
    ("everything-in-steps", "steps.5.params.url", 8_192, url),
    ("everything-drawn", "nodes.1.name", 512, text),
    ("everything-drawn", "nodes.1.data.url", 8_192, url),
]


def document_of(name: str) -> Any:
    def name_of(each: Any) -> str:
        about = each.get("document") or each.get("metadata") or {}
        return str(each.get("id") or each.get("Name") or about["name"])

    return next(each for each in RIGHT if name_of(each) == name)


def replaced(document: Any, path: str, value: Any) -> Any:
    """Return the document with another value at a path."""
    found = copy.deepcopy(document)
    keys = [int(key) if key.isdecimal() else key for key in path.split(".")]
    around = found
    for key in keys[:-1]:
        around = around[key]
    around[keys[-1]] = value
    return found


@pytest.mark.parametrize(
    ("name", "path", "least", "most"),
    [
        (name, f"{path}.{key}".removeprefix("."), least, most)
        for (name, path), bounds in NUMBERS.items()
        for key, (least, most) in bounds.items()
    ],
)
def test_a_number_is_accepted_from_its_least_to_its_most(
    name: str, path: str, least: int, most: int
) -> None:
    """And one beyond is refused at its member, by the reader and by the schema."""
    document = document_of(name)
    tried = {value: replaced(document, path, value) for value in (least - 1, least, most, most + 1)}
    wanted = {least - 1: False, least: True, most: True, most + 1: False}
    assert {value: accepted(each) for value, each in tried.items()} == wanted
    assert {value: not refused_by_schema(each) for value, each in tried.items()} == wanted


@pytest.mark.parametrize(("name", "path", "most", "made"), SIZES)
def test_a_size_is_accepted_up_to_its_most(
    name: str, path: str, most: int, made: Callable[[int], Any]
) -> None:
    """And one more is refused, by the reader and by the schema."""
    document = document_of(name)
    right, wrong = (replaced(document, path, made(size)) for size in (most, most + 1))
    assert (accepted(right), accepted(wrong)) == (True, False)
    assert (not refused_by_schema(right), not refused_by_schema(wrong)) == (True, False)


@pytest.mark.parametrize(
    ("name", "path", "empty"),
    [
        ("everything-served", "schedule", {}),
        ("everything-served", "schedule.on", {}),
        ("everything-served", "do", []),
        ("everything-stated", "States", {}),
        ("everything-stated", "States.Which.Choices", []),
        ("everything-stated", "States.Beside.Branches", []),
        ("everything-stated", "States.Call.Retry.0.ErrorEquals", []),
        ("everything-in-steps", "steps", []),
        ("everything-drawn", "nodes", []),
        ("everything", "spec.tasks", []),
    ],
)
def test_an_empty_member_is_refused(name: str, path: str, empty: Any) -> None:
    """Members that need an entry: the reader and the schema agree, also about one entry."""
    document = document_of(name)
    wrong = replaced(document, path, empty)
    assert not accepted(wrong)
    assert refused_by_schema(wrong)


@pytest.mark.parametrize(
    "schedule",
    [
        {"cron": "0 2 * * *"},
        {"every": {"minutes": 5}},
        {"on": {"one": {"with": {"type": "order.paid"}}}},
        {"on": {"any": [{"with": {"source": "/shop"}}]}},
    ],
)
def test_one_member_of_a_schedule_is_enough(schedule: Any) -> None:
    """Of its kinds, and of the attributes of an event."""
    document = replaced(document_of("everything-served"), "schedule", schedule)
    assert accepted(document)
    assert refused_by_schema(document) == []
