"""What follows from failures, and approvals, from native to graph JSON and back."""

import json
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definitions import compile_source
from flowmesh.definitions.exports.export import export_source

SOURCE = b"""\
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: rt}
spec:
  onFailure: STOP
  compensation: {onCancel: false, order: PARALLEL}
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


def meaning(plan: plan_pb2.Plan) -> plan_pb2.Plan:
    """The plan without the names that its source and format give it."""
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


def test_nothing_of_it_is_lost_on_the_way_to_graph_json_and_back() -> None:
    """Policies, undoing, fallbacks, holds, joins by count, finally, approvals: the same plan."""
    graph = converted(SOURCE, "application/yaml", "graph")
    native = converted(graph, "application/json", "native")
    plans = [meaning(compile_source(each)) for each in (SOURCE, graph, native)]
    assert plans[0] == plans[1] == plans[2]
