"""Problems of a definition as the verdict of an admission review."""

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.definitions.admission import CAUSES_MAX, definition_of, verdict
from flowmesh.operator.objects import task_references


def problem(code: str, path: str = "tasks[0]", *, error: bool = True) -> definition_pb2.Problem:
    severity = definition_pb2.SEVERITY_ERROR if error else definition_pb2.SEVERITY_WARNING
    return definition_pb2.Problem(code=code, path=path, message="wrong", severity=severity)


def test_each_error_is_a_cause_of_its_own() -> None:
    """With its path from the top of the resource; `kubectl` prints causes only."""
    found = verdict("u", [problem("GRAPH_CYCLE"), problem("LINT_RETRY", error=False)])
    assert not found["allowed"]
    (cause,) = found["status"]["details"]["causes"]
    assert cause == {
        "reason": "GRAPH_CYCLE",
        "field": "spec.tasks[0]",
        "message": "wrong [GRAPH_CYCLE]",
    }
    assert found["warnings"] == ["spec.tasks[0]: wrong [LINT_RETRY]"]


def test_the_last_cause_counts_those_that_are_left_out() -> None:
    """At most 25 are told."""
    found = verdict("u", [problem("X")] * (CAUSES_MAX + 5))
    causes = found["status"]["details"]["causes"]
    assert len(causes) == CAUSES_MAX
    assert causes[-1]["message"].endswith("; 5 more")


def test_an_allowed_error_is_a_warning() -> None:
    """A namespace may wait for its tasks."""
    found = verdict("u", [problem("TASK_NOT_FOUND")], allow=["TASK_NOT_FOUND"])
    assert found["allowed"]
    assert len(found["warnings"]) == 1


def test_what_the_cluster_adds_is_not_part_of_the_definition() -> None:
    """Or each apply would make a version."""
    metadata = {
        "name": "w",
        "namespace": "n",
        "uid": "1",
        "labels": {"team": "a"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "own": "x"},
    }
    found = definition_of({"kind": "Workflow", "metadata": metadata, "spec": {}, "status": {}})
    assert found == {
        "kind": "Workflow",
        "metadata": {"name": "w", "labels": {"team": "a"}, "annotations": {"own": "x"}},
        "spec": {},
    }


def test_references_are_found_at_any_depth() -> None:
    """Those to tasks of other namespaces are not of this cluster."""
    spec = {
        "tasks": [
            {"id": "a", "taskRef": "charge@2", "undo": {"taskRef": "refund"}},
            {"id": "b", "forEach": {"tasks": [{"id": "c", "taskRef": "other/ship"}]}},
        ]
    }
    assert sorted(task_references(spec)) == ["charge", "refund"]
