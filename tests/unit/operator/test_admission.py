"""Problems of a definition as the verdict of an admission review."""

import pytest

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.definitions.admission import (
    CAUSES_MAX,
    WARNING_CHARACTERS_MAX,
    definition_of,
    verdict,
)
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


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("", ""),
        ("metadata.name", "metadata.name"),
        ("spec", "spec"),
        ("metadata", "metadata"),
        ("metadatas.name", "spec.metadatas.name"),
        ("tasks[0].id", "spec.tasks[0].id"),
    ],
)
def test_a_cause_has_its_place_in_the_resource(path: str, field: str) -> None:
    """Paths of problems begin in the spec, except those of the resource itself."""
    found = verdict("u", [problem("X", path)])
    assert [each["field"] for each in found["status"]["details"]["causes"]] == [field]
    assert found["status"]["message"] == f"{field}: wrong [X]"


def test_as_many_causes_as_there_may_be_are_all_listed() -> None:
    """None is left out, and the last is like the others."""
    found = verdict("u", [problem("X")] * CAUSES_MAX)["status"]
    assert (found["code"], found["reason"]) == (422, "Invalid")
    assert [each["message"] for each in found["details"]["causes"]] == ["wrong [X]"] * 25


def test_a_long_warning_is_cut() -> None:
    """To what Kubernetes shows of one."""
    found = verdict("u", [problem("X", "a" * 300, error=False)])
    assert [len(each) for each in found["warnings"]] == [WARNING_CHARACTERS_MAX]
    assert "status" not in found
    assert "warnings" not in verdict("u", [])


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
