"""Load on a running application: bounds for failures and answers; `make test-all` runs it.

`LOAD_REQUESTS` is the number of requests of each test.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.features.apps import RunningApp, running, written

REQUESTS = int(os.environ.get("LOAD_REQUESTS", "2000"))
CONNECTIONS = 32
RATE_MIN = 50.0
APP = """
name: load
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- name: db
  type: database.workflow
  config: {driver: sqlite, dsn: a.db, migrations: [CREATE TABLE items (id TEXT PRIMARY KEY)]}
workflows:
  http:
    routes:
    - method: POST
      path: /items/{id}
      pipeline:
        steps:
        - name: put
          type: step.db_exec
          config: {database: db, query: INSERT INTO items VALUES (?), params: ["{{ .id }}"]}
        - {name: out, type: step.json_response, config: {status: 201, body: {id: "{{ .id }}"}}}
    - method: GET
      path: /items/{id}
      pipeline:
        steps:
        - name: get
          type: step.db_query
          config:
            database: db
            query: SELECT id FROM items WHERE id = ?
            params: ["{{ .id }}"]
            mode: single
        - {name: out, type: step.json_response, config: {body: {id: "{{ .steps.get.row.id }}"}}}
"""


async def loaded(app: RunningApp, method: str, status: int) -> float:
    """Send all requests over the connections; return the answers per second."""
    waiting = iter(range(REQUESTS))

    async def one() -> None:
        for number in waiting:
            answer = await app.call(method, f"/items/i{number}")
            assert (answer.status, answer.body) == (status, {"id": f"i{number}"})

    begun = time.monotonic()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return REQUESTS / (time.monotonic() - begun)


@pytest.mark.slow
@pytest.mark.feature("S1-136")
async def test_no_request_fails_or_gets_the_answer_of_another(tmp_path: Path) -> None:
    """Writes and reads at 32 connections: each its own answer, and a minimum of them a second."""
    async with running(written(tmp_path, APP)) as app:
        for method, status in (("POST", 201), ("GET", 200)):
            rate = await loaded(app, method, status)
            print(f"{method}: {rate:,.0f} answers a second")
            assert rate >= RATE_MIN
