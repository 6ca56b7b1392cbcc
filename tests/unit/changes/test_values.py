"""Values of PostgreSQL's text as JSON."""

from typing import Any

import pytest

from flowmesh.changes.values import json_value


@pytest.mark.parametrize(
    ("oid", "text", "value"),
    [
        (16, "t", True),
        (16, "f", False),
        (20, "-9223372036854775808", -(2**63)),
        (701, "1e300", 1e300),
        (701, "-Infinity", "-Infinity"),
        (114, '{"n": 1e999}', '{"n": 1e999}'),
        (114, "[1", "[1"),
        (1700, "1.10", "1.10"),
        (3802, '{"a": [1, null]}', {"a": [1, None]}),
        (3802, "123456789012345678901234567890", "123456789012345678901234567890"),
        (17, "\\x00ff", "AP8="),
        (17, "\\x", ""),
        (1007, "{}", []),
        (1007, "{1,NULL,3}", [1, None, 3]),
        (1007, "[0:1]={1,2}", [1, 2]),
        (1007, "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (1009, '{"a,b","c\\"d","e\\\\f",NULL,"NULL",""}', ["a,b", 'c"d', "e\\f", None, "NULL", ""]),
        (3807, '{"{\\"a\\": 1}"}', [{"a": 1}]),
        (424242, "anything", "anything"),
    ],
)
def test_a_value_is_json_or_text(oid: int, text: str, value: Any) -> None:
    """Nothing is rounded; a type that nothing knows is its text."""
    assert json_value(oid, text) == value
