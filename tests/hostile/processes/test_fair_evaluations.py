"""Expressions of one tenant in triggers, dry runs and schemas do not keep another one waiting.

Each attack kept a service busy for a minute or more before it was bounded. Unlike those of
`test_fair_processes.py` they need no installation of their own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import pause, until
from tests.features.natives import resource, workflow
from tests.hostile.conftest import Company

# Makes a call, which has a number, and returns status and answer.
Call = Callable[[int], Awaitable[tuple[int, Json]]]


@dataclass(frozen=True)
class Attack:
    """A call, and whether the service has done the costly work of the one with this answer."""

    call: Call
    evaluated: Callable[[Json], Awaitable[bool]]


# The longest call of the victim, on a busy machine.
PATIENCE_S = 10.0
AT_ONCE = 6
# An attack is evaluated, or refused for its cost, its time or the turns that others have.
TAKEN = frozenset({200, 201, 202, 400, 422, 429, 504})
WORDS = ["b"] * 1_000
GROWING = "event.data.l.exists(x, x.matches(r'\\w{50}\\w{50}'))"
# It holds for the first event, after all of the costly part.
HOLDING = f"!{GROWING} && event.data.number == 0"
DOUBLY = "event.data.l.exists(x, event.data.l.exists(y, x.matches(y + '+[01]*1[01]{900}$')))"


def node(task: str, given: Json = None) -> Json:
    return {"id": "only", "taskRef": task, "input": given or {}}


def triggered(name: str, filter: str) -> Json:
    trigger = {"id": "t", "event": {"type": "hostile", "filter": filter}}
    return workflow(name, node("noop"), triggers=[trigger])


def checked(pattern: str) -> Json:
    """A task whose schema has thousands of patterns."""
    parts = [{"pattern": f"{pattern}{number}"} for number in range(4_000)]
    schema = {"type": "object", "properties": {"a": {"anyOf": parts}}}
    return resource("WorkflowTask", "checked", type="noop", inputSchema=schema)


async def accepted(company: Company, path: str, body: Json) -> Json:
    status, answer = await company.rest("POST", path, body)
    assert status < 300, (path, status, answer)
    return answer


async def publish(attacker: Company, number: int) -> tuple[int, Json]:
    data = {"l": [f"{each}{number}" for each in WORDS], "number": number}
    event = {"type": "hostile", "source": "/", "data": data}
    return await attacker.rest("POST", "/api/v1/events", event)


async def filters(attacker: Company) -> Attack:
    for number, filter in enumerate((HOLDING, DOUBLY)):
        source = triggered(f"hostile{number}", filter)
        await accepted(attacker, "/api/v1/workflows", source)

    async def evaluated(_: Json) -> bool:
        _, answer = await attacker.rest("GET", "/api/v1/triggers")
        found = {each["workflow"]: each for each in answer["triggers"]}
        problem = found["hostile1"].get("lastError", "")
        return bool(found["hostile0"]["fired"]) and "FILTER_INVALID" in problem

    return Attack(partial(publish, attacker), evaluated)


async def subscriptions(attacker: Company) -> Attack:
    target = {"webhook": {"url": "https://example.com/x"}}
    body = {"types": ["hostile"], "filter": HOLDING, **target}
    status, answer = await attacker.rest("PUT", "/api/v1/subscriptions/hostile", body)
    assert status < 300, answer

    async def evaluated(_: Json) -> bool:
        _, answer = await attacker.rest("GET", "/api/v1/subscriptions/hostile")
        return any(answer[each] for each in ("pending", "delivered", "dead", "dropped"))

    return Attack(partial(publish, attacker), evaluated)


def answering(call: Call, *texts: str) -> Attack:
    """Return an attack whose answer has one of the texts once it is evaluated."""

    async def evaluated(answer: Json) -> bool:
        return any(text in str(answer) for text in texts)

    return Attack(call, evaluated)


async def dry_runs(attacker: Company) -> Attack:
    case = {
        "name": "t",
        "input": {"l": WORDS},
        "expect": {"check": [GROWING.replace("event.data", "input")] * 5},
    }
    body = {"definition": workflow("dry", node("noop")), "tests": {"tests": [case]}}
    return answering(
        lambda _: attacker.rest("POST", "/api/v1/workflows:test", body),
        "the data is too large for a check",
    )


async def transforms(attacker: Company) -> Attack:
    """The growing transform of the report, in a dry run."""
    grown = [
        {"operation": "window", "size": 900},
        {"operation": "flatten"},
        {"operation": "window", "size": 10},
        {"operation": "flatten"},
        *[{"operation": "shuffle"}, {"operation": "sort"}] * 20,
    ]
    given = {"source": list(range(1_000)), "pipeline": grown}
    await accepted(attacker, "/api/v1/workflows", workflow("grow", node("transform", given)))
    return answering(
        lambda _: attacker.rest("POST", "/api/v1/workflows/grow:dryRun", {}),
        "DEADLINE_EXCEEDED",
        "'status': 'completed'",
    )


async def schemas(attacker: Company) -> Attack:
    patterns = (r"\pL{50}", r"(?:\pL{50}){9}", r"\w{500}")
    return answering(
        lambda number: attacker.rest(
            "POST", "/api/v1/workflows:validate", checked(patterns[number % 3] + str(number))
        ),
        "SCHEMA_TOO_COMPLEX",
    )


ATTACKS = {each.__name__: each for each in (filters, subscriptions, dry_runs, transforms, schemas)}


async def longest(company: Company) -> float:
    """Return the time of the slowest of the calls that need each service."""
    event = {"type": "quiet", "source": "/", "data": {}}
    calls: tuple[tuple[str, str, Json], ...] = (
        ("POST", "/api/v1/events", event),
        ("POST", "/api/v1/workflows:validate", workflow("quiet", node("noop"))),
        ("GET", "/api/v1/workflows", None),
        ("GET", "/api/v1/executions", None),
    )
    taken = []
    for method, path, body in calls:
        begun = time.monotonic()
        status, answer = await company.rest(method, path, body)
        taken.append(time.monotonic() - begun)
        assert status < 300, (path, status, answer)
    return max(taken)


@asynccontextmanager
async def repeated(call: Call) -> AsyncIterator[Counter[int]]:
    """Attack with several calls at a time, each with other texts; count the answers by status."""
    answered: Counter[int] = Counter()

    async def repeat(number: int) -> None:
        while True:
            status, _ = await call(number)
            answered[status] += 1
            number += AT_ONCE

    tasks = [asyncio.create_task(repeat(number)) for number in range(AT_ONCE)]
    try:
        await pause(0.5)
        yield answered
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.long
@pytest.mark.parametrize("kind", ATTACKS)
async def test_another_tenant_is_served(kind: str, attacker: Company, victim: Company) -> None:
    """Its calls are answered in time while another one attacks."""
    attack = await ATTACKS[kind](attacker)
    status, answer = await attack.call(0)
    assert status in TAKEN, answer
    await until(
        f"evaluated: {str(answer)[:500]}", partial(attack.evaluated, answer), within_s=PATIENCE_S
    )
    async with repeated(attack.call) as answered:
        times = [await longest(victim) for _ in range(4)]
    print(f"\n{kind}: the slowest call of the victim took {max(times):.2f} s beside {answered}")
    assert TAKEN.issuperset(answered)
    assert max(times) < PATIENCE_S
