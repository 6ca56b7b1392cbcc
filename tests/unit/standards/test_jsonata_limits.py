"""What checking JSONata leaves as it was."""

import sys

from flowmesh.standards.jsonata import problems_of


def test_the_limit_of_recursion_stays() -> None:
    """The library raises it for the whole process, whose parsers rely on it."""
    before = sys.getrecursionlimit()
    assert list(problems_of({"a": "{% 1 + 1 %}", "b": "{% 1 + %}"}))
    assert sys.getrecursionlimit() == before
