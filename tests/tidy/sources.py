"""What the tests of tidiness look at: the files under version control or about to be."""

import ast
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *("errors", "features", "grpc", "reliability", "rest", "settings"),
    "workflow-reference",
)
GENERATED = ("gen/", *(f"docs/{page}.md" for page in PAGES))


@cache
def tracked() -> tuple[str, ...]:
    """Every file that git knows or would add, or all but the ignored folders where git is away."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        files = (path for path in ROOT.rglob("*") if path.is_file())
        names = [path.relative_to(ROOT).as_posix() for path in files]
    ignored = (".venv/", ".flowmesh/", "build/", ".git/")
    return tuple(
        sorted(name for name in names if not name.startswith(ignored) and (ROOT / name).is_file())
    )


@cache
def written() -> tuple[str, ...]:
    """The tracked files that people write: no generated code, no generated pages."""
    return tuple(name for name in tracked() if not name.startswith(GENERATED))


@cache
def python() -> tuple[str, ...]:
    return tuple(name for name in written() if name.endswith(".py"))


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def nodes(name: str) -> tuple[ast.AST, ...]:
    """Every node of a module, which several tests walk through."""
    return tuple(ast.walk(ast.parse(text(name))))


def lines(found: Iterable[str]) -> str:
    """What was found, one a line, for the message of a failed assertion."""
    return "\n" + "\n".join(found)
