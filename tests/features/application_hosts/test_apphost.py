"""Hosted applications: releases, takeover, rollback, limits, logs, and crashes of all parts."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite

PATIENCE_S = 30.0


def document(answer: str, *, port: int = 0, more: str = "") -> str:
    """Return an application that answers GET /word with a text."""
    return f"""\
name: words
modules:
- {{name: web, type: http.server, config: {{address: ":{port}"}}}}
- {{name: routes, type: http.router}}
- name: word
  type: http.handler
  config: {{path: /word, method: GET, contentType: text/plain, body: '{answer}'}}
{more}"""


class Host:
    """Calls about the applications of one namespace."""

    def __init__(self, suite: Suite, namespace: str) -> None:
        self.suite = suite
        self._headers = {"Flowmesh-Namespace": namespace}

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        return await self.suite.request(method, f"/api/v1/apps{path}", body, headers=self._headers)

    async def deploy(self, app: str, text: str, **more: Any) -> Response:
        return await self.call("POST", f"/{app}:deploy", {"document": text, **more})

    async def app(self, app: str) -> Any:
        answer = await self.call("GET", f"/{app}")
        assert answer.status == 200, answer.text
        return answer.json

    async def word(self, app: str) -> str:
        """Return the answer of an application of `document`."""
        address = (await self.app(app))["addresses"]["web"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}/word") as answer,
        ):
            return await answer.text()


@pytest.fixture
def host(suite: Suite, request: pytest.FixtureRequest) -> Host:
    """The host, with a namespace of this test."""
    return Host(suite, "".join(c if c.isalnum() else "-" for c in request.node.name)[:60])


@pytest.mark.long
@pytest.mark.feature("S1-114")
async def test_a_release_takes_over_and_back(host: Host) -> None:
    """A new release keeps the address; a rollback restores the one before."""
    first = await host.deploy("words", document("one"))
    assert (first.status, first.json["state"]) == (201, "serving"), first.text
    address = (await host.app("words"))["addresses"]["web"]
    assert await host.word("words") == "one"
    second = await host.deploy("words", document("two"))
    assert (second.status, second.json["release"]) == (201, 2), second.text
    assert await host.word("words") == "two"
    again = await host.deploy("words", document("two"))
    assert (again.status, again.json["release"]) == (200, 2)
    back = await host.call("POST", "/words:rollback", {})
    assert (back.status, back.json["release"]) == (200, 1), back.text
    assert await host.word("words") == "one"
    app = await host.app("words")
    assert (app["addresses"]["web"], app["release"], app["newestRelease"]) == (address, 1, 2)
    listed = (await host.call("GET", "/words/releases")).json["releases"]
    assert [(each["release"], each["state"]) for each in listed] == [
        (2, "replaced"),
        (1, "serving"),
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modules: [{name: a, type: http.sever}]", "http.sever"),
        ("modules: [", "YAML"),
        (document("${MISSING}"), "MISSING"),
        (
            document(
                "x", more="- {name: db, type: database.workflow, config: {driver: sqlite, dsn: /x}}"
            ),
            "outside",
        ),
        (document("x", port=80), "1024"),
        (
            document(
                "x",
                more="- {name: db, type: database.workflow, config: {driver: postgres,"
                " dsn: 'postgresql://u:p@127.0.0.1:1/x'}}",
            ),
            "db",
        ),
    ],
    ids=["type", "yaml", "environment", "path", "port", "start"],
)
async def test_a_broken_release_never_serves(host: Host, text: str, problem: str) -> None:
    """The release before it serves on, and the refusal names the cause."""
    await host.deploy("words", document("good"))
    refused = await host.deploy("words", text)
    assert refused.status == 409, refused.text
    error = refused.json["error"]
    assert error["reason"] == "RELEASE_REFUSED"
    assert problem in error["message"]
    assert await host.word("words") == "good"
    newest = (await host.call("GET", "/words/releases")).json["releases"][0]
    assert (newest["release"], newest["state"]) == (2, "refused")
    assert problem in newest["problem"]


@pytest.mark.long
async def test_a_refused_first_release_leaves_a_stopped_application(host: Host) -> None:
    """The next release that is whole serves."""
    assert (await host.deploy("words", "modules: 1")).status == 409
    app = await host.app("words")
    assert (app["state"], app["release"]) == ("stopped", 0)
    assert app["problem"]
    assert (await host.deploy("words", document("whole"))).status == 201
    assert await host.word("words") == "whole"


@pytest.mark.long
@pytest.mark.feature("S1-06")
async def test_applications_are_isolated(host: Host) -> None:
    """Each has a process, data and an environment of its own; the end of one is its own."""
    await host.deploy("one", document("${NAME}"), environment={"NAME": "first"})
    await host.deploy("two", document("${NAME}"), environment={"NAME": "second"})
    assert (await host.word("one"), await host.word("two")) == ("first", "second")
    pids = {name: await pid_of(host, name) for name in ("one", "two")}
    assert len({*pids.values(), host.suite.pid}) == 3
    os.kill(pids["one"], signal.SIGKILL)

    async def restarted() -> bool:
        app = await host.app("one")
        return bool(app["state"] == "running" and app["restarts"] == 1)

    await until("a restarted application", restarted, within_s=PATIENCE_S)
    assert await host.word("one") == "first"
    assert await pid_of(host, "two") == pids["two"]
    releases = (await host.call("GET", "/one/releases")).text
    assert "NAME" in releases
    assert "first" not in releases


async def pid_of(host: Host, app: str) -> int:
    """Return the process that the log names last."""
    records = (await host.call("GET", f"/{app}/logs?text=serves+as+process")).json["records"]
    return int(records[-1]["message"].rpartition(" ")[2])


@pytest.mark.long
@pytest.mark.feature("S1-06", "S1-114")
async def test_an_application_stops_and_starts(host: Host) -> None:
    """Stopped, it has no process and no socket; started, it has its data."""
    text = document(
        "x",
        more="""\
