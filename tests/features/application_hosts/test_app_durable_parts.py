"""A delegated pipeline is a part of a step of a durable run: each of its effects happens once."""

import asyncio
from pathlib import Path

import pytest

from flowmesh.apps.data.effects import EFFECT_KEY, step_scope
from flowmesh.apps.wiring.ports import DELEGATE
from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.application_hosts.durable_cases import BODY, COUNT, INSERT, app, route, step
from tests.features.apps import RunningApp, running, written

RUNS_AT_ONCE = 80
"""More than a process runs durably at once."""


@pytest.fixture
def attached(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose address is in the environment."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    return suite


def insert(name: str, suffix: str) -> Json:
    params = [f"{{{{ .item }}}}-{suffix}", "{{ .price }}"]
    return step(name, "db_exec", database="db", query=INSERT, params=params)


INNER: list[Json] = [
    insert("one", "one"),
    insert("two", "two"),
    step(
        "each",
        "foreach",
        items=["a", "b"],
        steps=[insert("add", "{{ .letter }}")],
        **{"as": "letter"},
    ),
    COUNT,
]
FORMS: dict[str, Json] = {
    "plain": {"steps": INNER},
    "in a transaction": {
        "steps": [insert(each, each) for each in ("one", "two", "three", "four")],
        "transaction": True,
    },
    "durable": {"steps": INNER, "durable": True},
}


def text_of(name: str, inner: Json) -> str:
    data = {"item": "{{ .item }}", "price": "{{ .price }}"}
    to = step("to", "delegate", service="inner", operation="run", input=data)
    answer = step("answer", "json_response", body={"done": True})
    pipeline = {"durable": True, "wait": "20s", "steps": [BODY, to, answer]}
    counted = step("answer", "json_response", body={"n": '{{ index .steps.count.rows 0 "n" }}'})
    routes = [route("/orders", pipeline), route("/count", [COUNT, counted], "GET")]
    return app(routes, name, pipelines={"inner": inner})


async def rows(found: RunningApp) -> int:
    answer = await found.call("GET", "/count")
    return int(answer.body["n"])


@pytest.mark.feature("S1-191")
@pytest.mark.parametrize("form", FORMS)
async def test_each_effect_of_a_delegated_pipeline_happens_once(
    tmp_path: Path, attached: Suite, form: str
) -> None:
    """Four inserts of one step are four rows; the step again, as after a crash, adds none."""
    name = f"parts-{form.replace(' ', '-')}"
    async with running(written(tmp_path, text_of(name, FORMS[form]))) as found:
        answer = await found.call("POST", "/orders", {"item": "pen", "price": 1})
        assert answer.status == 200, answer.body
        assert await rows(found) == 4
        delegate = found.application.built.registry.need(DELEGATE, "inner")

        async def again() -> None:
            EFFECT_KEY.set(f"{name}-again")
            await delegate("run", {"item": "cup", "price": 2}, None)

        for _ in range(2):
            await asyncio.create_task(again())
        assert await rows(found) == 8


@pytest.mark.long
@pytest.mark.feature("S1-191")
async def test_durable_runs_that_delegate_to_durable_ones_all_end(
    tmp_path: Path, attached: Suite
) -> None:
    """More at once than have a slot: none waits for a slot that its caller holds."""
    async with running(written(tmp_path, text_of("crowd", FORMS["durable"]))) as found:
        calls = (
            found.call("POST", "/orders", {"item": f"i{number}", "price": number})
            for number in range(RUNS_AT_ONCE)
        )
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*calls)
        assert {each.status for each in answers} == {200}
        assert await rows(found) == 4 * RUNS_AT_ONCE


def test_parts_of_a_step_have_keys_of_their_own() -> None:
    """Equal in every pass, different by the part, and none in an inline run."""
    with step_scope("one"):
        assert EFFECT_KEY.get() == ""
    EFFECT_KEY.set("run/step")
    keys = []
    for name in ("one", "two", "one"):
        with step_scope(name), step_scope("inner"):
            keys.append(EFFECT_KEY.get())
    assert keys[0] == keys[2] != keys[1]
    assert keys[0].isascii()
    assert EFFECT_KEY.get() == "run/step"
    EFFECT_KEY.set("")
