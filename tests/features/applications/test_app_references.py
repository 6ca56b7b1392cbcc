"""Unknown names in an application are reported, with their place and a similar name."""

from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from tests.features.apps import written

APP = """
name: x
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- {name: hello, type: http.handler, config: {body: hi}}
- {name: broker, type: messaging.broker}
- {name: record, type: messaging.handler, config: {topic: "heard.*", pipeline: note}}
- {name: often, type: scheduler.modular, config: {cronExpression: "* * * * *"}}
- {name: machine, type: statemachine.engine}
pipelines:
  note: {steps: [{name: l, type: step.log, config: {message: x}}]}
workflows:
  http:
    routes:
    - method: POST
      path: /b
      pipeline: {steps: [{name: p, type: step.publish, config: {topic: heard.a}}]}
    - {method: POST, path: /m, handler: hello}
  scheduler:
    jobs: [{scheduler: often, job: note}]
  statemachine:
    engine: machine
    definitions:
    - name: order
      initialState: open
      states: {open: {}, paid: {isFinal: true}}
      transitions: {pay: {fromState: open, toState: paid}}
    hooks: [{workflowType: order, transitions: [pay], handler: record}]
"""
# What is written instead, the code of the finding, and a part of its text.
WRONG = {
    "topic": ("topic: heard.a", "topic: herd.a", "TOPIC_UNHEARD", "no subscription takes"),
    "pipeline": ("pipeline: note", "pipeline: nota", "SERVICE_UNKNOWN", "did you mean note"),
    "handler": ("handler: hello", "handler: helo", "HANDLER_UNRESOLVED", "'helo'"),
    "scheduler": ("scheduler: often", "scheduler: ofen", "SERVICE_UNKNOWN", "did you mean often"),
    "job": ("job: note", "job: nota", "HANDLER_UNRESOLVED", "'nota'"),
    "key of a job": ("job: note", "job: note, conifg: {}", "APP_KEY_UNKNOWN", "mean config"),
    "state": ("toState: paid", "toState: payed", "MACHINE_INVALID", "did you mean paid"),
    "transition": ("transitions: [pay]", "transitions: [pai]", "MACHINE_INVALID", "'pai'"),
    "hook": ("handler: record", "handler: recrd", "HANDLER_UNRESOLVED", "'recrd'"),
    "section": ("pipelines:", "piplines:", "APP_KEY_UNKNOWN", "did you mean pipelines"),
    "kind": ("scheduler:\n", "schedule:\n", "APP_KIND_UNKNOWN", "did you mean scheduler"),
}


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    checked = check(written(folder, text), Loading(environment={}))
    return [(each.code, each.message) for each in checked.problems]


def test_known_names_are_no_finding(tmp_path: Path) -> None:
    """The application of the other test, as it is meant."""
    assert found(tmp_path, APP) == []


@pytest.mark.parametrize("kind", WRONG)
def test_an_unknown_name_is_reported(tmp_path: Path, kind: str) -> None:
    """As an error, or as a warning that `--strict` makes one."""
    right, wrong, code, text = WRONG[kind]
    assert right in APP
    findings = found(tmp_path, APP.replace(right, wrong, 1))
    assert any(each == code and text in message for each, message in findings), findings
