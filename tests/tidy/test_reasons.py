"""Every reason raised in code is one of the table, with the class that the table gives it."""

import ast
import re
from collections.abc import Iterator

from flowmesh.errors import REASONS, FlowmeshError
from flowmesh.errors.explained import explanations
from tests.tidy import sources

CLASSES = {cls.__name__ for cls in FlowmeshError.__subclasses__()}

# Reasons that no line of ours raises by name, each with where it comes from.
ELSEWHERE: dict[str, str] = {}


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    for name in sources.python():
        if not name.startswith(("libs/", "services/")):
            continue
        for node in ast.walk(ast.parse(sources.text(name))):
            if isinstance(node, ast.Call):
                called = node.func
                title = called.attr if isinstance(called, ast.Attribute) else None
                title = called.id if isinstance(called, ast.Name) else title
                if title in CLASSES and node.args and isinstance(node.args[0], ast.Constant):
                    yield f"{name}:{node.lineno}", node, title


def test_reasons_are_raised_with_their_class() -> None:
    """`raise Invalid("X", ...)` names a reason of the table, and one of Invalid."""
    wrong = []
    for place, node, title in _calls():
        first = node.args[0]
        assert isinstance(first, ast.Constant)
        reason = REASONS.get(str(first.value))
        if reason is None:
            wrong.append(f"{place}: {first.value} is not in libs/flowmesh/errors/reasons.py")
        elif reason.error.__name__ != title:
            wrong.append(f"{place}: {reason.name} belongs to {reason.error.__name__}, not {title}")
    assert not wrong, sources.lines(wrong)


def test_every_reason_is_used() -> None:
    """A row that nothing raises is a promise nobody keeps."""
    texts = [
        sources.text(name)
        for name in sources.written()
        if name.startswith(("libs/", "services/"))
        if name.endswith((".py", ".sql")) and not name.endswith("errors/reasons.py")
    ]
    unused = [
        name
        for name in REASONS
        if name not in ELSEWHERE
        if not any(f'"{name}"' in text or f"'{name}'" in text for text in texts)
    ]
    assert not unused, sources.lines(unused)


def test_what_is_excepted_exists() -> None:
    """Exceptions name rows of the table."""
    assert [name for name in ELSEWHERE if name not in REASONS] == []


def test_every_problem_of_a_definition_has_a_page() -> None:
    """Whoever meets a code in front of a definition can look it up."""
    code = re.compile(r"""["']([A-Z]+(?:_[A-Z]+)+)["']""")
    used = {
        found
        for name in sources.python()
        if name.startswith(("libs/flowmesh/definitions/", "libs/flowmesh/transforms/"))
        for found in code.findall(sources.text(name))
        if found in REASONS and REASONS[found].error.__name__ in ("Invalid", "TooLarge")
    }
    missing = sorted({*used, "TASK_NOT_FOUND"} - explanations().keys())
    assert not missing, sources.lines(missing)
