"""Background tasks of the services follow the contract of `flowmesh.runtime.Loop`."""

import ast
import re
from collections.abc import Iterator

from flowmesh.runtime import loop
from tests.tidy import sources


def _classes() -> Iterator[ast.ClassDef]:
    for name in sources.python():
        if name.startswith("services/"):
            yield from (each for each in sources.nodes(name) if isinstance(each, ast.ClassDef))


def _runs_by_itself(node: ast.ClassDef) -> bool:
    """Return whether a class has an `async def run(self)`."""
    return any(
        isinstance(member, ast.AsyncFunctionDef)
        and member.name == "run"
        and len(member.args.args) == 1
        and not member.args.kwonlyargs
        for member in node.body
    )


def test_every_background_task_is_a_loop_or_is_listed() -> None:
    """The docstring of the contract names the exceptions, each with its reason."""
    found = {node.name for node in _classes() if _runs_by_itself(node)}
    assert found == set(re.findall(r"^- `(\w+)`: \S", loop.__doc__ or "", re.MULTILINE))
