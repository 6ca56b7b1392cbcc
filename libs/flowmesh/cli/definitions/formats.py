"""`convert` and `graph`: conversion of definitions to other formats, and drawings."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, Files, WorkflowId
from flowmesh.cli.common import Reach, command, run
from flowmesh.cli.definitions.sources import PYTHON, SUFFIXES, read_source
from flowmesh.cli.refusals import Refused
from flowmesh.definitions.formats.table import FORMATS

if TYPE_CHECKING:
    from flowmesh.definitions import Workflow
    from flowmesh.sdk import Client

REACH = Reach()
# The choices of `--to`: those of the table of formats.
if TYPE_CHECKING:
    Target = str
else:
    Target = Literal[("yaml", "json", *FORMATS)]
To = Annotated[
    Target,
    Parameter(name=["--to", "-t"], help="Format, or yaml or json to change only the syntax."),
]
Out = Annotated[str, Parameter(name=["--out"], help="File to write; standard output by default.")]
Kind = Annotated[
    Literal["svg", "mermaid", "dot", "json"], Parameter(name=["--output", "-o"], help="Format.")
]


@command
def convert(
    *,
    file: Files,
    to: To,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="File to write.")] = "",
    common: Reach = REACH,
) -> None:
    """Convert definitions to another format, completely or not at all.

    Features that the format cannot express are rejected by name. The suffix .json or .yaml of the
    output file selects its syntax; the default is YAML for native resources, and JSON for the
    other formats. The format python is code that defines the same workflow with the SDK; its file
    ends in .py.
    """

    suffix = Path(out).suffix
    is_python = to in FORMATS and FORMATS[to].syntax == "python"
    if suffix in (*SUFFIXES, PYTHON) and (suffix == PYTHON) != is_python:
        text = f"the format {to} does not match the file name {out}"
        raise Refused(text, "only Python files end in .py", exit_codes.USAGE)
    from flowmesh.definitions.exports import export_source, write_python, write_yaml

    documents = export_source(read_source(file).text.encode(), "", to if to in FORMATS else "")
    if is_python:
        _write(write_python(documents), out)
        return
    as_yaml = _as_yaml(to, out, documents)
    if not as_yaml and len(documents) > 1:
        text = f"a JSON file cannot contain {len(documents)} definitions"
        raise Refused(text, "use -t yaml, or --out with a name that ends in .yaml")
    _write(write_yaml(documents) if as_yaml else _json(documents[0]), out)


@command
def graph(
    name: WorkflowId = "",
    /,
    *,
    file: Files | None = None,
    kind: Kind = "svg",
    out: Out = "",
    version: int = 0,
    execution: ExecutionId = "",
    common: Reach = REACH,
) -> int:
    """Draw a workflow of a file, a registered workflow, or the workflow of an execution.

    Args:
        name: Id of a registered workflow, instead of a file.
        version: Version of the registered workflow; 0 is the newest.
        execution: Id of an execution, instead of a workflow or file; colors show the status of each
            node.
    """
    if execution and (name or file):
        text = "--execution cannot be combined with a workflow or a file"
        raise Refused(text, code=exit_codes.USAGE)
    if execution:
        return run(common, lambda client: _draw_execution(client, execution, kind, out))
    if bool(name) == bool(file):
        text = "give either the id of a workflow, or a file with -f"
        raise Refused(text, code=exit_codes.USAGE)
    if file:
        return _draw(_only_workflow(file), kind, out)
    return run(common, lambda client: _draw_registered(client, name, version, kind, out))


async def _draw_registered(client: "Client", name: str, version: int, kind: Kind, out: str) -> int:
    from flowmesh.definitions import load_workflow

    stored = await client.get_workflow(name, version=version)
    return await asyncio.to_thread(_draw, load_workflow(stored.definition), kind, out)


async def _draw_execution(client: "Client", execution: str, kind: Kind, out: str) -> int:
    from flowmesh.definitions import load_workflow

    found = await client.get_execution(execution)
    stored = await client.get_workflow(found.workflow_id, version=found.workflow_version)
    workflow = load_workflow(stored.definition)
    statuses = {
        node.id: "success" if node.status == "completed" else str(node.status)
        for node in found.nodes
    }
    return await asyncio.to_thread(_draw, workflow, kind, out, statuses)


def _draw(workflow: "Workflow", kind: str, out: str, statuses: dict[str, str] | None = None) -> int:
    from flowmesh.definitions.drawing import draw

    _write(draw(workflow, kind, statuses), out)
    return exit_codes.DONE


def _only_workflow(names: list[Path]) -> "Workflow":
    from flowmesh.definitions import Workflow, check, errors_in, refuse
    from flowmesh.definitions import read_source as read_definitions

    reading = read_definitions(read_source(names).text.encode())
    refuse(reading.problems)
    # A drawing needs no registered tasks, so their absence is ignored. A cycle cannot be drawn.
    found = check(reading, lambda _name: None)
    refuse([problem for problem in errors_in(found) if problem.code == "GRAPH_CYCLE"])
    workflows = [read.resource for read in reading.resources if isinstance(read.resource, Workflow)]
    if len(workflows) != 1:
        raise Refused(f"the files must contain one workflow; they contain {len(workflows)}")
    return workflows[0]


def _as_yaml(to: str, out: str, documents: list[dict[str, Any]]) -> bool:
    suffix = Path(out).suffix if out else ""
    if suffix in (".yaml", ".yml", ".json"):
        return suffix != ".json"
    syntax = FORMATS[to].syntax if to in FORMATS else to
    return syntax == "yaml" or (to != "json" and len(documents) > 1)


def _json(document: dict[str, Any]) -> str:
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _write(text: str, out: str) -> None:
    if not out:
        output.block(text.rstrip("\n"))
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        text = f"{out} cannot be written: {error.strerror}"
        raise Refused(text, code=exit_codes.USAGE) from None
