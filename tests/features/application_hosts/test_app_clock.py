"""The clock of `app test`: schedules and states of machines, moved by hand."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.testing import run_tests
from flowmesh.errors import Invalid

APP = """
name: clocks
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: bus, type: messaging.broker}
- {name: ticks, type: messaging.handler, config: {topic: ticks}}
- {name: routes, type: http.router, config: {routes: [{method: GET, path: /ticks, handler: ticks}]}}
- {name: offers, type: statemachine.engine, config: {adminPath: /offers}}
workflows:
  statemachine:
    engine: offers
    definitions:
    - name: offer
      initialState: open
      states:
        open: {timeout: {after: 2h, transition: expire}}
        expired: {isFinal: true}
      transitions: {expire: {fromState: open, toState: expired}}
triggers:
  http: {routes: [{path: /open, method: POST, workflow: offer, wait: true}]}
pipelines:
  tick:
    trigger: {type: schedule, config: {cron: "0 9 * * 1-5", timezone: Europe/Berlin}}
    steps: [{name: p, type: step.publish, config: {topic: ticks, payload: {a: 1}}}]
"""


def file_of(folder: Path, *requests: Any, **more: Any) -> Path:
    (folder / "app.yaml").write_text(APP)
    path = folder / "app.test.yaml"
    body = {"app": "app.yaml", "tests": [{"name": "t", "requests": list(requests)}], **more}
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.mark.feature("S1-156", "S1-157")
async def test_time_that_is_moved_fires_jobs_and_ends_states(tmp_path: Path) -> None:
    """Workdays of a week fire once each across the change to summer time; a state runs out."""
    path = file_of(
        tmp_path,
        {"path": "/open", "method": "POST", "body": {"id": "o-1"}, "expect": {"status": 200}},
        {"path": "/offers/instances/o-1", "expect": {"body": {"state": "open"}}},
        {"advance": "1h"},
        {"path": "/offers/instances/o-1", "expect": {"body": {"state": "open"}}},
        {"advance": "61m"},
        {"path": "/offers/instances/o-1", "within": 5, "expect": {"body": {"state": "expired"}}},
        {"path": "/ticks", "expect": {"body": {"handled": 0}}},
        {"advance": "168h"},
        {"path": "/ticks", "within": 5, "expect": {"body": {"handled": 5}}},
        # A Saturday; summer time begins on the Sunday of the week.
        now="2026-03-28T00:00:00Z",
    )
    path.write_text(path.read_text().replace("'2026-03-28T00:00:00Z'", "2026-03-28T00:00:00Z"))
    results = await run_tests(path, Loading(environment={}))
    assert [each.failure for each in results] == [""]


@pytest.mark.parametrize(
    ("request_", "more", "message"),
    [
        ({"advance": "soon"}, {}, "advance"),
        ({"advance": "0s"}, {}, "more than 0"),
        ({"advance": "1h", "path": "/"}, {}, "has no key 'path'"),
        ({"advance": "1h"}, {"now": "tomorrow"}, "now is an instant"),
    ],
    ids=["text", "nothing", "with a path", "now"],
)
async def test_a_wrong_move_of_the_clock_is_refused(
    tmp_path: Path, request_: Any, more: Any, message: str
) -> None:
    """Times and instants that are none are errors of the file of tests."""
    with pytest.raises(Invalid, match=message):
        await run_tests(file_of(tmp_path, request_, **more), Loading(environment={}))
