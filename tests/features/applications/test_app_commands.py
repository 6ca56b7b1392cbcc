"""Commands of applications that act: run with --watch, run-pipeline, lint; imported passwords."""

import asyncio
import json
import os
import sys
from pathlib import Path

import bcrypt
import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.offline.calling import pipeline_run
from flowmesh.apps.offline.checking import check, silent_log
from flowmesh.apps.offline.linting import advice
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.runtime.reloading import Reloading
from flowmesh.errors import NotFound
from tests.features.applications.test_app_messages import WEB, app
from tests.features.apps import RunningApp, eventually, running, written

APP = """\
name: watched
modules:
  - name: web
    type: http.server
    config: {address: ":0"}
workflows:
  http:
    routes:
      - {method: GET, path: /a, response: {statusCode: 200, body: "one"}}
"""


@pytest.mark.long
@pytest.mark.feature("S1-06")
async def test_a_changed_file_takes_over_without_a_refused_request(tmp_path: Path) -> None:
    """Twenty reloads under requests: all are answered; a broken file changes nothing."""
    import aiohttp

    path = written(tmp_path, APP)

    def make() -> Application:
        document = load(path, Loading(environment={}, required=True))
        return Application(document, log=silent_log("watched"))

    said: list[str] = []
    first = make()
    await first.start()
    made = Reloading(first, make, said.append)
    watching = asyncio.create_task(made.watch())
    address = next(iter(first.addresses.values()))
    answers: list[int] = []
    bodies: set[str] = set()
    stopping = asyncio.Event()

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            while not stopping.is_set():
                async with session.get(f"http://{address}/a") as answer:
                    answers.append(answer.status)
                    bodies.add(await answer.text())

    asking = [asyncio.create_task(ask()) for _ in range(2)]
    for _ in range(20):
        assert await made.reload()
    path.write_text(APP.replace("/a", "a"))

    async def refused() -> bool:
        return any("old configuration stays" in each for each in said)

    assert await eventually(refused)
    path.write_text(APP.replace("one", "two"))

    async def changed() -> bool:
        return "two" in bodies

    assert await eventually(changed)
    stopping.set()
    await asyncio.gather(*asking)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert next(iter(made.application.addresses.values())) == address
    await made.application.stop()
    assert set(answers) == {200}


@pytest.mark.long
@pytest.mark.feature("S1-09")
async def test_files_are_validated_and_inspected_without_a_server(tmp_path: Path) -> None:
    """`app validate` judges a file by its exit code; `app inspect` shows what it would build."""
    path = written(tmp_path, APP)

    async def flowmesh(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flowmesh.suite", "app", *words, str(path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "FLOWMESH_ADDRESS": "127.0.0.1:1"},
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    assert (await flowmesh("validate"))[0] == 0
    code, text = await flowmesh("inspect", "--json")
    found = json.loads(text)
    assert code == 0
    assert {each["type"] for each in found["modules"]} == {"http.server"}
    assert [(each["method"], each["path"]) for each in found["routes"]] == [("GET", "/a")]
    code, text = await flowmesh("inspect", "--view", "routes")
    assert (code, "/a" in text) == (0, True)
    path.write_text(APP.replace("http.server", "http.servant"))
    code, text = await flowmesh("validate")
    assert (code, "http.servant" in text) == (1, True)
    assert (await flowmesh("inspect"))[0] == 1


@pytest.mark.feature("S1-09")
async def test_a_pipeline_runs_once_without_servers(tmp_path: Path) -> None:
    """The result is printed, a failure has its step, an unknown name lists those that exist."""
    show = {"steps": [{"name": "s", "type": "step.set", "config": {"values": {"v": "{{ .n }}"}}}]}
    fails = {
        "steps": [{"name": "c", "type": "step.validate", "config": {"required_fields": ["x"]}}]
    }
    path = written(tmp_path, app(pipelines={"show": show, "fails": fails}))
    how = Loading(environment={}, required=True)
    assert (await pipeline_run(path, how, name="show", data={"n": 3}))["v"] == 3
    with pytest.raises(HttpProblem) as failed:
        await pipeline_run(path, how, name="fails", data={})
    assert failed.value.step == "c"
    with pytest.raises(NotFound, match="save"):
        await pipeline_run(path, how, name="none", data={})


@pytest.mark.feature("S1-09")
def test_advice_names_likely_mistakes_with_their_lines(tmp_path: Path) -> None:
    """An unused component, a secret in the file, an unchecked write, and state in memory."""
    text = """\
name: advised
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: db, type: database.workflow, config: {driver: sqlite, dsn: a.db}}
  - {name: lost, type: data.transformer, config: {pipelines: {}}}
  - {name: other, type: data.transformer, config: {pipelines: {}}}
  - {name: jwt, type: auth.jwt, config: {secret: 0123456789abcdef0123456789abcdef}}
  - {name: things, type: api.handler}
workflows:
  http:
    routes:
      - {method: GET, path: /other, handler: other}
      - method: POST
        path: /a
        pipeline:
          - name: w
            type: step.db_exec
            config: {database: db, query: "INSERT INTO t (a) VALUES (?)", params: ["{{ .a }}"]}
"""
    checked = check(written(tmp_path, text), Loading(environment={}))
    assert checked.valid, checked.problems
    found = {(each.line, each.message.partition(" ")[0]) for each in advice(checked)}
    assert found == {(5, "nothing"), (7, "secret"), (8, "things"), (13, "POST")}


@pytest.mark.feature("S1-26", "S1-28")
async def test_a_user_with_a_hash_of_another_system_logs_in(tmp_path: Path) -> None:
    """A seed has hashes of bcrypt; the right password logs in, another does not."""
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    seed = [{"id": "u1", "data": {"email": "a@b.example", "passwordHash": hashed}}]
    (tmp_path / "users.json").write_text(json.dumps(seed))
    jwt = {
        "name": "jwt",
        "type": "auth.jwt",
        "config": {"secret": "x" * 32, "seedFile": "users.json"},
    }
    routes = [{"method": "POST", "path": "/auth/login", "handler": "jwt"}]
    text = json.dumps(
        {"name": "u", "modules": [WEB, jwt], "workflows": {"http": {"routes": routes}}}
    )
    async with running(written(tmp_path, text)) as found:
        assert await status(found, "correct horse") == 200
        assert await status(found, "wrong horse") == 401


async def status(found: RunningApp, password: str) -> int:
    body = {"email": "a@b.example", "password": password}
    return (await found.call("POST", "/auth/login", body)).status
