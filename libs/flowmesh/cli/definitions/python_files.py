"""Resources that a Python file defines with the workflow builder of the SDK."""

import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import orjson

from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

# Not `__main__`: the main block of a script may start a client.
_MODULE = "flowmesh_definitions"


def resources_text(path: Path) -> str:
    """Return the workflows and tasks at the top level of the file as YAML documents.

    Runs the file, with imports from its own folder and its output on standard error.
    Raises Refused with the line if the file fails, or if it defines nothing.
    """
    from flowmesh.sdk import Workflow, WorkflowTask

    found: dict[tuple[str, str], bytes] = {}
    for value in _run(path).values():
        if not isinstance(value, Workflow | WorkflowTask):
            continue
        for resource in value.as_resources():
            kind, name = resource["kind"], resource["metadata"]["name"]
            text = orjson.dumps(resource)
            if found.setdefault((kind, name), text) != text:
                raise Refused(f"{path} defines the {kind} {name} in two ways", code=USAGE)
    if not found:
        hint = "it must contain a Workflow or a WorkflowTask at its top level"
        raise Refused(f"{path} defines no workflow", hint, USAGE)
    return "".join(f"---\n{text.decode()}\n" for text in found.values())


def _run(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise Refused(f"there is no file {path}", code=USAGE)
    try:
        with _importing_from(path.resolve().parent), redirect_stdout(sys.stderr):
            return runpy.run_path(str(path), run_name=_MODULE)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (code of the user)
        text = f"{_place(path, error)}: {type(error).__name__}: {error}"
        raise Refused(text, "a file of definitions must run without a suite", USAGE) from None


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def _place(path: Path, error: BaseException) -> str:
    """Return the file with the line that failed: a syntax error, or the last line that ran."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return f"{path}:{lines[-1]}" if lines else str(path)