- {name: db, type: database.workflow, config: {driver: sqlite, dsn: notes.db,
   migrations: ["create table notes (text text)"]}}
- name: notes
  type: api.command
  config:
    routes:
    - method: POST
      path: /notes
      steps:
      - {name: add, type: step.db_exec, config: {database: db,
         query: "insert into notes values ('kept')"}}
      - {name: count, type: step.db_query, config: {database: db, mode: single,
         query: "select count(*) as n from notes"}}
      - {name: done, type: step.json_response, config: {body_from: steps.count.row}}
""",
    )
    deployed = await host.deploy("words", text)
    assert deployed.status == 201, deployed.text
    assert await post_note(host) == {"n": 1}
    address = (await host.app("words"))["addresses"]["web"]
    stopped = await host.call("POST", "/words:stop")
    assert stopped.json["state"] == "stopped"
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/word"):
            pass
    assert (await host.call("POST", "/words:start")).json["state"] == "running"
    assert await post_note(host) == {"n": 2}
    assert (await host.deploy("words", text + "\n")).status == 201
    assert await post_note(host) == {"n": 3}


async def post_note(host: Host) -> Any:
    address = (await host.app("words"))["addresses"]["web"]
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{address}/notes") as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_wrong_calls_are_refused(host: Host) -> None:
    """Each with its reason; nothing is stored."""
    cases = [
        ("GET", "/none", None, 404, "APP_NOT_FOUND"),
        ("POST", "/none:stop", None, 404, "APP_NOT_FOUND"),
        ("POST", "/none:rollback", {}, 404, "APP_NOT_FOUND"),
        ("DELETE", "/none", None, 404, "APP_NOT_FOUND"),
        ("GET", "/none/logs", None, 404, "APP_NOT_FOUND"),
        ("GET", "/none/logs?limit=1001", None, 400, "REQUEST_INVALID"),
        ("POST", "/Upper:deploy", {"document": "modules: []"}, 400, "APP_INVALID"),
        ("POST", "/a:deploy", {"document": ""}, 400, "APP_INVALID"),
        (
            "POST",
            "/a:deploy",
            {"document": "x", "files": {"../x": {"text": ""}}},
            400,
            "APP_INVALID",
        ),
        ("POST", "/a:deploy", {"document": "x", "files": {"x": {}}}, 400, "REQUEST_INVALID"),
        ("POST", "/a:deploy", {"document": "x", "environment": {"a b": ""}}, 400, "APP_INVALID"),
    ]
    for method, path, body, status, reason in cases:
        answer = await host.call(method, path, body)
        found = (answer.status, answer.json["error"]["reason"])
        assert found == (status, reason), (path, answer.text)
    assert (await host.call("GET", "")).json == {"apps": []}
    await host.deploy("words", document("one"))
    for release in (7, 2**31 - 1):
        answer = await host.call("POST", "/words:rollback", {"release": release})
        assert (answer.status, answer.json["error"]["reason"]) == (404, "RELEASE_NOT_FOUND")


@pytest.mark.long
async def test_a_deleted_application_leaves_nothing(host: Host, suite: Suite) -> None:
    """Neither rows nor files; its name is free."""
    files = {"note.txt": {"text": "hello"}}
    await host.deploy("words", document("one"), files=files)
    folder = Path(suite.data_dir) / "apps"
    assert [*folder.rglob("words/releases/1/note.txt")]
    assert (await host.call("DELETE", "/words")).status == 204
    assert (await host.call("GET", "/words")).status == 404
    assert not [*folder.rglob(f"{host._headers['Flowmesh-Namespace']}/words")]
    assert (await host.deploy("words", document("two"))).json["release"] == 1


@pytest.mark.feature("S1-187")
@pytest.mark.parametrize(
    "releases",
    [pytest.param(3, marks=pytest.mark.long), pytest.param(20, marks=pytest.mark.slow)],
)
async def test_requests_in_flight_survive_takeovers(host: Host, releases: int) -> None:
    """Releases under load: every request is answered by one of them."""
    await host.deploy("words", document("r0"))
    address = (await host.app("words"))["addresses"]["web"]
    load = Load(f"http://{address}/word")
    async with load:
        for number in range(1, releases + 1):
            answer = await host.deploy("words", document(f"r{number}"))
            assert answer.status == 201, answer.text
            await load.answered(f"r{number}")
    assert load.failures == []
    assert set(load.words) == {f"r{number}" for number in range(releases + 1)}


class Load:
    """Requests of several clients, half of them on connections that they keep."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url, self._clients = url, clients
        self.words: list[str] = []
        self.failures: list[str] = []
        self._seen: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [
            asyncio.create_task(self._run(keep=number % 2 == 0)) for number in range(self._clients)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answered(self, word: str) -> None:
        """Return when a request got this answer."""
        async with asyncio.timeout(PATIENCE_S):
            await self._seen.setdefault(word, asyncio.Event()).wait()

    async def _run(self, *, keep: bool) -> None:
        connector = aiohttp.TCPConnector(force_close=not keep)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with session.get(self._url) as answer:
                        text = await answer.text()
                        if answer.status != 200:
                            self.failures.append(text)
                except aiohttp.ClientError as error:
                    self.failures.append(repr(error))
                else:
                    self.words.append(text)
                    self._seen.setdefault(text, asyncio.Event()).set()


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite that a test may kill."""
    async with Suite(tmp_path_factory.mktemp("apphost") / "data") as running:
        yield running


@pytest.mark.long
@pytest.mark.feature("S1-114")
async def test_applications_survive_the_death_of_everything(own: Suite) -> None:
    """After a kill the last good releases serve at their addresses; stopped ones stay stopped."""
    host = Host(own, "default")
    await host.deploy("words", document("one"))
    await host.deploy("words", document("two"))
    await host.deploy("rest", document("idle"))
    await host.call("POST", "/rest:stop")
    address = (await host.app("words"))["addresses"]["web"]
    await own.kill()
    await own.start()

    async def serves() -> bool:
        return bool((await host.app("words"))["state"] == "running")

    await until("the application serves again", serves, within_s=PATIENCE_S)
    assert await host.word("words") == "two"
    assert (await host.app("words"))["addresses"]["web"] == address
    assert (await host.app("rest"))["state"] == "stopped"


@pytest.mark.feature("S1-109")
async def test_module_types_are_forms(suite: Suite) -> None:
    """Each type with its keys, for a builder; an unknown one is named with its neighbours."""
    forms = (await suite.get("/api/v1/module-schemas")).json
    assert len(forms) == 68
    form = (await suite.get("/api/v1/module-schemas/http.server")).json
    assert form == forms["http.server"]
    (address,) = [each for each in form["configFields"] if each["key"] == "address"]
    assert address["defaultValue"] == ":8080"
    assert address["type"] == "string"
    assert form["jsonSchema"]["type"] == "object"
    missing = await suite.get("/api/v1/module-schemas/http.sever")
    assert (missing.status, missing.json["error"]["reason"]) == (404, "MODULE_TYPE_NOT_FOUND")
    assert "http.server" in missing.json["error"]["message"]


@pytest.mark.long
@pytest.mark.feature("S1-105", "S1-109")
async def test_a_document_is_read_checked_and_deployed_again(host: Host) -> None:
    """Files and variables of the present release are kept; an older base is refused."""
    extra = "- {name: signed, type: auth.jwt, config: {secret: '${SECRET}', seedFile: users.json}}"
    text = "# kept\n" + document("one", more=extra)
    files = {"users.json": {"text": "[]"}}
    secret = {"SECRET": "0123456789abcdef0123456789abcdef"}
    first = await host.deploy("words", text, files=files, environment=secret)
    assert first.status == 201, first.text
    source = await host.call("GET", "/words/source")
    assert (source.status, source.text) == (200, text)
    headers = {name.lower(): value for name, value in source.headers.items()}
    assert headers["flowmesh-release"] == "1"
    assert headers["etag"] == f'"{first.json["digest"]}"'
    second = await host.deploy("words", text.replace("one", "two"), baseRelease=1)
    assert (second.status, second.json["files"]) == (201, ["users.json"]), second.text
    assert await host.word("words") == "two"
    late = await host.deploy("words", text.replace("one", "late"), baseRelease=1)
    assert (late.status, late.json["error"]["reason"]) == (409, "ETAG_MISMATCH"), late.text
    assert (await host.call("GET", "/words/source?release=9")).status == 404

    async def found(text: str, app: str = "words", **more: Any) -> list[tuple[Any, ...]]:
        answer = await host.call("POST", f"/{app}:validate", {"document": text, **more})
        assert answer.status == 200, answer.text
        problems = answer.json["problems"]
        assert answer.json["valid"] == all(each["severity"] == "warning" for each in problems)
        return [(e["code"], e.get("line"), e["path"], e["file"]) for e in problems]

    assert await found(text, baseRelease=2) == []
    assert ("ENV_MISSING", 9, "modules[3].config.secret", "app.yaml") in await found(text, "new")
    wrong = text.replace("http.handler", "http.handlr")
    (problem,) = await found(wrong, baseRelease=2)
    assert problem == ("MODULE_TYPE_UNKNOWN", 7, "modules[2].type", "app.yaml")
    (unread,) = await found("modules: [")
    assert unread[1], unread
    assert (await host.app("words"))["newestRelease"] == 2


STORED = "hunter2-very-secret"
ECHOING = {
    "value": (
        "- {name: db, type: database.workflow, config: {driver: sqlite, dsn: a.db,"
        " maxOpenConns: '${PASSWORD}'}}",
        "maxOpenConns must be a number, not '***'",
    ),
    "type": ("- {name: x, type: 'http.${PASSWORD}'}", "unknown module type 'http.***'"),
    "name": (
        "- {name: x, type: http.router, dependsOn: ['${PASSWORD}']}",
        "there is no module '***'",
    ),
    "shortened": (
        "- {name: b, type: messaging.broker}\n- {name: x, type: messaging.handler,"
        " config: {topic: '" + "a" * 45 + " ${PASSWORD}'}}",
        "not '" + "a" * 45 + " ***",
    ),
}


@pytest.mark.long
@pytest.mark.feature("S1-105", "S1-114")
async def test_findings_do_not_show_stored_variables(host: Host) -> None:
    """A document of the caller's choice gets no value of the base release out of the host."""
    given = {"PASSWORD": STORED}
    deployed = await host.deploy("words", document("one"), environment=given)
    assert deployed.status == 201, deployed.text
    for more, expected in ECHOING.values():
        text = document("one", more=more)
        body = {"document": text, "baseRelease": 1}
        checked = await host.call("POST", "/words:validate", body)
        assert expected in checked.text, checked.text
        assert STORED[:9] not in checked.text
        own = await host.call("POST", "/words:validate", {"document": text, "environment": given})
        assert STORED[:9] in own.text, own.text
    for more, expected in ECHOING.values():
        refused = await host.deploy("words", document("one", more=more), baseRelease=1)
        assert refused.status == 409, refused.text
        assert expected in refused.text, refused.text
        releases = await host.call("GET", "/words/releases")
        for answer in (refused, releases, await host.call("GET", "/words/logs")):
            assert STORED[:9] not in answer.text
