"""Module types of the modular framework in one application; two hosts of a machine."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from redis.asyncio import Redis

from flowmesh.apps.data.locks import RedisLocks
from flowmesh.apps.wiring.ports import MACHINE
from flowmesh.embedded import EmbeddedServers
from flowmesh.testing.polling import pause
from tests.features.apps import SECRET, eventually, running, written

APP = """
name: modular
modules:
- {name: web, type: httpserver.modular, config: {host: 127.0.0.1, port: 0, read_timeout: 5s}}
- {name: api, type: chimux.router, config: {basepath: /api}}
- {name: auth, type: auth.modular, config: {jwt: {secret: %(secret)s, expiration: 1h}}}
- {name: signed-in, type: http.middleware.auth, config: {provider: auth}}
- name: events
  type: eventlogger.modular
  config: {flushInterval: 10ms, eventTypeBlacklist: [com.flowmesh.application.stopped]}
- {name: logs, type: log.collector}
- name: stores
  type: database.modular
  config:
    default: main
    connections:
      main: {driver: sqlite, dsn: main.db, migrations: [CREATE TABLE t (id TEXT)]}
      audit: {driver: sqlite, dsn: audit.db, migrations: [CREATE TABLE a (id TEXT)]}
- name: shape
  type: data.transformer
  config: {pipelines: {named: [{type: map, mappings: {n: name}}]}}
- {name: loaded, type: workflow.registry}
- {name: hello, type: http.handler, config: {body: {hello: "{{ .name }}"}}}
pipelines:
  tidy: {steps: [{name: s, type: step.set, config: {values: {a: 1}}}]}
workflows:
  http:
    router: api
    routes:
    - {method: POST, path: /auth/register, handler: auth}
    - {method: GET, path: "/hello/{name:[a-z]+}", handler: hello}
    - {method: GET, path: /loaded, handler: loaded}
    - {method: GET, path: "/loaded/{name}", handler: loaded}
    - method: GET
      path: /private/{id}
      middlewares: [signed-in]
      pipeline:
        steps:
        - name: put
          type: step.db_exec
          config: {database: stores.main, query: INSERT INTO t VALUES (?), params: ["{{ .id }}"]}
        - {name: get, type: step.db_query, config: {database: stores, query: SELECT id FROM t}}
        - name: none
          type: step.db_query
          config: {database: stores.audit, query: SELECT id FROM a}
        - name: out
          type: step.json_response
          config: {body: {main: "{{ .steps.get.rows }}", audit: "{{ .steps.none.rows }}"}}
    - method: POST
      path: /shaped
      pipeline:
        steps:
        - {name: in, type: step.request_parse, config: {parse_body: true}}
        - name: ask
          type: step.delegate
          config: {service: shape, operation: named, input: "{{ .body }}"}
        - {name: out, type: step.json_response, config: {body: "{{ .steps.ask.result }}"}}
    - method: GET
      path: /delegated/{name}
      pipeline: {steps: [{name: all, type: step.delegate, config: {service: hello}}]}
"""


@pytest.mark.feature("S1-15", "S1-17", "S1-40", "S1-51", "S1-83", "S1-84")
async def test_the_modular_types_serve_together(tmp_path: Path) -> None:
    """Server, router, users, databases by name, event log, transformer and registry."""
    async with running(written(tmp_path, APP % {"secret": SECRET})) as app:
        assert (await app.call("GET", "/api/hello/ada")).body == {"hello": "ada"}
        assert (await app.call("GET", "/api/hello/7")).status == 404
        assert (await app.call("GET", "/api/private/1")).status == 401
        user = {"email": "ada@example.com", "name": "Ada", "password": "correct horse 9"}
        token = (await app.call("POST", "/api/auth/register", user)).body["token"]
        signed = {"Authorization": f"Bearer {token}"}
        stored = await app.call("GET", "/api/private/o-1", headers=signed)
        assert stored.body == {"main": [{"id": "o-1"}], "audit": []}
        assert (await app.call("POST", "/api/shaped", {"n": "x"})).body == {"name": "x"}
        assert (await app.call("GET", "/api/delegated/bob")).body == {"hello": "bob"}
        listed = (await app.call("GET", "/api/loaded")).body["workflows"]
        assert {"name": "tidy", "kind": "pipeline"} in listed
        assert (await app.call("GET", "/api/loaded/none")).status == 404
        logged = (await app.call("GET", "/logs?module=events")).body
        assert b'"type":"com.flowmesh.application.starting"' in logged
        assert b"application.stopped" not in logged


ORDERS = """
name: orders
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: db, type: database.workflow, config: {driver: postgres, dsn: "%(dsn)s"}}
- {name: store, type: persistence.store, config: {database: db}}
- {name: engine, type: statemachine.engine, config: {adminPath: /machine}}
triggers:
  http:
    routes:
    - {method: POST, path: "/{id}/open", workflow: order, wait: true}
    - {method: POST, path: "/{id}/pay", workflow: order, action: pay, wait: true}
    - {method: POST, path: "/{id}/cancel", workflow: order, action: cancel, wait: true}
