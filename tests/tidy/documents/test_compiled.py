"""What is compiled and what is not go together."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.sources import ROOT, written

SOURCES: list[str] = runpy.run_path(str(ROOT / "tools" / "compile.py"))["SOURCES"]


def module_of(source: str) -> str:
    """`libs/flowmesh/engine/state/state.py` is `flowmesh.engine.state.state`."""
    return ".".join(PurePosixPath(source).with_suffix("").parts[1:])


def bases_of(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Each class of a module with a base it imports by name: module and name of that."""
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in imported:
                    yield node.name, *imported[base.id]


def test_no_class_that_is_interpreted_inherits_from_one_that_is_compiled() -> None:
    """It could be defined, and no instance of it be made."""
    trees = {name: ast.parse((ROOT / name).read_text()) for name in SOURCES}
    compiled = {
        (package, node.name)
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        # Packages hand on what their modules define.
        for package in (module_of(name), module_of(name).rpartition(".")[0])
    }
    wrong = [
        f"{name}: {class_} inherits from {base} of {module}, which is compiled"
        for name in written()
        if name.startswith(("libs/", "services/")) and name.endswith(".py") and name not in trees
        for class_, module, base in bases_of(ast.parse((ROOT / name).read_text()))
        if (module, base) in compiled
    ]
    assert ("flowmesh.orchestrator.model.commands", "PendingCommand") in compiled
    assert not wrong, "\n".join(wrong)
