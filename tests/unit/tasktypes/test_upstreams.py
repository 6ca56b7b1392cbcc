"""Names of the systems that tasks call."""

from typing import Any

import pytest

from flowmesh.tasktypes.upstreams import system_of


@pytest.mark.parametrize(
    ("task_type", "config", "system"),
    [
        ("own.task", {}, "workers of own.task"),
        ("noop", {}, ""),
        ("http.request", {"url": "https://shop.example/a?b=c"}, "https://shop.example"),
        ("http.request", {"url": "https://shop.example/{{input.id}}"}, "https://shop.example"),
        ("http.request", {"url": "{{input.url}}"}, "(computed)"),
        ("http.request", {"url": "https://{{input.host}}/a"}, "(computed)"),
        ("http.request", {"url": "/relative"}, "(computed)"),
        ("grpc.call", {"target": "orders:443"}, "grpc://orders:443"),
        ("grpc.call", {"target": "{{input.target}}"}, "(computed)"),
        ("grpc.call", {"service": "orders", "target": ""}, "service:orders"),
        ("grpc.call", {"service": "{{input.service}}"}, "(computed)"),
        ("db.query", {"connection": "orders"}, "db:orders"),
        ("publish", {"subject": "orders.paid"}, "subscribers"),
    ],
)
def test_a_task_calls_a_system(task_type: str, config: dict[str, Any], system: str) -> None:
    """Addresses that templates compute have no name."""
    assert system_of(task_type, config) == system
