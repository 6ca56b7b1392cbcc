"""Hostile code and hostile values in workflows that are well-formed."""

import json
import time

import pytest

from flowmesh.testing.polling import allowed_s
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.steps import http, step, workflow

PROMPTLY_S = 3.0
# What takes memory is to come to its limit before it is out of time, on a slow machine too.
LIMITS_MS = {"loop": 2_000, "memory": 20_000, "deep": 20_000}


@pytest.mark.feature("S3-36")
async def test_hostile_code_does_not_stop_other_work(suite: Suite, world: World) -> None:
    """One step loops for ever, one takes all memory; others finish meanwhile, then both fail."""
    code = {
        "loop": "while (true) {}",
        "memory": "const a = []; while (true) a.push(new Array(100000).fill(a.length))",
        "deep": "const f = () => f() + 1; return f()",
    }
    hostile = {
        name: await suite.begin(
            await suite.define(
                workflow(step(name, "transform", {"code": text}, timeout=LIMITS_MS[name]))
            )
        )
        for name, text in code.items()
    }
    honest = await suite.define(
        workflow(
            http(world, "call"),
            step("double", "transform", {"code": "return context.n * 2"}, "call"),
        )
    )
    started = time.monotonic()
    ids = [await suite.begin(honest, {"n": number}) for number in range(20)]
    for number, execution_id in enumerate(ids):
        ended = await suite.wait(execution_id)
        assert ended["stepResults"]["double"]["result"] == number * 2
    assert time.monotonic() - started < allowed_s(PROMPTLY_S)

    classes = {}
    for name, execution_id in hostile.items():
        ended = await suite.wait(execution_id)
        assert ended["status"] == "failed"
        classes[name] = ended["stepResults"][name]["error"]["class"]
    assert classes == {"loop": "Timeout", "memory": "ResourceLimit", "deep": "RangeError"}
    assert (await suite.run(workflow(http(world, "call"))))["status"] == "completed"


async def test_hostile_values_stay_values(suite: Suite, world: World) -> None:
    """Templates, prototypes and code in data are passed on as they are."""
    context = {
        "__proto__": {"polluted": True},
        "constructor": {"prototype": 1},
        "text": "{{input.secret}} ${7*7} '; drop table executions; --",
        "a.b": {"": [None, 2**53 + 1, -0.0, "\u2028\U0001f600"]},
    }
    execution = await suite.run(workflow(http(world, "call")), context)
    assert execution["status"] == "completed"
    assert world.calls("call")[0].json == context
    assert {key: execution["context"][key] for key in context} == context
    assert json.dumps(execution["context"]["a.b"]) == json.dumps(context["a.b"])
