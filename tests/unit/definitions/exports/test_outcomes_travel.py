"""Policies of a workflow from native to graph JSON and back."""

import json
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions import Workflow, compile_source, read_source
from flowmesh.definitions.exports.export import export_source
from flowmesh.definitions.trigger_messages import trigger_message

SOURCE = b"""\
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: rt}
spec:
  onFailure: STOP
  compensation: {onCancel: false, order: PARALLEL}
  variables: {limit: {schema: {type: integer}, initial: 5}, who: {initial: ann}}
  limits: {concurrency: 9, key: "{{input.customer}}"}
  start: {key: "{{input.customer}}", concurrency: 1, onConflict: REPLACE, delay: 3s}
  searchable: [input.customer]
  searchAttributes: {total: {type: NUMBER, from: "{{input.total}}"}}
  retention: 30d
  triggers:
    - {id: nightly, cron: {expression: "0 2 * * *", timezone: Europe/Berlin, catchUp: ONE}}
    - {id: paid, event: {type: order.paid, filter: event.data.total > 5, input: {a: 1}}}
    - {id: hook, webhook: {provider: GITHUB, secret: s3cret, payloadSchema: {type: object}}}
    - {id: other, webhook: {path: elsewhere}}
  tasks:
    - id: a
      taskRef: transform
      input: {source: 1, pipeline: []}
      retry: {maxAttempts: 2, neverOn: [Bad], maxElapsed: 10s}
      totalTimeout: 5m
      scheduleToStart: 30s
      undo:
        taskRef: transform
        input: {source: "{{undo.output}}", pipeline: []}
        retry: {maxAttempts: 9}
    - id: v
      taskRef: transform
      input: {source: "{{variables.limit}}", pipeline: []}
      condition: variables.limit > 3
      cache: {ttl: 5s, scope: NAMESPACE, key: "{{input.total}}"}
      limits: {rate: 2.5, burst: 4, retries: 0.2}
      requires: {gpu: "yes"}
      permissions: [refund, audit]
    - {id: b, taskRef: noop, onFailure: CONTINUE, fallback: {x: 1}}
    - {id: g, onFailure: HOLD, group: {tasks: [{id: h, taskRef: noop}]}}
    - id: ok
      approval: {assignees: ann, needs: 1, deadline: 2h, escalateTo: [b], onReject: CONTINUE}
    - {id: t, try: {tasks: [{id: t1, taskRef: noop}], finally: {tasks: [{id: t2, taskRef: noop}]}}}
    - id: p
      map: {pages: {taskRef: noop, next: a.b}, results: COUNT, tasks: [{id: q, taskRef: noop}]}
    - id: c
      subworkflow: {workflow: "w-{{input.kind}}", id: "{{input.id}}", wait: false}
    - id: z
      taskRef: noop
      join: {count: 2, required: [a]}
      dependsOn: [a, b, {task: ok, on: approved}]
"""


def node_task(plan: plan_pb2.Plan) -> plan_pb2.Plan:
    """Return the plan without the names that its source and format give it."""
    bare = plan_pb2.Plan()
    bare.CopyFrom(plan)
    bare.digest = bare.version_digest = ""
    bare.dialect = plan_pb2.DIALECT_UNSPECIFIED
    for spec in bare.specs:
        spec.digest, spec.dialect = "", plan_pb2.DIALECT_UNSPECIFIED
    return bare


def converted(source: bytes, kind: str, target: str) -> bytes:
    documents: list[Any] = export_source(source, kind, target)
    return json.dumps(documents if len(documents) > 1 else documents[0]).encode()


def triggers(source: bytes) -> list[Any]:
    (read,) = read_source(source).resources
    assert isinstance(read.resource, Workflow)
    return [trigger_message(each) for each in read.resource.triggers]


def test_policies_survive_graph_json_and_back() -> None:
    """Policies, undoing, fallbacks, holds, joins by count, finally, approvals: the same plan."""
    graph = converted(SOURCE, "application/yaml", "graph")
    native = converted(graph, "application/json", "native")
    plans = [node_task(compile_source(each)) for each in (SOURCE, graph, native)]
    assert plans[0] == plans[1] == plans[2]
    assert triggers(SOURCE) == triggers(graph) == triggers(native)


UNDO_INPUT = {"source": "{{undo.output}}", "pipeline": []}
STEPS = {
    "id": "w",
    "limits": {"concurrency": 3},
    "triggers": [{"id": "t", "cron": {"expression": "@daily"}}],
    "steps": [
        {
            "id": "a",
            "action": "mine",
            "limits": {"rate": 2},
            "requires": {"gpu": "yes"},
            "permissions": ["refund"],
            "repeatable": True,
            "onFailure": "HOLD",
            "totalTimeout": "5m",
        },
        {
            "id": "b",
            "action": "function",
            "params": {"code": "return context.n"},
            "cache": {"ttl": 5_000, "key": "{{context.n}}"},
            "fallback": {"n": 1},
            "undo": {"taskRef": "transform", "input": UNDO_INPUT},
        },
    ],
}


def test_settings_of_steps_survive_graph_json_and_back() -> None:
    """Limits, labels, permissions, a cache, failures, and what starts the workflow."""
    steps = json.dumps(STEPS).encode()
    graph = converted(steps, "application/json", "graph")
    back = converted(graph, "application/json", "steps")
    plans = [node_task(compile_source(each)) for each in (steps, graph, back)]
    assert plans[0] == plans[1] == plans[2]
    assert list(plans[0].nodes[0].permissions) == ["refund"]
    assert plans[0].nodes[0].on_failure == plan_pb2.NODE_FAILURE_POLICY_HOLD
    assert (plans[0].nodes[1].fallback, plans[0].nodes[1].HasField("undo")) == (b'{"n":1}', True)
    assert triggers(steps) == triggers(graph) == triggers(back) != []
