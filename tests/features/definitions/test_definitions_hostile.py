"""Sources that are no definitions, on every route that takes one."""

import pytest

from flowmesh.testing.suite import Suite


@pytest.mark.parametrize(
    ("source", "content_type", "reason"),
    [
        (b'{"id": "w", "steps": [', "application/json", "JSON_INVALID"),
        (b'{"id": "w", "id": "v"}', "application/json", "JSON_INVALID"),
        (b"a: *x", "application/yaml", "YAML_FORBIDDEN"),
        (b"a: 1\na: 2", "application/yaml", "YAML_FORBIDDEN"),
        (b"a: [", "application/yaml", "YAML_INVALID"),
        (b"[" * 100_000, "application/json", "NESTING_TOO_DEEP"),
        (b"[" * 100_000, "application/yaml", "NESTING_TOO_DEEP"),
        (b'{"id": "a b", "steps": [{"id": "a"}]}', "application/json", "ID_INVALID"),
        (
            b'{"id": "w", "steps": [{"id": "a", "dependencies": ["b"]}]}',
            "application/json",
            "GRAPH_UNKNOWN_NODE",
        ),
        (
            b'{"id": "w", "steps": [{"id": "a"}, {"id": "a"}]}',
            "application/json",
            "GRAPH_DUPLICATE_NODE",
        ),
        (b'{"id": "w", "steps": [{"id": "\\u0000"}]}', "application/json", "STRING_HAS_NUL"),
        (b'{"id": "\xff"}', "application/json", "INVALID_UTF8"),
    ],
)
async def test_hostile_sources_are_refused(
    suite: Suite, source: bytes, content_type: str, reason: str
) -> None:
    """On every route that takes a definition."""
    headers = {"content-type": content_type}
    for path in ("/workflows", "/api/v1/workflows"):
        refused = await suite.post(path, data=source, headers=headers)
        assert (refused.status, refused.json["error"]["reason"]) == (400, reason), refused.text
