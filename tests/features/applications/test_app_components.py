"""Dynamic components of applications: contracts, limits, reloads, and their API."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.apps.wiring.ports import COMPONENT
from flowmesh.contract.json_value import Json
from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.apps import RunningApp, eventually, running, written

pytestmark = pytest.mark.long


COUNTER = """
count = 0

def execute(params):
    global count
    count += 1
    return {"count": count, "twice": params["n"] * 2}

CONTRACT = {
    "required_inputs": {"n": {"type": "int"}},
    "optional_inputs": {"unit": {"type": "string", "default": "cm"}},
    "outputs": {"count": "int", "twice": "int"},
}
"""


@pytest.fixture(scope="module")
async def components(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApp]:
    folder = tmp_path_factory.mktemp("components")
    (folder / "counter.py").write_text(COUNTER)
    bad = {
        "loop": "def execute(params):\n    while True:\n        pass\n",
        "memory": "def execute(params):\n    return {'x': len('x' * (1 << 33))}\n",
        "deep": "def execute(params):\n    return execute(params)\n",
        "walk": (
            "def execute(params):\n"
            "    kinds = type.mro(type(params))[-1]\n"
            "    return {'n': len(getattr(kinds, '__sub' + 'classes__')())}\n"
        ),
        "print": "def execute(params):\n    print('x' * (1 << 24))\n    return {}\n",
        "exit": "def execute(params):\n    raise SystemExit\n",
        "list": "def execute(params):\n    return [1]\n",
        "net": (
            "def execute(params):\n"
            "    found = [c for c in getattr(object, '__sub' + 'classes__')() "
            "if c.__name__ == 'FileIO']\n"
            "    return {'x': found[0]('/etc/passwd').read().decode()}\n"
        ).replace("c.__name__", "getattr(c, '__na' + 'me__')"),
        "asks": "def execute(params):\n    return {'x': host.secret('a')}\n",
        "keeps": "def execute(params):\n    host.set('a', 1)\n    return {'x': host.get('a')}\n",
    }
    modules: list[Json] = [
        {
            "name": name,
            "type": "dynamic.component",
            "config": {"source": source, "limits": {"timeout": "1s", "memory": "64MiB"}},
        }
        for name, source in bad.items()
    ]
    modules[-1]["config"]["capabilities"] = ["kv"]
    modules += [
        {"name": "counter", "type": "dynamic.component", "config": {"source": "counter.py"}},
        {"name": "users", "type": "auth.user-store"},
        {"name": "jwt", "type": "auth.jwt", "config": {"secret": "x" * 32}},
        {"name": "auth", "type": "http.middleware.auth"},
        {"name": "api", "type": "dynamic.component", "config": {"api": "auth"}},
    ]
    routes = [
        *(delegate(f"/{each}", each) for each in (*bad, "counter")),
        {"method": "POST", "path": "/auth/register", "handler": "jwt"},
    ]
    async with running(written(folder, app_of(*modules, routes=routes))) as found:
        yield found


@pytest.mark.feature("S1-82", "S1-127", "S1-129")
async def test_a_component_keeps_state_and_its_contract(components: RunningApp) -> None:
    """Inputs are checked all at once, defaults are added, and the process lives on."""
    first = (await components.call("POST", "/counter", {"n": 4})).body
    second = (await components.call("POST", "/counter", {"n": 5})).body
    assert (first["twice"], second["twice"], second["count"] - first["count"]) == (8, 10, 1)
    wrong = await components.call("POST", "/counter", {"n": "x", "unit": 1})
    assert wrong.status == 422
    assert {each["field"] for each in wrong.body["violations"]} == {"n", "unit"}


@pytest.mark.feature("S1-131")
@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("loop", 504, "within 1 s"),
        ("memory", 507, "MemoryError"),
        ("deep", 502, "RecursionError"),
        ("exit", 502, "ended its process"),
        ("list", 502, "object"),
        ("net", 502, "Error"),
        ("asks", 502, "capability secrets:a"),
    ],
)
async def test_a_hostile_component_fails_alone(
    components: RunningApp, name: str, status: int, word: str
) -> None:
    """Its call fails alone; the text of its error is in the log, never in the answer."""
    answer = await components.call("POST", f"/{name}", {"a": 1})
    detail = answer.body["detail"]
    if answer.body["code"] == "COMPONENT_FAILED":
        assert word not in str(answer.body).replace("Bad Gateway", "")
        reference = detail.rpartition(" ")[2]
        detail = components.logged(reference)
    assert (answer.status, word in detail) == (status, True), answer.body
    assert (await components.call("POST", "/counter", {"n": 1})).status == 200


@pytest.mark.feature("S1-131")
async def test_a_component_can_look_and_print_but_not_reach_out(components: RunningApp) -> None:
    """A walk over classes finds nothing to call, printed text is bounded, kv is granted."""
    assert (await components.call("POST", "/walk", {})).status == 200
    assert (await components.call("POST", "/print", {})).body == {}
    assert (await components.call("POST", "/keeps", {})).body == {"x": 1}


@pytest.mark.feature("S1-130", "S1-127")
async def test_a_changed_file_is_loaded_and_a_broken_one_is_not(components: RunningApp) -> None:
    """A new source serves the next calls; a syntax error or narrower contract changes nothing."""
    path = components.application.built.document.folder / "counter.py"

    async def twice(wanted: int) -> bool:
        return bool((await components.call("POST", "/counter", {"n": 2})).body["twice"] == wanted)

    path.write_text(COUNTER.replace("* 2", "* 3"))
    assert await eventually(lambda: twice(6))
    log = components.application.built.log
    path.write_text("def execute(:")
    path.write_text(COUNTER.replace('"twice": "int"', '"twice": "string"'))

    async def refused() -> bool:
        return any("old source stays" in e["message"] for e in log.read(limit=1_000))

    assert await eventually(refused)
    assert await twice(6)
    path.write_text(COUNTER)
    assert await eventually(lambda: twice(4))


@pytest.mark.feature("S1-132", "S1-127", "S1-128")
async def test_the_api_of_components_loads_replaces_and_removes(components: RunningApp) -> None:
    """Under authentication: 201, 409, 422 with lines, a new source, and 204."""
    place = "/api/dynamic/components"
    assert (await components.call("GET", place)).status == 401
    body = {"email": "a@b.example", "password": "correct horse"}
    made = await components.call("POST", "/auth/register", body)
    who = {"Authorization": f"Bearer {made.body['token']}"}
    one = {"id": "fresh", "source": "def execute(params):\n    return {'v': 1}\n"}
    assert (await components.call("POST", place, one, who)).status == 201
    assert (await components.call("POST", place, one, who)).status == 409
    wrong = {"id": "w", "source": "import os\ndef execute(params):\n    return eval('1')\n"}
    refused = await components.call("POST", place, wrong, who)
    assert refused.status == 422
    assert [each["field"] for each in refused.body["violations"]] == ["line 1", "line 3"]
    banned = ("subprocess", "socket", "ctypes", "numpy", "flowmesh.errors", "os.path")
    for number, module in enumerate((*banned, "math", "datetime", "json")):
        source = f"import {module}\ndef execute(params):\n    return {{}}\n"
        load = await components.call("POST", place, {"id": f"i{number}", "source": source}, who)
        assert load.status == (422 if module in banned else 201), module
    put = {"source": "def execute(params):\n    return {'v': 2}\n"}
    assert (await components.call("PUT", f"{place}/fresh", put, who)).status == 200
    component = components.application.built.registry.need(COMPONENT, "fresh")
    assert await component.call("", {}) == {"v": 2}
    listed = (await components.call("GET", place, headers=who)).body["components"]
    assert {"fresh", "counter"} <= {each["id"] for each in listed}
    assert (await components.call("DELETE", f"{place}/fresh", headers=who)).status == 204
    assert (await components.call("DELETE", f"{place}/counter", headers=who)).status == 409
    assert (await components.call("GET", f"{place}/fresh", headers=who)).status == 404
