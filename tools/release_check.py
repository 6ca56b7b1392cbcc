"""Checks that this commit can be released: versions, changelog, tree, contracts and wheels.

`make release-check` builds the wheels first. Each check prints one line; a failed one says what
to do, and the exit code is 1.
"""

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from flowmesh.extras import DISTRIBUTION

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / "build" / "wheels"
VERSION_SOURCE = ROOT / "libs" / "flowmesh" / "telemetry" / "export.py"
_RELEASE = re.compile(r"^## (?P<version>\S+?)(?: \((?P<date>\d{4}-\d{2}-\d{2})\))?$", re.MULTILINE)
INSTALL_TIMEOUT_S = 300


def project_version() -> str:
    """Return the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert isinstance(version, str)
    return version


def source_version() -> str:
    """Return the version that the running code reports."""
    for node in ast.parse(VERSION_SOURCE.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            return str(ast.literal_eval(node.value))
    return ""


def version_problems(project: str, source: str, changelog: str) -> Iterator[str]:
    """Yield the differences between the places that state the version."""
    if source != project:
        yield f"VERSION in {VERSION_SOURCE.name} is {source}, pyproject.toml has {project}"
    newest = _RELEASE.search(changelog)
    if newest is None or newest["version"] != project:
        named = newest["version"] if newest else "nothing"
        yield f"the first section of CHANGELOG.md is {named}: name it `## {project} (date)`"
    elif newest["date"] is None:
        yield f"the section {project} of CHANGELOG.md has no date: `## {project} (YYYY-MM-DD)`"


def check_versions() -> Iterator[str]:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    yield from version_problems(project_version(), source_version(), changelog)


def check_tree() -> Iterator[str]:
    if _output("git", "status", "--porcelain"):
        yield "the working tree has changes: commit or stash them"
    tag = f"v{project_version()}"
    if _output("git", "tag", "--list", tag):
        yield f"the tag {tag} exists: raise the version"


def check_contracts() -> Iterator[str]:
    done = subprocess.run(
        ("bash", "tools/breaking.sh"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield f"the contracts break those of the last release:\n{done.stdout}{done.stderr}"


def check_wheels() -> Iterator[str]:
    """Install the wheel for every platform into an empty environment and ask for its version."""
    version, name = project_version(), DISTRIBUTION.replace("-", "_")
    pure = WHEELS / f"{name}-{version}-py3-none-any.whl"
    compiled = list(WHEELS.glob(f"{name}-{version}-cp*.whl"))
    if not pure.is_file() or not compiled:
        yield f"build/wheels lacks a wheel of {version}: run `make wheel`"
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run((sys.executable, "-m", "venv", folder), check=True)
        install = (f"{folder}/bin/python", "-m", "pip", "install", "--quiet", str(pure))
        subprocess.run(install, check=True, timeout=INSTALL_TIMEOUT_S)
        printed = _output(f"{folder}/bin/flowmesh", "--version")
    if not printed.startswith(f"{version} "):
        yield f"the installed command says {printed!r}, not {version}"


CHECKS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("versions and changelog", check_versions),
    ("working tree and tag", check_tree),
    ("contracts", check_contracts),
    ("wheels", check_wheels),
)


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Run every check."""
    failed = False
    for name, check in CHECKS:
        problems = list(check())
        failed = failed or bool(problems)
        print(f"{'failed' if problems else 'ok':8}{name}")
        print("".join(f"        {problem}\n" for problem in problems), end="")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
