"""The metrics that dashboards may name are those that the code registers."""

import ast
import re

from flowmesh.dashboards.metrics import METRICS
from flowmesh.runtime.exporting.increases import PREFIXES
from tests.tidy import sources

SUFFIX = re.compile(r"_(?:total|bucket|count|sum)$")
# Registered under a name that is no literal, or by a library.
COMPUTED = {
    "flowmesh_app_requests",
    "flowmesh_app_request_seconds",
    "flowmesh_bus_messages",
    "flowmesh_bus_readers",
    "flowmesh_task_type_attempts",
    "flowmesh_task_type_attempt_seconds",
    "flowmesh_worker_attempts",
    "flowmesh_worker_attempt_seconds",
    "process_cpu_seconds",
    "process_resident_memory_bytes",
}


def _registered() -> dict[str, tuple[str, tuple[str, ...] | None]]:
    """Return kind and labels by name; labels are None if they are no literals."""
    found = {}
    for file in sources.python():
        if not file.startswith(("libs/", "services/")):
            continue
        for node in sources.nodes(file):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = getattr(node.args[0], "value", "")
            if kind not in ("counter", "gauge", "histogram") or not isinstance(name, str):
                continue
            if name.startswith(PREFIXES):
                found[SUFFIX.sub("", name)] = kind, _labels(node)
    return found


def _labels(call: ast.Call) -> tuple[str, ...] | None:
    if len(call.args) < 3:
        return ()
    try:
        labels = ast.literal_eval(call.args[2])
    except ValueError:
        return None
    return tuple(labels)


def test_every_registered_metric_may_be_named() -> None:
    """With its kind and its labels, and no other one."""
    registered = _registered()
    assert len(registered) > 70
    known = {SUFFIX.sub("", name): metric for name, metric in METRICS.items()}
    assert known.keys() - COMPUTED == registered.keys()
    for name, (kind, labels) in registered.items():
        assert known[name].kind == kind, name
        assert labels is None or known[name].labels == labels, name