workflows:
  statemachine:
    engine: engine
    definitions:
    - name: order
      initialState: open
      states: {open: {}, paid: {isFinal: true}, cancelled: {isFinal: true}}
      transitions:
        pay: {fromState: open, toState: paid}
        cancel: {fromState: open, toState: cancelled}
"""


@pytest.mark.feature("S1-171")
async def test_two_hosts_serialise_the_transitions_of_an_instance(
    tmp_path: Path, database: str
) -> None:
    """Of competing requests at two hosts one changes the instance; the others are refused."""
    path = written(tmp_path, ORDERS % {"dsn": database})
    async with running(path) as one, running(path) as two:
        for number in range(5):
            id = f"o-{number}"
            assert (await one.call("POST", f"/{id}/open")).status == 200
            calls = [
                host.call("POST", f"/{id}/{name}")
                for host in (one, two) * 4
                for name in ("pay", "cancel")
            ]
            answers = await asyncio.gather(*calls)
            statuses = sorted(each.status for each in answers)
            assert statuses == [200] + [409] * (len(calls) - 1), statuses
            history = (await two.call("GET", f"/machine/instances/{id}")).body["history"]
            assert len(history) == 2, history


HELD = """
name: held
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: db, type: database.workflow, config: {driver: sqlite, dsn: held.db}}
- {name: store, type: persistence.store, config: {database: db}}
- {name: engine, type: statemachine.engine, config: {redisURL: "%(redis)s"}}
- name: slow
  type: dynamic.component
  config: {source: slow.py}
- name: record
  type: messaging.handler
  config: {pipeline: record}
pipelines:
  record:
    steps:
    - {name: wait, type: step.delegate, config: {service: slow, input: {}}}
    - name: put
      type: step.db_exec
      config: {database: db, query: "INSERT INTO runs VALUES (?)", params: ["{{ .workflowId }}"]}
workflows:
  statemachine:
    engine: engine
    definitions:
    - name: order
      initialState: open
      states: {open: {}, paid: {}}
      transitions: {pay: {fromState: open, toState: paid}}
    hooks: [{workflowType: order, transitions: [pay], handler: record}]
triggers:
  http:
    routes: [{method: POST, path: "/{id}/pay", workflow: order, action: pay}]
"""


@pytest.mark.long
@pytest.mark.feature("S1-186")
async def test_hosts_with_locks_in_redis_have_one_winner(
    tmp_path: Path, servers: EmbeddedServers
) -> None:
    """One of two hosts makes the transition, and one runs its hook, however long it takes."""
    text = HELD % {"redis": servers.redis}
    text = text.replace("dsn: held.db", 'dsn: held.db, migrations: ["CREATE TABLE runs (id TEXT)"]')
    path = written(tmp_path, text)
    # Longer than the time between two looks of a host for effects.
    (tmp_path / "slow.py").write_text(
        "import time\n\ndef execute(params):\n    until = time.monotonic() + 2\n"
        "    while time.monotonic() < until:\n        pass\n    return {}\n"
    )
    async with running(path) as one, running(path) as two:
        calls = [host.call("POST", "/o-1/pay") for host in (one, two) * 2]
        answers = await asyncio.gather(*calls)
        assert sorted(each.status for each in answers) == [202, 409, 409, 409]

        async def done() -> bool:
            effects = one.application.built.registry.need(MACHINE, "engine").store
            return await effects.next_due() is None

        await eventually(done)
    # Both have ended the hooks that they had begun.
    with contextlib.closing(sqlite3.connect(tmp_path / "held.db")) as file:
        assert file.execute("SELECT id FROM runs").fetchall() == [("o-1",)]


@pytest.mark.feature("S1-186")
async def test_a_lock_in_redis_is_renewed_and_ends_with_its_holder(
    servers: EmbeddedServers,
) -> None:
    """A held lock outlives its time; a lost one is not ended by the release of its old holder."""
    one, two = (RedisLocks(name="m", url=servers.redis, password="", life_s=0.3) for _ in range(2))
    assert await one.take("a")
    assert not await one.take("a")
    await pause(0.6)
    assert not await two.take("a")
    assert await two.take("b")
    await one.release("a")
    assert await two.take("a")
    async with Redis.from_url(servers.redis) as redis:
        # The host of the first holder stood still until its lock had ended.
        await redis.set("fm:locks:a", "of-another")
    await two.release("a")
    assert not await one.take("a")
    await one.stop()
    await two.stop()
