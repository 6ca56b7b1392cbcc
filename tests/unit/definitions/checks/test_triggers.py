"""Triggers of documents: as messages, in differences, and as written."""

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.definitions import (
    Workflow,
    compile_source,
    errors_in,
    load_workflow,
    read_source,
    trigger_message,
)
from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.exports.export import export_source
from flowmesh.definitions.versions import diff_workflows

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def native(*triggers: Json, tasks: Json = None) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"triggers": list(triggers), "tasks": tasks or [{"id": "a", "taskRef": "noop"}]},
    }


def graph(*nodes: Json, edges: Json = None) -> Json:
    return {"id": "g", "name": "g", "nodes": list(nodes), "edges": edges or []}


def loaded(document: Json) -> Workflow:
    reading = read_source(orjson.dumps(document))
    assert errors_in([*reading.problems, *check(reading, lambda _: None)]) == []
    return load_workflow(document)


def test_the_url_of_a_webhook_is_one_that_can_be_called() -> None:
    """It is the two names if they form an id; a path makes it shorter."""
    webhooks: Json = {name: {"id": name, "webhook": {}} for name in ("h" * 126, "h" * 127)}
    assert loaded(native(webhooks["h" * 126])).triggers
    reading = read_source(orjson.dumps(native(webhooks["h" * 127])))
    (problem,) = errors_in(check(reading, lambda _: None))
    assert (problem.code, problem.place) == ("TRIGGER_INVALID", "triggers[0].webhook")
    webhooks["h" * 127]["webhook"]["path"] = "short"
    assert loaded(native(webhooks["h" * 127])).triggers


def test_a_trigger_says_everything_that_firing_needs() -> None:
    """A schedule, an event, a webhook with its default URL and provider."""
    cron = {"expression": "@daily", "timezone": "Asia/Tokyo", "catchUp": "ALL", "catchUpMax": 3}
    event = {"type": "a.*", "source": "/s", "filter": "event.data.n > 1", "input": "{{event.data}}"}
    workflow = loaded(
        native(
            {"id": "c", "cron": cron},
            {"id": "e", "event": event},
            {"id": "h", "webhook": {"secret": SECRET, "payloadSchema": {"type": "object"}}},
        )
    )
    daily, on, hook = map(trigger_message, workflow.triggers)
    assert (daily.cron.expression, daily.cron.time_zone) == ("@daily", "Asia/Tokyo")
    assert (daily.cron.catch_up, daily.cron.catch_up_max) == (pb.CATCH_UP_ALL, 3)
    assert (on.event.type, on.event.filter) == ("a.*", "event.data.n > 1")
    assert on.input_template == b'"{{event.data}}"'
    assert hook.webhook.hook == "w.h"
    assert hook.webhook.receiver.provider == pb.WEBHOOK_PROVIDER_TYPE_STANDARD
    assert orjson.loads(hook.webhook.receiver.payload_schema) == {"type": "object"}


def test_nodes_of_a_graph_are_triggers_where_nothing_comes_before() -> None:
    """A receiver behind another node is none; manual and api triggers neither."""
    nodes = [
        {"id": kind, "type": "trigger", "name": kind, "data": {"triggerType": kind}}
        for kind in ("manual", "api")
    ]
    first = {"id": "first", "type": "webhook", "name": "first", "data": {"webhookId": "in"}}
    later = {"id": "later", "type": "webhook", "name": "later", "data": {}}
    edges = [{"id": "e", "source": "first", "target": "later"}]
    workflow = loaded(graph(*nodes, first, later, edges=edges))
    (trigger,) = map(trigger_message, workflow.triggers)
    assert (trigger.webhook.hook, trigger.webhook.signal) == ("g.in", "in")


def test_the_plan_says_which_calls_a_waiting_node_takes() -> None:
    """So that a changed workflow does not change what its executions wait for."""
    receive = {
        "id": "a",
        "taskRef": "webhook.receive",
        "input": {"provider": "slack", "secret": "s", "payloadSchema": {"type": "object"}},
    }
    (node,) = compile_source(orjson.dumps(native(tasks=[receive]))).nodes
    assert (node.kind, node.signal) == (plan_pb2.NODE_KIND_SIGNAL, "webhook:a")
    assert node.receiver.provider == pb.WEBHOOK_PROVIDER_TYPE_SLACK
    assert node.receiver.secret == "s"


def test_the_input_template_of_a_schedule_is_checked() -> None:
    """A member that is never there is found before it fires."""
    cron = {"expression": "@daily", "input": "{{trigger.scheduled}}"}
    reading = read_source(orjson.dumps(native({"id": "c", "cron": cron})))
    (problem,) = check(reading, lambda _: None)
    assert (problem.code, problem.place) == (
        "TEMPLATE_UNKNOWN_REFERENCE",
        "triggers[0].cron.input",
    )


def test_differences_tell_of_triggers_and_of_no_secret() -> None:
    """Changed fields of a trigger; for a secret only that it changed."""
    webhook = {"id": "h", "webhook": {"secret": SECRET}}
    other = {"id": "h", "webhook": {"secret": f"{SECRET[:-4]}LaLa"}}
    cron = {"id": "c", "cron": {"expression": "@daily"}}
    found = diff_workflows(loaded(native(webhook)), loaded(native(other, cron)))
    assert {(each.area, each.action, each.subject, each.field) for each in found} == {
        ("trigger", "changed", "h", "receiver.secret"),
        ("trigger", "added", "c", ""),
    }
    assert "whsec" not in repr(found)


def test_a_trigger_node_becomes_a_listed_trigger() -> None:
    """Step JSON has no such nodes: the step does nothing, and the list says when."""
    config = {"cron": "@daily", "input": {"a": 1}}
    source = orjson.dumps(
        {
            "id": "w",
            "nodes": [
                {
                    "id": "t",
                    "type": "trigger",
                    "data": {"triggerType": "scheduled", "config": config},
                }
            ],
            "edges": [],
        }
    )
    (steps,) = export_source(source, "", "steps")
    listed = {"id": "t", "cron": {"expression": "@daily", "input": {"a": 1}}}
    assert steps["triggers"] == [listed]
    assert [each["action"] for each in steps["steps"]] == ["noop"]
