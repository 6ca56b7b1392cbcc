"""Reviews of Kubernetes: a resource as a definition, and the problems of it as a verdict.

The message format is AdmissionReview of `admission.k8s.io/v1`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowmesh.api.definition.v1 import definition_pb2

CAUSES_MAX: Final = 25
WARNING_CHARACTERS_MAX: Final = 256
# Metadata of definitions; Kubernetes adds further members.
_METADATA: Final = frozenset({"annotations", "labels", "name"})
_OF_A_DEFINITION: Final = ("apiVersion", "kind", "metadata", "spec")
# Annotations of the cluster itself would make a new version of each change that is none.
_FOREIGN: Final = "kubernetes.io/"


def definition_of(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition in a resource, without what the cluster adds."""
    kept = {key: resource[key] for key in _OF_A_DEFINITION if key in resource}
    metadata = kept.get("metadata")
    if isinstance(metadata, Mapping):
        kept["metadata"] = {key: metadata[key] for key in _METADATA & metadata.keys()}
        annotations = kept["metadata"].get("annotations")
        if isinstance(annotations, Mapping):
            own = {key: text for key, text in annotations.items() if _FOREIGN not in str(key)}
            kept["metadata"]["annotations"] = own
            if not own:
                del kept["metadata"]["annotations"]
    return kept


def verdict(
    uid: str, problems: Sequence[definition_pb2.Problem], *, allow: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the response to a review: refused for errors, with warnings for the rest.

    Each error is a cause, as `kubectl` prints causes only. Errors with a code of `allow` are
    warnings.
    """
    errors = [
        each
        for each in problems
        if each.severity == definition_pb2.SEVERITY_ERROR and each.code not in set(allow)
    ]
    warnings = [_line(each)[:WARNING_CHARACTERS_MAX] for each in problems if each not in errors]
    response: dict[str, Any] = {"uid": uid, "allowed": not errors}
    if warnings:
        response["warnings"] = warnings
    if errors:
        response["status"] = refusal(errors)
    return response


def refusal(errors: Sequence[definition_pb2.Problem]) -> dict[str, Any]:
    """Return the status of a refused resource, with at most 25 causes."""
    causes = [
        {
            "reason": each.code,
            "field": _field(each.path),
            "message": f"{each.message} [{each.code}]",
        }
        for each in errors[:CAUSES_MAX]
    ]
    if left := len(errors) - len(causes):
        causes[-1]["message"] += f"; {left} more"
    return {
        "code": 422,
        "reason": "Invalid",
        "message": "\n".join(map(_line, errors[:CAUSES_MAX])),
        "details": {"causes": causes},
    }


def _field(path: str) -> str:
    """Return a path from the top of the resource; those of problems begin in its spec."""
    top = path.partition(".")[0]
    return path if not path or top in _OF_A_DEFINITION else f"spec.{path}"


def _line(problem: definition_pb2.Problem) -> str:
    return f"{_field(problem.path)}: {problem.message} [{problem.code}]"
